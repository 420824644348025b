"""The Locust user, headless, as a team that has Locust would run it: against a real server, in a process of its own."""

import asyncio
import csv
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import loadtest
from tests.live_server import EMAIL, PASSWORD, Deal, LiveServer, live_server, live_show, merchant_folder, until

__all__ = ["merchant_folder"]

LOCUSTFILE = Path(loadtest.__file__ or "").parent / "locust_user.py"
VIEWERS = 20
# A bound for a run that hangs, not a measure.
RUN_SECONDS_MAX = 240
# The example's viewers act six times a minute; a short test wants to see every task.
LIVELY = """\
from loadtest.locust_user import Viewer

class Lively(Viewer):
    actions_per_minute = 90.0
    thinking = Viewer.thinking.__class__(50.0, 0.1)

del Viewer
"""


@pytest.fixture(scope="module")
def server(merchant_folder: Path) -> Iterator[LiveServer]:
    with live_server(merchant_folder) as running:
        yield running


def _locust(
    server: LiveServer, folder: Path, show_id: str, *further: str, file: Path = LOCUSTFILE, seconds: int = 5
) -> tuple[int, str]:
    """(exit code, everything it printed) of a headless run."""
    done = subprocess.run(
        _command(server, folder, show_id, seconds, *further, file=file),
        capture_output=True, text=True, timeout=RUN_SECONDS_MAX, cwd=folder,
        env=os.environ | {"LOADTEST_PASSWORD": PASSWORD},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


async def _until(
    server: LiveServer, folder: Path, show_id: str, enough: Callable[[dict[str, tuple[int, int]]], bool],
    *further: str, file: Path = LOCUSTFILE,
) -> tuple[int, str]:  # fmt: skip
    """As `_locust`, ended by SIGTERM once its own figures are enough, however long a busy machine needs for that."""
    command = _command(server, folder, show_id, RUN_SECONDS_MAX, *further, file=file)
    environ = os.environ | {"LOADTEST_PASSWORD": PASSWORD}
    with (folder / "said").open("wb") as said:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=said, stderr=said, env=environ)
    try:
        await until(lambda: process.returncode is not None or enough(_figures(folder)), "enough figures")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        code = await process.wait()
    return code, (folder / "said").read_text()


def _command(
    server: LiveServer, folder: Path, show_id: str, seconds: int, *further: str, file: Path = LOCUSTFILE
) -> list[str]:
    return [
        sys.executable, "-m", "locust", "-f", str(file), "--headless", "-u", str(VIEWERS), "-r", str(VIEWERS),
        "-t", f"{seconds}s", "--host", server.base_url, "--csv", str(folder / "run"), "--show", show_id, *further,
    ]  # fmt: skip


def _figures(folder: Path) -> dict[str, tuple[int, int]]:
    """Name → (requests, failures), as Locust's own file has them; all are of the type WS. Empty before it is there."""
    if not (folder / "run_stats.csv").exists():
        return {}
    with (folder / "run_stats.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] != "Aggregated"]
    assert {row["Type"] for row in rows} <= {"WS"}
    return {row["Name"]: (int(row["Request Count"]), int(row["Failure Count"])) for row in rows}


def _all_in(found: dict[str, tuple[int, int]]) -> bool:
    return found.get("join") == (VIEWERS, 0)


async def test_viewers_join_talk_take_and_give_back_without_a_failure(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "lively.py").write_text(LIVELY)
    async with live_show(server, Deal(units=500)) as show:
        wanted = ("say", "reserve", "release")
        code, said = await _until(
            server, tmp_path, show.show_id,
            lambda found: _all_in(found) and all(found.get(name, (0, 0))[0] for name in wanted),
            file=tmp_path / "lively.py",
        )  # fmt: skip
        figures = _figures(tmp_path)

        assert code == 0, said
        assert figures["join"] == (VIEWERS, 0)
        assert all(failures == 0 for _, failures in figures.values()), said
        assert figures["say"][0] > 0
        assert figures["reserve"][0] > 0
        # What a viewer takes she gives back, but for those whom the end of the run surprises while they think.
        assert 0 <= figures["reserve"][0] - figures["release"][0] <= VIEWERS


async def test_passes_of_the_staff_and_marked_cards(server: LiveServer, tmp_path: Path) -> None:
    async with live_show(server, Deal(units=500)) as show:
        code, said = await _until(
            server, tmp_path, show.show_id,
            lambda found: _all_in(found) and found.get("state", (0, 0))[0] >= 2 * VIEWERS,
            "--email", EMAIL, "--card-every", "1",
        )  # fmt: skip
        figures = _figures(tmp_path)

        assert code == 0, said
        assert figures["join"] == (VIEWERS, 0)
        assert figures["state"][0] >= 2 * VIEWERS  # every card to every viewer; the last ones may meet the end
        assert figures["state"][1] == 0


@pytest.mark.parametrize(
    ("show_id", "further", "words"),
    [
        ("shw_nobody_has_this", (), "103 There is no such show"),
        ("shw_x", ("--card-every", "5"), "locust_user: --card-every shows cards as the host: it needs --email"),
    ],
)
def test_what_cannot_be_meant_ends_with_1_and_the_reason_before_anybody_comes(
    server: LiveServer, tmp_path: Path, show_id: str, further: tuple[str, ...], words: str
) -> None:
    code, said = _locust(server, tmp_path, show_id, *further)

    assert code == 1
    assert words in said
    assert "Traceback" not in said
    assert not (tmp_path / "run_stats.csv").exists() or "WS" not in (tmp_path / "run_stats.csv").read_text()


def test_every_reason_is_told_in_words() -> None:
    # In a process of its own: whoever imports Locust has gevent's sockets from then on.
    done = subprocess.run([sys.executable, "-c", REASONS], capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    assert done.returncode == 0, done.stderr
    reasons = done.stdout.splitlines()

    assert reasons[0].startswith("--show is missing")
    assert reasons[1] == "--card-every is at least 1 s, not 0.2."
    assert reasons[2].startswith("192.0.2.7 is not this machine.")
    assert reasons[3].startswith("--host ftp://127.0.0.1: expected an address such as http://")
    assert reasons[4].startswith("--host (missing): expected an address")
    assert reasons[5].startswith("No answer from http://127.0.0.1:1")
    assert reasons[6] == "--email needs its password in the environment variable LOADTEST_PASSWORD."
    assert reasons[7].startswith("The name nowhere.invalid leads nowhere:")


REASONS = """
import os
from types import SimpleNamespace
from loadtest.locust_user import Unusable, shop_of

def reason(host="http://127.0.0.1:1", **options):
    given = {"show": "shw_x", "email": "", "card_every": 0.0, "i_own_this_host": False} | options
    try:
        shop_of(SimpleNamespace(host=host, parsed_options=SimpleNamespace(**given)))
    except Unusable as unusable:
        print(unusable)

os.environ["LOADTEST_PASSWORD"] = "x"
reason(show="")
reason(email="a@example.com", card_every=0.2)
reason(host="http://192.0.2.7")
reason(host="ftp://127.0.0.1")
reason(host="")
reason()
del os.environ["LOADTEST_PASSWORD"]
reason(email="a@example.com")
reason(host="http://nowhere.invalid")
"""


async def test_a_show_that_is_over_is_refused_in_words(server: LiveServer, tmp_path: Path) -> None:
    async with live_show(server) as show:
        await show.command(do="end")
        code, said = _locust(server, tmp_path, show.show_id)

    assert code == 1
    assert f"The show {show.show_id} is ended: nobody can watch it" in said


async def test_what_the_server_refuses_is_a_failure_with_its_number_and_word(
    server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "greedy.py").write_text(
        "from loadtest.locust_user import ShowUser, task\n"
        "class Greedy(ShowUser):\n"
        "    actions_per_minute = 60.0\n"
        "    @task\n"
        "    def take(self):\n"
        "        self.reserve('deal_of_nobody')\n"
    )
    async with live_show(server) as show:
        code, said = await _until(
            server, tmp_path, show.show_id, lambda found: "reserve" in found and found.get("join") == (VIEWERS, 0),
            file=tmp_path / "greedy.py",
        )  # fmt: skip
        figures = _figures(tmp_path)

    assert code == 1
    assert figures["join"] == (VIEWERS, 0)
    assert figures["reserve"][0] == figures["reserve"][1] > 0
    assert "404 unknown_deal" in said


async def test_sold_out_is_an_answer_and_no_failure(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(
        "from loadtest.locust_user import ShowUser, task\n"
        "class Late(ShowUser):\n"
        "    actions_per_minute = 60.0\n"
        "    @task\n"
        "    def take(self):\n"
        "        for deal_id in self.open_deals:\n"
        "            self.reserve(deal_id)\n"
    )
    async with live_show(server, Deal(units=3)) as show:
        code, said = await _until(
            server, tmp_path, show.show_id, lambda found: "reserve 400 sold_out" in found, file=tmp_path / "late.py"
        )
        figures = _figures(tmp_path)

    assert code == 0, said
    assert figures["reserve"] == (3, 0)
    assert figures["reserve 400 sold_out"][0] > 0


async def test_who_is_cut_off_comes_back(server: LiveServer, tmp_path: Path) -> None:
    async with live_show(server) as show:
        # Ended once they are back, however long a busy machine needs to start a new process.
        command = _command(server, tmp_path, show.show_id, RUN_SECONDS_MAX)
        process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=DEVNULL, stderr=DEVNULL)
        try:
            await until(lambda: _figures(tmp_path).get("join") == (VIEWERS, 0), "all viewers in")
            for pid in server.pids("web"):
                os.kill(pid, signal.SIGKILL)
            await until(lambda: _succeeded(tmp_path, "return") == VIEWERS, "all viewers back")
        finally:
            process.send_signal(signal.SIGTERM)
            code = await process.wait()
        figures = _figures(tmp_path)

    assert code == 1  # lines broke, and that is told
    assert figures["join"] == (VIEWERS, 0)
    assert figures["line"] == (VIEWERS, VIEWERS)


def _succeeded(folder: Path, name: str) -> int:
    requests, failures = _figures(folder).get(name, (0, 0))
    return requests - failures
