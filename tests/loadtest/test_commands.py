"""The load tester's command line: wrong calls, servers that are not what they should be, runs that end early."""

import asyncio
import http.server
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from livecommerce.audit.books import EventRow
from livecommerce.cli import main as livecommerce
from loadtest.commands import main
from loadtest.conduct.own_server import OwnServer
from loadtest.conduct.run import Kept
from loadtest.measure.processes import arguments_of, children_of
from loadtest.scenarios import names
from tests.loadtest.conduct.runs import ended, ran, start, until_said
from tests.loadtest.conduct.support import running
from tests.ports import free_port

SMALL = ("--set", "viewers=10", "--set", "seconds=1")
OWN = """
from loadtest.scenario import Parameter, Scenario

async def play(stage):
    await stage.show(cards=1)
    await stage.join(stage.whole("viewers"), 100)
    {body}

SCENARIO = Scenario("mine", "My own", {{"joins": "open"}}, (Parameter("viewers", 5, "viewers"),), play)
"""

ANOTHER_MACHINE = """
from loadtest.generate import link
from loadtest.generate.__main__ import main

link.boot_id = lambda: "that of another machine"
main(["--join", "{address}"])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with running() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[str]:
    """Something else that speaks HTTP."""
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{site.server_port}"
    site.shutdown()
    site.server_close()


def at(server: OwnServer) -> tuple[str, ...]:
    return ("--target", server.url, "--email", server.email)


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results lie below the folder one is in."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


def call(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environ)


def said(result: Result) -> str:
    return " ".join(result.output.split())


# --- what there is ----------------------------------------------------------------------------------------------------


def test_the_list_has_every_scenario_with_its_load_and_parameters() -> None:
    result = call("list")

    assert result.exit_code == 0
    for name in names():
        assert f"\n{name}\n" in f"\n{result.output}"
    assert "cards: open" in result.output
    assert "viewers=10000" in result.output


@pytest.mark.parametrize("name", names())
def test_a_scenarios_help_tells_its_parameters_and_thresholds(name: str) -> None:
    shown, told = call(name, "--help"), call("show-scenario", name)

    assert (shown.exit_code, told.exit_code) == (0, 0)
    for output in (shown.output, told.output):
        assert "viewers=" in output
        assert "failed_joins_share<0.1%" in output


def test_the_names_for_thresholds_are_told() -> None:
    assert {"state_p99", "oversold", "refused.<number>"} <= set(call("thresholds").output.split())


def test_it_is_a_command_of_livecommerce_too() -> None:
    result = CliRunner().invoke(livecommerce, ["loadtest", "show-scenario", "fanout"])

    assert result.exit_code == 0
    assert "cards: open" in result.output


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "loadtest.commands")
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setitem(sys.modules, "rich", None)

    result = CliRunner().invoke(livecommerce, ["loadtest", "list"])

    assert result.exit_code == 1
    assert "pip install 'livecommerce[loadtest]'" in result.output


# --- wrong calls: exit 2, and nothing was started ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fanuot",), "Did you mean fanout?"),
        (("run", "slow_clint"), "Did you mean slow-client"),
        (("run", "nowhere.py"), "There is no file nowhere.py"),
        (("fanout", "--set", "viewer=3"), "Did you mean viewers?"),
        (("fanout", "--set", "viewers=none"), "expected a whole number"),
        (("fanout", "--threshold", "state_p98<3ms"), "Did you mean state_p9"),
        (("fanout", "--threshold", "state_p99<3"), "say in which unit"),
        (("fanout", "--threshold", "oversold<3ms"), "has no unit"),
        (("fanout", "--workers", "0"), "At least one generator"),
        (("fanout", "--expect-generators", "1", "--listen", "10.0.0.5"), "cannot reach a server of our own"),
        (("fanout", "--set", "seconds=50000"), "play it in parts"),
        (("fanout", "--target", "http://127.0.0.1:9"), "--email"),
        (("fanout", "--target", "http://192.0.2.1", "--email", "a@b.example"), "--i-own-this-host"),
        (("fanout", "--target", "http://127.0.0.1:9", "--email", "a@b.example"), "LOADTEST_PASSWORD"),
        (("redis-cut", "--target", "http://127.0.0.1:9", "--email", "a@b.example"), "leave --target out"),
        (("fanout", "--processes", "2", "--target", "http://127.0.0.1:9", "--email", "a@b.example"), "our own server"),
        (("fanout", "--listen", "127.0.0.1:x", "--expect-generators", "1"), "expected HOST"),
        (("fanout", "--nonsense"), "No such option"),
        (("check", "."), "does not hold the records"),
        (("report", "."), "result"),
    ],
)
def test_a_wrong_call_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOADTEST_PASSWORD", raising=False)

    result = call(*arguments)

    assert words in said(result)
    assert result.exit_code == 2 or arguments[0] == "report"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "has no SCENARIO"),
        ("SCENARIO = 3", "has no SCENARIO"),
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(text)

    result = call("run", str(tmp_path / "mine.py"))

    assert result.exit_code == 2
    assert words in said(result)


def test_more_viewers_than_descriptors_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.measure.health.descriptors_max", lambda: 1000)

    result = call("fanout", "--set", "viewers=5000", "--out", str(tmp_path / "out"))

    assert result.exit_code == 1
    assert "ulimit -n" in said(result)
    assert not (tmp_path / "out").exists()


# --- servers that are not what they should be -------------------------------------------------------------------------


def test_a_server_that_is_down_is_told() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = call("fanout", "--target", url, "--email", "a@b.example", LOADTEST_PASSWORD="x")

    assert result.exit_code == 1
    assert f"Nothing listens at {url}" in said(result)


def test_a_server_that_is_another_one_is_told(other_server: str) -> None:
    result = call("fanout", "--target", other_server, "--email", "a@b.example", LOADTEST_PASSWORD="x")

    assert result.exit_code == 1
    assert "no livecommerce server" in said(result) or "cannot say what it is" in said(result)


def test_a_wrong_password_is_told(server: OwnServer) -> None:
    result = call("fanout", *at(server), LOADTEST_PASSWORD="not the one")

    assert result.exit_code == 1
    assert "E-mail address or password is wrong" in said(result)


# --- runs -------------------------------------------------------------------------------------------------------------


async def test_a_threshold_that_does_not_hold_is_exit_99_and_a_run_can_be_read_again(
    server: OwnServer, tmp_path: Path
) -> None:
    run = await ran(
        tmp_path, "fanout", *SMALL, *at(server), "--threshold", "joined<1", "--threshold", "state_p99<60s",
        LOADTEST_PASSWORD=server.password,
    )  # fmt: skip

    assert run.result.complete, run.said
    assert [verdict.text for verdict in run.result.thresholds if not verdict.ok] == ["joined<1"]
    assert run.code == (99 if run.result.conclusive else 97), run.said
    again = call("report", str(tmp_path))
    assert again.exit_code == run.code
    proved = call("check", str(tmp_path))
    assert proved.exit_code == 0, proved.output
    kept = msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=Kept)
    assert kept.final is not None
    assert kept.final[1] > 0
    assert kept.ended == (True,)
    _check_knows_what_is_missing(tmp_path, kept)
    # One event less in the books than viewers saw: the checker finds it again.
    books = tmp_path / "books.ndjson"
    lines = books.read_text().splitlines(keepends=True)
    seen = next(at for at, line in enumerate(lines) if '"card_shown"' in line)
    books.write_text("".join(lines[:seen] + lines[seen + 1 :]))
    assert call("check", str(tmp_path)).exit_code == 98


def _check_knows_what_is_missing(folder: Path, kept: Kept) -> None:
    """Without a generator's last word nothing is proved; without the books' last rows neither."""
    (folder / "run.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(kept, ended=(False,))))
    proved = call("check", str(folder))
    assert proved.exit_code == 97, proved.output
    assert "proves nothing" in proved.output
    # What came after the end for the viewers is not asked of them.
    books = folder / "books.ndjson"
    before = books.read_bytes()
    later = EventRow(kept.final[0], kept.final[1] + 1, "card_shown", "digest") if kept.final else None
    *rows, end = before.splitlines(keepends=True)
    books.write_bytes(b"".join([*rows, msgspec.json.encode(later) + b"\n", end]))
    (folder / "run.json").write_bytes(msgspec.json.encode(kept))
    assert call("check", str(folder)).exit_code == 0
    (folder / "run.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(kept, final=None)))
    assert call("check", str(folder)).exit_code == 98
    books.write_bytes(before)
    (folder / "run.json").write_bytes(msgspec.json.encode(kept))


async def test_one_card_alone_is_shown_as_often_as_it_was_announced(server: OwnServer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN.format(body="await stage.cards(5, 1)"))

    run = await ran(tmp_path / "out", "run", str(tmp_path / "mine.py"), *at(server), LOADTEST_PASSWORD=server.password)

    assert run.result.facts["state_expected"] == 5 * 5
    assert run.result.counters["state_received"] == 5 * 5


async def test_a_scenario_of_ones_own_is_played_by_two_generators(server: OwnServer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN.format(body="await stage.cards(5, 1)"))

    run = await ran(
        tmp_path / "out", "run", str(tmp_path / "mine.py"), "--workers", "2", *at(server),
        LOADTEST_PASSWORD=server.password,
    )  # fmt: skip

    assert run.code in (0, 97), run.said
    assert len(run.result.generators) == 2
    assert run.result.counters["joined"] == 5
    assert run.result.facts["state_delivered_share"] == 1.0


async def test_a_generator_may_join_from_elsewhere(server: OwnServer, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    key = {"LOADTEST_KEY": "a key of this test"}
    password = {"LOADTEST_PASSWORD": server.password}
    elsewhere = ("--workers", "0", "--expect-generators", "1", "--listen", address)
    process = await start(tmp_path, "fanout", *SMALL, *at(server), *elsewhere, **key, **password)
    await until_said(process, "Waiting for 1 more")
    helper = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", "join", address, env=dict(os.environ) | key
    )
    run = await ended(process, tmp_path)

    assert await helper.wait() == 0
    assert run.result.complete
    assert run.result.counters["joined"] == 10


async def test_a_generator_on_another_machine_cannot_reach_a_server_on_loopback(
    server: OwnServer, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    key = {"LOADTEST_KEY": "a key of this test"}
    elsewhere = ("--workers", "0", "--expect-generators", "1", "--listen", address)
    process = await start(tmp_path, "fanout", *SMALL, *at(server), *elsewhere, **key, LOADTEST_PASSWORD=server.password)
    await until_said(process, "Waiting for 1 more")
    helper = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ANOTHER_MACHINE.format(address=address), env=dict(os.environ) | key,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    run = await ended(process, tmp_path)

    assert run.code == 2, run.said
    assert "loopback leads to itself there" in " ".join(run.said.split())
    assert await helper.wait() != 0


async def test_a_fault_of_the_scenario_is_told_and_the_run_is_incomplete(server: OwnServer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN.format(body="raise ValueError('a slip')"))

    run = await ran(tmp_path / "out", "run", str(tmp_path / "mine.py"), *at(server), LOADTEST_PASSWORD=server.password)

    assert run.code == 1
    assert "a slip" in run.said
    assert not run.result.complete


async def test_ctrl_c_reports_what_was_measured_as_incomplete(server: OwnServer, tmp_path: Path) -> None:
    process = await start(tmp_path, "fanout", "--set", "viewers=10", *at(server), LOADTEST_PASSWORD=server.password)
    await until_said(process, "— cards")
    process.send_signal(signal.SIGINT)
    run = await ended(process, tmp_path)

    assert run.code == 1, run.said
    assert "broke off" in run.said
    assert not run.result.complete
    assert any("Interrupted" in warning for warning in run.result.warnings)
    assert run.result.check is not None  # what was answered is proved all the same


async def test_ctrl_c_twice_ends_at_once_without_a_report(server: OwnServer, tmp_path: Path) -> None:
    process = await start(tmp_path, "fanout", "--set", "viewers=10", *at(server), LOADTEST_PASSWORD=server.password)
    await until_said(process, "— cards")
    process.send_signal(signal.SIGINT)
    await until_said(process, "Interrupted")
    process.send_signal(signal.SIGINT)
    run = await ended(process, tmp_path)

    assert run.code == 1
    assert "Ended at once" in run.said
    assert not run.has_result


async def test_a_server_that_dies_half_way_leaves_a_report_that_says_so(tmp_path: Path) -> None:
    process = await start(tmp_path, "fanout", "--set", "viewers=10")
    await until_said(process, "— cards")
    _kill_the_server(process.pid)
    run = await ended(process, tmp_path)

    assert run.code == 1, run.said
    assert "went away" in run.said
    assert not run.result.complete
    assert not run.result.conclusive
    assert run.result.check is None
    assert any("went away" in warning for warning in run.result.warnings)
    assert call("check", str(tmp_path)).exit_code == 2  # no books were read: nothing is proved


async def test_a_generator_that_dies_half_way_ends_the_run_in_words(server: OwnServer, tmp_path: Path) -> None:
    process = await start(tmp_path, "fanout", "--set", "viewers=10", *at(server), LOADTEST_PASSWORD=server.password)
    await until_said(process, "— cards")
    (generator,) = [pid for pid in children_of(process.pid) if "loadtest.generate" in arguments_of(pid)]
    os.kill(generator, signal.SIGKILL)
    run = await ended(process, tmp_path)

    assert run.code == 1, run.said  # what is missing is not called wrong
    assert "The line to generator 1" in run.said
    assert not run.result.complete
    assert run.result.check is not None
    assert not run.result.check.complete
    assert not any(run.result.check.counts.values()), run.result.check.breaches


def _kill_the_server(conductor: int) -> None:
    """The supervisor and all its children, at once."""
    (supervisor,) = [pid for pid in children_of(conductor) if "serve" in arguments_of(pid)]
    family = [supervisor, *children_of(supervisor)]
    for pid in family:
        os.kill(pid, signal.SIGKILL)


def test_the_exit_codes_are_told(monkeypatch: Any) -> None:
    for code in ("97", "98", "99"):
        assert code in call("--help").output
