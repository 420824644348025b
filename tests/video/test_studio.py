"""All shows' pictures in one process: what players look at is let go when nobody has for a while."""

from collections.abc import AsyncIterator

import pytest

from livecommerce.clock import TestClock
from livecommerce.ids import new_id
from livecommerce.settings import Settings
from livecommerce.video.recording import open_writer
from livecommerce.video.studio import Studio
from tests.video.test_recording import HEADER, fragment

ONE, OTHER = new_id("shw"), new_id("shw")


@pytest.fixture
async def studio(settings: Settings, clock: TestClock) -> AsyncIterator[Studio]:
    studio = Studio(settings, clock)
    for show_id in (ONE, OTHER):
        writer = open_writer(studio.folder_of(show_id))
        writer.begin(HEADER, 0.0)
        writer.add(fragment(0))
        writer.close()
    yield studio
    await studio.aclose()


async def test_what_players_looked_at_goes_two_minutes_after_the_last_of_them_and_nothing_need_happen_for_it(
    studio: Studio, clock: TestClock
) -> None:
    screen = await studio.screen(ONE)
    await clock.advance(60)
    await (await studio.screen(OTHER)).live()
    await clock.advance(50)
    await screen.live()
    await clock.advance(119)
    assert list(studio._screens) == [ONE]
    assert screen._recording._index >= 0
    await clock.advance(2)
    assert studio._screens == {}
    assert screen._recording._index < 0  # its file is closed

    again = await studio.screen(ONE)
    assert again is not screen
    assert await again.parts(0, 0) == fragment(0).data
    await clock.advance(121)
    assert studio._screens == {}
