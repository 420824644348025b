"""What players fetch: playlists that wait for what comes next, parts that are served when they are there."""

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from livecommerce.clock import RealClock
from livecommerce.video import screen as screen_module
from livecommerce.video.playlist import live_playlist
from livecommerce.video.recording import Writer, open_writer
from livecommerce.video.screen import Screen, TooFarAhead, View
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
def screen(tmp_path: Path) -> Iterator[Screen]:
    screen = Screen(tmp_path, RealClock(), 20.0)
    yield screen
    screen.close()


async def test_a_playlist_is_as_new_as_the_disk(screen: Screen, writer: Writer) -> None:
    assert b"4.m4s" in (await screen.live()).plain
    writer.add(fragment(5))
    assert b'URI="5.m4s"\n' in (await screen.live()).plain
    assert (await screen.live()).plain.decode() == live_playlist(screen.timeline)
    assert gzip.decompress((await screen.live()).packed) == (await screen.live()).plain


async def test_who_asks_for_what_comes_next_gets_it_when_it_is_there(screen: Screen, writer: Writer) -> None:
    waiting = [asyncio.create_task(screen.live(1, 1)) for _ in range(50)]
    part = asyncio.create_task(screen.parts(5, 5))
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    writer.add(fragment(5))

    playlists = await asyncio.gather(*waiting)
    assert len({id(each) for each in playlists}) == 1  # one text for all
    assert b'URI="5.m4s"\n' in playlists[0].plain
    assert await part == fragment(5).data


async def test_what_is_there_is_answered_at_once(screen: Screen, writer: Writer) -> None:
    assert b"0-3.m4s" in (await screen.live(0)).plain
    assert b"0-3.m4s" in (await screen.live(0, 9)).plain
    assert b"4.m4s" in (await screen.live(1, 0)).plain
    assert await screen.header(0) == b"HEADER"
    assert await screen.parts(0, 3) == b"".join(fragment(number).data for number in range(4))


async def test_who_asks_for_what_cannot_come_next_is_refused(screen: Screen, writer: Writer) -> None:
    with pytest.raises(TooFarAhead):
        await screen.live(5)
    assert await screen.parts(7, 7) is None
    assert await screen.header(3) is None


async def test_nobody_waits_for_ever(tmp_path: Path, writer: Writer) -> None:
    screen = Screen(tmp_path, RealClock(), 0.05)

    assert b'URI="4.m4s"' in (await screen.live(2, 0)).plain
    assert await screen.parts(5, 5) is None


async def test_once_a_show_is_over_nobody_waits_for_what_comes_next(screen: Screen, writer: Writer) -> None:
    over = View(over=True)
    async with asyncio.timeout(10):  # who waits does so for twenty seconds
        assert (await screen.live(1, 1, over)).plain.endswith(b"4.m4s\n#EXT-X-ENDLIST\n")
        assert await screen.parts(5, 5, view=over) is None
    assert b"ENDLIST" not in (await screen.live()).plain


async def test_a_show_that_filmed_nothing_has_an_empty_playlist(tmp_path: Path) -> None:
    screen = Screen(tmp_path / "nothing", RealClock(), 0.05)

    assert b"#EXTINF" not in (await screen.live()).plain
    assert (await screen.replay()).plain.endswith(b"#EXT-X-ENDLIST\n")


async def test_a_part_that_many_want_is_read_once(
    screen: Screen, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[tuple[int, int]] = []
    read = screen._recording.parts
    monkeypatch.setattr(screen._recording, "parts", lambda *span: reads.append(span) or read(*span))

    answers = await asyncio.gather(*(screen.parts(2, 2) for _ in range(50)), screen.parts(0, 3))

    assert sorted(reads) == [(0, 3), (2, 2)]
    assert set(answers[:50]) == {fragment(2).data}


async def test_parts_are_kept_within_a_bound_and_come_from_the_disk_again(
    screen: Screen, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecommerce.video.screen.KEPT_BYTES_MAX", 2500)
    for number in (0, 1, 2, 3, 0):
        assert await screen.parts(number, number) == fragment(number).data
        assert screen._kept_bytes == 1000 * len(screen._kept) <= 2500


async def test_a_part_that_could_not_be_read_is_asked_of_the_disk_again(
    screen: Screen, writer: Writer, tmp_path: Path
) -> None:
    film = tmp_path / "0.mp4"
    film.rename(tmp_path / "away")
    assert await screen.parts(1, 1) is None
    (tmp_path / "away").rename(film)
    assert await screen.parts(1, 1) == fragment(1).data


async def test_a_replay_or_a_clip_is_written_once_for_all_who_want_it_and_never_by_the_loop(
    screen: Screen, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evening's takes some hundredths of a second, in which nobody else would be served."""
    threads: list[int] = []
    written = screen_module.replay_playlist
    monkeypatch.setattr(
        screen_module, "replay_playlist", lambda *asked: threads.append(threading.get_ident()) or written(*asked)
    )
    for clip in ((None, None), (0, 500)):
        answers = await asyncio.gather(*(screen.replay(*clip) for _ in range(50)))
        assert len({id(each) for each in answers}) == 1
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_clips_are_kept_within_a_bound(screen: Screen, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.video.screen.REPLAYS_MAX", 3)
    first, second = await screen.replay(0, 500), await screen.replay(0, 600)
    await screen.replay(0, 700)
    assert await screen.replay(0, 500) is first
    await screen.replay(0, 800)
    assert len(screen._replays) == 3
    assert await screen.replay(0, 500) is first
    assert await screen.replay(0, 600) is not second


async def test_a_replay_that_could_not_be_written_is_written_the_next_time(
    screen: Screen, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(screen_module, "replay_playlist", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await screen.replay()
    assert b"0-4.m4s" in (await screen.replay()).plain


async def test_a_whole_replay_is_written_once_for_all(screen: Screen, writer: Writer) -> None:
    assert (await screen.replay()).plain is (await screen.replay()).plain
    writer.add(fragment(5))
    assert b"4-5.m4s" not in (await screen.replay()).plain
    assert b"0-5.m4s" in (await screen.replay()).plain
