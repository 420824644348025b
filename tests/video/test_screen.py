"""What players fetch: playlists that wait for what comes next, parts that are served when they are there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from livecommerce.clock import RealClock
from livecommerce.video.playlist import live_playlist
from livecommerce.video.recording import Writer, open_writer
from livecommerce.video.screen import Screen, TooFarAhead
from tests.video.test_recording import HEADER, fragment


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    writer = open_writer(tmp_path)
    writer.begin(HEADER, 0.0)
    for number in range(5):
        writer.add(fragment(number))
    yield writer
    writer.close()


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return Screen(tmp_path, RealClock(), 20.0)


async def test_a_playlist_is_as_new_as_the_disk(screen: Screen, writer: Writer) -> None:
    assert b"4.m4s" in await screen.live()
    writer.add(fragment(5))
    assert b'URI="5.m4s"\n' in await screen.live()
    assert (await screen.live()).decode() == live_playlist(screen.timeline)


async def test_who_asks_for_what_comes_next_gets_it_when_it_is_there(screen: Screen, writer: Writer) -> None:
    waiting = [asyncio.create_task(screen.live(1, 1)) for _ in range(50)]
    part = asyncio.create_task(screen.parts(5, 5))
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    writer.add(fragment(5))

    playlists = await asyncio.gather(*waiting)
    assert len({id(each) for each in playlists}) == 1  # one text for all
    assert b'URI="5.m4s"\n' in playlists[0]
    assert await part == fragment(5).data


async def test_what_is_there_is_answered_at_once(screen: Screen, writer: Writer) -> None:
    assert b"0-3.m4s" in await screen.live(0)
    assert b"0-3.m4s" in await screen.live(0, 9)
    assert b"4.m4s" in await screen.live(1, 0)
    assert await screen.header(0) == b"HEADER"
    assert await screen.parts(0, 3) == b"".join(fragment(number).data for number in range(4))


async def test_who_asks_for_what_cannot_come_next_is_refused(screen: Screen, writer: Writer) -> None:
    with pytest.raises(TooFarAhead):
        await screen.live(5)
    assert await screen.parts(7, 7) is None
    assert await screen.header(3) is None


async def test_nobody_waits_for_ever(tmp_path: Path, writer: Writer) -> None:
    screen = Screen(tmp_path, RealClock(), 0.05)

    assert b'URI="4.m4s"' in await screen.live(2, 0)
    assert await screen.parts(5, 5) is None


async def test_the_end_of_a_show_is_told_to_who_waits(screen: Screen, writer: Writer) -> None:
    waiting, part = asyncio.create_task(screen.live(1, 1)), asyncio.create_task(screen.parts(5, 5))
    await asyncio.sleep(0)
    writer.end(1)

    assert (await waiting).endswith(b"#EXT-X-ENDLIST\n")
    assert await part is None


async def test_a_show_that_filmed_nothing_has_an_empty_playlist(tmp_path: Path) -> None:
    screen = Screen(tmp_path / "nothing", RealClock(), 0.05)

    assert b"#EXTINF" not in await screen.live()
    assert (await screen.replay()).endswith(b"#EXT-X-ENDLIST\n")
