"""kill -9 of the process that films: what it said was there is there, whole, the picture as well as the show's log."""

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from redis.asyncio import Redis

from livecommerce.ledger.database import Database
from livecommerce.protocol.facts import PromiseMade
from livecommerce.shows.replay import events_of
from livecommerce.video.boxes import Fragment, Reader
from livecommerce.video.recording import Recording, open_writer
from tests.video.films import needs_ffmpeg

# More than a film has: the first epoch is over by then.
PIECES = 11


def killed(command: list[str], pieces: int) -> tuple[str, int, int]:
    """(show, promises accepted, pieces written down) of a child that dies once it has so many pieces."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        show_id, told = child.stdout.readline().strip(), [0, 0]
        while told[1] < pieces:
            told = [int(each) for each in child.stdout.readline().split()]
        child.send_signal(signal.SIGKILL)
        rest = [line.split() for line in child.stdout.read().split("\n")[:-1]]
    assert child.returncode == -signal.SIGKILL
    said, written = (int(each) for each in rest[-1]) if rest else told
    return show_id, said, written


@needs_ffmpeg
async def test_kill_9_of_who_films_leaves_every_part_that_is_named_and_every_event_that_was_accepted(
    valkey_socket: str, redis: Redis, sqlite_template: Path, tmp_path: Path
) -> None:
    ledger, data = tmp_path / "ledger.sqlite3", tmp_path / "data"
    shutil.copyfile(sqlite_template, ledger)
    command = [sys.executable, "-m", "tests.gateway.filming", valkey_socket, str(ledger), str(data)]
    show_id, said, written = await asyncio.to_thread(killed, command, PIECES)

    folder = data / "video" / show_id
    recording = Recording(folder)
    recording.refresh()
    timeline = recording.timeline
    assert len(timeline.parts) >= written >= PIECES
    for epoch in timeline.epochs:
        header, reader = recording.header(epoch), Reader()
        assert header is not None
        reader.feed(header)
        for part in (each for each in timeline.parts if each.epoch == epoch):
            data_of_part = recording.parts(part.number, part.number)
            assert data_of_part is not None
            (fragment,) = reader.feed(data_of_part)  # a whole one, and nothing behind it
            assert isinstance(fragment, Fragment)
            assert (fragment.data, fragment.duration_ms) == (data_of_part, part.duration_ms)
    recording.close()
    open_writer(folder).close()  # whoever films next finds no lock

    database = Database(f"sqlite+aiosqlite:///{ledger}")
    await database.start()
    told = [each.event for each in (await events_of(database, show_id)).events if isinstance(each.event, PromiseMade)]
    await database.aclose()
    assert len(told) in (said, said + 1)  # one may have been accepted, and its word lost with the process
    assert f"promise {said - 1}" in str(told[said - 1])
