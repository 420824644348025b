"""Films on air: what should run, and where in it the programme is, by the clock alone."""

from typing import Any

import pytest

from livecommerce.gateway.showings import Running, place_ms, should_run
from livecommerce.protocol.facts import ShowFacts, VideoFacts
from livecommerce.video.film import FilmFacts

TEN_SECONDS = FilmFacts("f1", "evening.mp4", 1, 10_000, 1, 1, "mov", False, False, 0)


@pytest.mark.parametrize(
    ("since_ms", "loop", "at_ms"),
    [
        (0, False, 0), (-500, False, 0), (3000, False, 3000), (8400, False, 8400), (8600, False, None),
        (10_000, False, None), (10_000, True, 0), (23_000, True, 3000), (19_000, True, None),
    ],
)  # fmt: skip
def test_where_a_film_is_follows_from_the_clock(since_ms: int, loop: bool, at_ms: int | None) -> None:
    running = Running("f1", 1_000_000, loop)
    assert place_ms(running, TEN_SECONDS, 1_000_000 + since_ms) == at_ms


def show(status: Any = "live", source: str = "film", started_at_ms: int | None = 5) -> ShowFacts:
    video = VideoFacts("own", source=source, started_at_ms=started_at_ms, loop=True)
    return ShowFacts("shw_1", "Evening", "open_house", status, "Mei", "public", video)


def test_a_film_runs_while_its_show_is_on_air_has_it_as_its_picture_and_began() -> None:
    wanted = Running("f1", 5, True)
    assert should_run(show(), TEN_SECONDS) == wanted
    assert should_run(show("interrupted"), TEN_SECONDS) == wanted
    for status in ("draft", "scheduled", "ended", "cancelled"):
        assert should_run(show(status), TEN_SECONDS) is None
    assert should_run(show(source="own"), TEN_SECONDS) is None
    assert should_run(show(started_at_ms=None), TEN_SECONDS) is None
    assert should_run(show(), None) is None
