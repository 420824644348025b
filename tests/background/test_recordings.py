"""Recordings that are older than the merchant keeps them go, and are said to be gone; all others stay."""

import dataclasses
import os
from pathlib import Path

import pytest
from sqlalchemy import select

from livecommerce.background.recordings import WATCHED_MS, RecordingsDuty
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import show_log, shows
from livecommerce.protocol import from_host as c
from livecommerce.settings import Settings
from livecommerce.shows.recordings import DAY_MS
from livecommerce.video.recording import open_writer, used_by
from livecommerce.video.screen import Screen
from tests.shows.conftest import world
from tests.shows.world import HOST, World
from tests.video.test_recording import HEADER, fragment

__all__ = ["world"]
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

DAYS = 30


def duty(world: World, settings: Settings, clock: TestClock, days: int = DAYS) -> RecordingsDuty:
    kept = dataclasses.replace(settings, video_keep_days=days)
    return RecordingsDuty(world.shows.recordings, world.database, kept, clock)


def filmed(settings: Settings, show_id: str) -> Path:
    folder = settings.data / "video" / show_id
    writer = open_writer(folder)
    writer.begin(HEADER, 0.0)
    writer.add(fragment(0))
    writer.close()
    return folder


async def over(world: World, settings: Settings) -> tuple[str, Path]:
    show = await world.show()
    await world.do(show.show_id, c.End())
    return show.show_id, filmed(settings, show.show_id)


async def state_of(world: World, show_id: str) -> str:
    async with world.database.read() as connection:
        return str((await connection.execute(select(shows.c.recording).where(shows.c.id == show_id))).scalar_one())


async def test_what_is_too_old_goes_and_what_is_not_stays(world: World, settings: Settings, clock: TestClock) -> None:
    old_id, old = await over(world, settings)
    await clock.advance((DAYS * DAY_MS - 1) / 1000)
    new_id, new = await over(world, settings)
    await duty(world, settings, clock).run(1)
    assert used_by(old).bytes == used_by(new).bytes == 1006

    await clock.advance(0.001)
    await duty(world, settings, clock).run(1)
    assert not old.exists()
    assert used_by(new).bytes == 1006
    assert (await state_of(world, old_id), await state_of(world, new_id)) == ("removed", "")
    async with world.database.read() as connection:
        query = select(show_log.c.body).where(show_log.c.show_id == old_id, show_log.c.kind == "clock")
        [told] = (await connection.execute(query)).scalars()
    assert "recording_removed" in told
    assert "1006" in told


async def test_by_default_nothing_ever_goes(world: World, settings: Settings, clock: TestClock) -> None:
    show_id, folder = await over(world, settings)
    await clock.advance(10_000 * DAY_MS / 1000)
    await duty(world, settings, clock, settings.video_keep_days).run(1)
    assert used_by(folder).bytes == 1006
    assert await state_of(world, show_id) == ""


async def test_what_the_merchant_keeps_stays_until_she_lets_it_go(
    world: World, settings: Settings, clock: TestClock
) -> None:
    show_id, folder = await over(world, settings)
    assert await world.shows.recordings.keep(HOST, show_id, True) == "kept"
    await clock.advance(DAYS * DAY_MS / 1000)
    await duty(world, settings, clock).run(1)
    assert folder.exists()
    assert await world.shows.recordings.keep(HOST, show_id, False) == ""
    await duty(world, settings, clock).run(1)
    assert not folder.exists()
    with pytest.raises(Refused) as refused:
        await world.shows.recordings.keep(HOST, show_id, True)
    assert refused.value.why is R.GONE
    assert await state_of(world, show_id) == "removed"


async def test_what_is_being_filmed_or_watched_stays(world: World, settings: Settings, clock: TestClock) -> None:
    show_id, folder = await over(world, settings)
    await clock.advance(DAYS * DAY_MS / 1000)
    writer = open_writer(folder)
    await duty(world, settings, clock).run(1)
    writer.close()
    assert (folder.exists(), await state_of(world, show_id)) == (True, "")

    screen = Screen(folder, clock, 1.0)
    await screen.open()
    await screen.replay(0, 500)  # a clip
    screen.close()
    await duty(world, settings, clock).run(1)
    assert (folder.exists(), await state_of(world, show_id)) == (True, "")
    await clock.advance(WATCHED_MS / 1000)
    await duty(world, settings, clock).run(1)
    assert not folder.exists()


async def test_a_show_that_is_not_over_keeps_its_recording(world: World, settings: Settings, clock: TestClock) -> None:
    show = await world.show()
    folder = filmed(settings, show.show_id)
    await clock.advance(DAYS * DAY_MS / 1000)
    await duty(world, settings, clock).run(1)
    assert folder.exists()


async def test_what_a_death_left_of_a_removed_recording_goes_with_the_next_turn(
    world: World, settings: Settings, clock: TestClock
) -> None:
    show_id, folder = await over(world, settings)
    await world.shows.recordings.removed(show_id, 1006)  # and then the worker died
    await duty(world, settings, clock, 0).run(1)
    assert not folder.exists()


async def test_a_folder_that_is_no_shows_is_left_alone_and_one_that_cannot_go_is_tried_again(
    world: World, settings: Settings, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.data / "video" / "lost+found").mkdir(parents=True)
    show_id, folder = await over(world, settings)
    await clock.advance(DAYS * DAY_MS / 1000)

    def busy(*_: object) -> None:
        raise OSError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", busy)
        await duty(world, settings, clock).run(1)
    assert (folder / "0.mp4").exists()
    assert await state_of(world, show_id) == "removed"
    await duty(world, settings, clock).run(1)
    assert not folder.exists()
    assert (settings.data / "video" / "lost+found").exists()
