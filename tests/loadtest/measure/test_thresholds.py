"""What must hold: read strictly before the run, judged plainly after it."""

import pytest

from loadtest.measure import thresholds
from loadtest.measure.thresholds import ThresholdError, judge, known_names, merge, parse
from loadtest.result import Percentiles, ThresholdVerdict

STATE = {"state": Percentiles(10, 40_000, 60_000, 70_000, 90_000, 120_000, 150_000)}


def verdict(text: str, **facts: float) -> ThresholdVerdict:
    return judge(parse(text), STATE, {"cuts": 3, "refused.400": 7, "sent_away": 2}, facts)


@pytest.mark.parametrize(
    ("text", "value", "ok"),
    [
        ("state_p99<100ms", 90.0, True),
        ("state_p99<90ms", 90.0, False),
        ("state_p99<=90ms", 90.0, True),
        ("state_p50 < 40_001us", 40_000.0, True),
        ("state_max<0.1s", 0.15, False),
        ("state_p999>100ms", 120.0, True),
        ("cuts==3", 3.0, True),
        ("cuts>=4", 3.0, False),
        ("refused.400<=7", 7.0, True),
        ("disconnects.4001==0", 0.0, True),
        ("failed_joins_share<1%", 0.5, True),
        ("failed_joins_share<0.001", 0.005, False),
        ("server_cpu_us_per_frame<8us", 7.5, True),
        ("oversold==0", 0.0, True),
        ("unsent_share<1%", 2.0, False),
        ("refused_share<1%", 0.5, True),
        ("not_back==0", 0.0, True),
        ("sent_away==0", 2.0, False),
        ("pays_unconfirmed==0", 0.0, True),
        ("checkouts_failed==0", 0.0, True),
    ],
)
def test_a_threshold_is_judged_in_the_unit_it_was_written_in(text: str, value: float, ok: bool) -> None:
    found = verdict(
        text, failed_joins_share=0.005, server_cpu_us_per_frame=7.5, oversold=0, unsent_share=0.02, refused_share=0.005
    )

    assert (found.value, found.ok) == (pytest.approx(value), ok)
    assert found.text == text.replace(" ", "")
    assert bool(found.why) != ok


@pytest.mark.parametrize("text", ["talk_p99<1s", "accepted_per_second>100", "oversold==0"])
def test_what_was_not_measured_is_a_breach(text: str) -> None:
    found = verdict(text)

    assert found.value is None
    assert not found.ok
    assert "nothing was measured" in found.why


def test_an_empty_histogram_proves_nothing() -> None:
    empty = {"state": Percentiles(0, 0, 0, 0, 0, 0, 0)}

    assert not judge(parse("state_p99<1s"), empty, {}, {}).ok


def test_a_counter_that_never_counted_is_zero() -> None:
    assert verdict("unanswered==0").ok
    assert not verdict("unanswered==0", unanswered=2).ok


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a threshold"),
        ("state_p99", "Expected NAME<VALUE"),
        ("state_p99=100ms", "is not a threshold"),
        ("state_p99<fast", "is not a threshold"),
        ("state_p98<100ms", "Did you mean state_p9"),
        ("stat_p99<100ms", "state_p99"),
        ("state<100ms", "state_p99"),
        ("overslod==0", "oversold"),
        ("quite_else<1", "`loadtest thresholds` lists all names"),
        ("refused.999==0", "no refusal 999"),
        ("taps_refused.999==0", "no refusal 999"),
        ("unsent_share<1s", "possible: % or none"),
        ("refused.==0", "no refusal"),
        ("state_p99<100", "in which unit"),
        ("state_p99<100%", "cannot be given in %"),
        ("cuts<1%", "has no unit"),
        ("failed_joins_share<5ms", "cannot be given in ms; possible: % or none"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_is_close(text: str, says: str) -> None:
    with pytest.raises(ThresholdError, match=says):
        parse(text)


def test_the_first_reason_wins() -> None:
    with pytest.raises(ThresholdError, match="Did you mean"):
        parse("state_p98<100%")


def test_every_known_name_can_be_written() -> None:
    units = {"latency": "ms", "share": "%"}
    for name in known_names():
        written = name.replace("<number>", "400").replace("<code>", "4001").replace("<", "").replace(">", "")
        kind = thresholds._kind_of(written, written)
        assert parse(f"{written}<1{units.get(kind, '')}").name == written


def test_a_given_threshold_replaces_the_defaults_of_its_name() -> None:
    merged = merge(["state_p99<100ms", "oversold==0"], ["state_p99<1s", "state_p99>1us", "cuts>0"])

    assert [one.text for one in merged] == ["oversold==0", "state_p99<1s", "state_p99>1us", "cuts>0"]


def test_a_wrong_one_among_the_given_is_found_before_anything_starts() -> None:
    with pytest.raises(ThresholdError):
        merge(["oversold==0"], ["state_p99<100ms", "stat_p99<1ms"])
