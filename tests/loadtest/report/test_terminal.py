"""The run in the terminal, and its end."""

import io

from rich.console import Console

from loadtest.report.terminal import LiveView, print_verdict, ticker
from loadtest.result import Result
from tests.loadtest.report import sample


def console(width: int = 140, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def told(result: Result) -> str:
    out = console()
    print_verdict(result, out)
    return text_of(out)


def test_where_nobody_watches_each_second_is_one_line() -> None:
    evening = sample.evening()
    out = console(width=60)
    with LiveView(150, "show", plain=False, console=out) as view:
        view.phase("deal 1", 30)
        for row in evening.samples[56:59]:
            view.sample(row, evening.latencies, evening.counters)
        view.say("a generator is gone")

    lines = text_of(out).splitlines()
    assert len(lines) == 5
    assert lines[0] == "— deal 1 (30 s)"
    assert all(" s  in 10,000" in line for line in lines[1:4])
    assert lines[4] == "a generator is gone"


def test_a_line_names_rates_latency_errors_and_cpu() -> None:
    evening = sample.evening()
    line = ticker(evening.samples[86], evening.latencies)

    for part in ("state frames 2,000/s", "refused.409 28", "cpu web ", "generator "):
        assert part in line
    assert "refused.400" not in line


def test_on_a_terminal_the_picture_has_rates_percentiles_errors_health_and_stock() -> None:
    evening = sample.evening()
    out = console(terminal=True)
    view = LiveView(150, "show, 10,000 viewers", plain=False, console=out)
    view.phase("come in", 32)
    view.phase("deal 1", 30)
    view.sample(evening.samples[60], evening.latencies, evening.counters)
    out.print(view.picture())

    text = text_of(out)
    for part in (
        "show, 10,000 viewers", "come in ✓", "▸ deal 1", "of 2:30 min", "viewers in", "10,000", "p99.9", "reserve",
        "Sold out", "400", "The shop is busy", "409", "generator 2, core in use", "loop lag p99", "redis, cores in use",
        "velvet-lip-104",
    ):  # fmt: skip
        assert part in text


def test_a_narrow_terminal_gets_one_block_under_the_other() -> None:
    evening = sample.evening()
    out = console(width=80, terminal=True)
    view = LiveView(None, "show", plain=False, console=out)
    view.sample(evening.samples[60], evening.latencies, evening.counters)
    out.print(view.picture())

    assert all(len(line) <= 80 for line in text_of(out).splitlines())


def test_the_picture_is_drawn_while_the_run_is_on_and_what_is_said_stays() -> None:
    evening = sample.evening()
    out = console(terminal=True)
    with LiveView(10, "show", plain=False, console=out) as view:
        view.sample(evening.samples[3], evening.latencies, evening.counters)
        view.say("2 generators have joined")

    text = text_of(out)
    assert "2 generators have joined" in text
    assert "Rates" in text


def test_the_end_tells_the_verdict_the_thresholds_and_the_errors() -> None:
    text = told(sample.breached())

    for part in ("3 thresholds were breached", "state_p99<20ms", "breached", "held", "Sold out", "own server 0.1.0"):
        assert part in text


def test_a_counter_example_is_printed_with_its_history_as_text() -> None:
    text = told(sample.wrong_stock())

    assert "velvet-lip-104 was promised 402 times" in text
    assert "ticket 402 </script>" in text


def test_what_looks_like_markup_of_the_terminal_stays_text() -> None:
    out = console()
    with LiveView(None, "show", plain=True, console=out) as view:
        view.say("[red]the server said this[/red]")

    assert "[red]the server said this[/red]" in text_of(out)


def test_warnings_are_told() -> None:
    assert "start more with --workers" in told(sample.inconclusive())
