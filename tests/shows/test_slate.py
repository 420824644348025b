"""The slate over the picture: the table of who puts it there and takes it away, its histories, and what the desk and
the holders hear of a break."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import HoldsLengthened, Interruption, ShowFacts, ShowStatus, VideoFacts
from livecommerce.reservations.lengthening import BREAK_MS_MAX
from livecommerce.shows import log as show_log
from livecommerce.shows import slate
from livecommerce.shows.commands import decide, decide_picture
from livecommerce.shows.pictures import BACK_BEATS, PictureReport, PictureWatch
from livecommerce.shows.plans import EditShow, NewVideo
from livecommerce.shows.slate import Happening, Slate
from livecommerce.shows.state import NOTHING
from tests.shows.test_lifecycle import HOST as ACTOR
from tests.shows.test_lifecycle import NOW_MS, state
from tests.shows.world import ANA, BEA, HOST, World

STATUSES: tuple[ShowStatus, ...] = get_args(ShowStatus)
ON_AIR = ("live", "interrupted")

# (status, slate) → what each happening makes of it, written out once more, by hand, as a person would tell it.
STORY: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    ("live", ""): {"lost": ("interrupted", "camera"), "interrupt": ("interrupted", "host")},
    ("live", "waived"): {"back": ("live", ""), "interrupt": ("interrupted", "host")},
    ("interrupted", "camera"): {
        "back": ("live", ""), "interrupt": ("interrupted", "host"), "go_live": ("live", "waived"),
    },
    ("interrupted", "host"): {"go_live": ("live", "")},
}  # fmt: skip


def show(status: ShowStatus, kept_by: Slate = "", number: int = 3) -> ShowFacts:
    """Facts with this slate, in its third interruption."""
    facts = ShowFacts("shw_1", "Evening", "open_house", status, "Clara", "public", VideoFacts("own"))
    if kept_by in ("host", "camera"):
        told = Interruption(number, kept_by, NOW_MS - 60_000)
    else:
        told = Interruption(number, "camera", NOW_MS - 60_000, NOW_MS - 50_000, waived=kept_by == "waived")
    return msgspec.structs.replace(facts, interruption=told)


@pytest.mark.parametrize("happening", get_args(Happening))
@pytest.mark.parametrize("kept_by", get_args(Slate))
@pytest.mark.parametrize("status", STATUSES)
def test_a_slate_moves_only_as_the_table_says(status: ShowStatus, kept_by: Slate, happening: Happening) -> None:
    if (status == "interrupted") != (kept_by in ("host", "camera")):
        return  # there is no such show
    expected = STORY.get((status, kept_by), {}).get(happening)
    before = show(status, kept_by)
    after = slate.happened(before, happening, NOW_MS)
    if expected is None:
        assert after is None
        return
    assert after is not None
    assert (after.status, slate.slate_of(after)) == expected
    assert after.interruption is not None
    begins = status == "live" and after.status == "interrupted"
    assert after.interruption.number == (4 if begins else 3)
    if after.status == "interrupted":
        assert after.interruption.ended_at_ms is None
        assert after.interruption.began_at_ms == (NOW_MS if begins else NOW_MS - 60_000)
    elif status == "interrupted":
        assert after.interruption.ended_at_ms == NOW_MS


def test_the_story_above_is_the_whole_table() -> None:
    told = {(*before, happening): after for before, moves in STORY.items() for happening, after in moves.items()}
    assert told == dict(slate.MOVES)


def test_a_break_begins_when_the_picture_was_seen_last_and_never_before_the_last_break_ended() -> None:
    long_ago = slate.happened(show("live"), "lost", NOW_MS, 5_000)
    assert long_ago is not None
    assert long_ago.interruption is not None
    assert long_ago.interruption.began_at_ms == NOW_MS - 5_000
    at_once = slate.happened(show("live"), "lost", NOW_MS, 90_000)
    assert at_once is not None
    assert at_once.interruption is not None
    assert at_once.interruption.began_at_ms == NOW_MS - 50_000


def test_an_interruption_of_before_slates_had_keepers_is_the_hosts() -> None:
    old = msgspec.structs.replace(show("live"), status="interrupted", interruption=None)
    assert slate.slate_of(old) == "host"
    assert slate.happened(old, "back", NOW_MS) is None
    after = slate.happened(old, "go_live", NOW_MS)
    assert after is not None
    assert after.status == "live"


def test_the_machine_does_nothing_that_is_none_of_its_business() -> None:
    assert decide_picture(state("live", facts=show("interrupted", "host")), "back") == NOTHING
    assert decide_picture(state("live", facts=show("ended")), "lost") == NOTHING
    with pytest.raises(Refused) as refused:  # her own slate is there already
        decide(state(facts=show("interrupted", "host")), c.Interrupt("again"), ACTOR)
    assert refused.value.why is R.WRONG_STATE


class Evenings(RuleBasedStateMachine):
    """Whatever happens in whatever order: nobody's slate is taken away by the other, and no show ends by it."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = msgspec.structs.replace(show("live"), interruption=None)
        self.now_ms = NOW_MS
        self.keeper = ""  # as a person would remember it
        self.breaks = 0

    @rule(happening=st.sampled_from(get_args(Happening)), later_ms=st.integers(1, 90_000))
    def happens(self, happening: Happening, later_ms: int) -> None:
        self.now_ms += later_ms
        was, keeper = self.facts.status, self.keeper
        after = slate.happened(self.facts, happening, self.now_ms)
        if keeper == "host":
            assert (after is None) == (happening != "go_live")
        if after is None:
            return
        if was == "live" and after.status == "interrupted":
            self.breaks += 1
        if after.status == "interrupted":
            self.keeper = "host" if happening == "interrupt" else keeper or "camera"
        else:
            self.keeper = ""
        self.facts = after

    @invariant()
    def it_is_on_air_and_the_newest_break_is_told(self) -> None:
        told = self.facts.interruption
        assert self.facts.status in ON_AIR
        assert (told.number if told else 0) == self.breaks
        if self.facts.status == "interrupted":
            assert told is not None
            assert (told.by, told.ended_at_ms) == (self.keeper, None)
        elif told is not None:
            assert told.ended_at_ms is not None
            assert told.began_at_ms < told.ended_at_ms <= self.now_ms


Evenings.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
TestEvenings = Evenings.TestCase


# --- what is known of the picture ------------------------------------------------------------------------------------


def test_a_picture_that_stands_still_is_lost_and_one_that_moves_twice_is_back() -> None:
    watch = PictureWatch(5.0)
    assert watch.look({"shw": 7}, 100.0) == {}
    assert watch.look({"shw": 8}, 104.0) == {}
    assert watch.look({"shw": 8}, 108.9) == {}
    assert watch.look({"shw": 8}, 109.0) == {"shw": "lost"}
    assert watch.look({"shw": 9}, 110.0) == {}  # one piece may be the last of a flapping line
    assert watch.look({"shw": 9 + BACK_BEATS - 1}, 111.0) == {"shw": "back"}
    assert watch.look({"shw": 9 + BACK_BEATS - 1}, 116.0) == {"shw": "lost"}


def test_who_looks_for_the_first_time_waits_as_long_again_and_takes_nothing_for_back() -> None:
    watch = PictureWatch(5.0)
    assert watch.look({"shw": 900}, 0.0) == {}
    assert watch.look({"shw": 900}, 4.9) == {}
    assert watch.look({}, 5.0) == {}  # off air: forgotten
    assert watch.look({"shw": 900}, 6.0) == {}
    assert watch.look({"shw": 900}, 11.0) == {"shw": "lost"}


# --- over real rows and a real Redis ---------------------------------------------------------------------------------


@pytest.fixture
async def filmed(world: World) -> ShowFacts:
    """A show on air whose camera has sent a picture."""
    facts = await world.show()
    await world.shows.planning.edit(HOST, facts.show_id, EditShow(video=NewVideo("own")))
    await world.shows.filmed.report([PictureReport(facts.show_id, came=True)])
    await world.shows.filmed.watch()
    return facts


async def standing(world: World, show_id: str) -> tuple[str, str]:
    facts = (await world.shows.for_staff(HOST, show_id)).show
    return facts.status, slate.slate_of(facts)


async def pass_seconds(world: World, clock: TestClock, seconds: int, *reports: PictureReport) -> None:
    """Second by second, with the same reports in each, as the process that films makes them."""
    for _ in range(seconds):
        await clock.advance(1.0)
        if reports:
            await world.shows.filmed.report(reports)
        await world.shows.filmed.watch()


async def log_of(world: World, show_id: str, kind: str) -> list[Any]:
    async with world.database.read() as connection:
        return [row.body for row in await show_log.page(connection, show_id, 0, 1000) if row.kind == kind]


async def test_a_camera_that_is_lost_brings_a_slate_which_goes_when_it_is_back(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    show_id = filmed.show_id
    gone = PictureReport(show_id, came=False, away="ffmpeg", said="moov atom not found")
    await pass_seconds(world, clock, 4, gone)
    assert await standing(world, show_id) == ("live", "")
    await pass_seconds(world, clock, 2)
    assert await standing(world, show_id) == ("interrupted", "camera")
    told = await world.shows.for_staff(HOST, show_id)
    assert told.picture is not None
    assert (told.picture.away, told.picture.said) == ("ffmpeg", "moov atom not found")
    assert (await log_of(world, show_id, "clock"))[-1] == {
        "step": "picture_lost", "away": "ffmpeg", "said": "moov atom not found",
    }  # fmt: skip

    await pass_seconds(world, clock, 1, PictureReport(show_id, came=True))
    assert await standing(world, show_id) == ("interrupted", "camera")
    await pass_seconds(world, clock, 1, PictureReport(show_id, came=True))
    assert await standing(world, show_id) == ("live", "")
    facts = (await world.shows.for_staff(HOST, show_id)).show
    assert facts.interruption is not None
    assert (facts.interruption.number, facts.interruption.by) == (1, "camera")
    assert facts.ended_at_ms is None


async def test_deals_go_on_selling_and_the_talk_goes_on_behind_the_slate(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    card = await world.card(filmed.show_id)
    await world.do(filmed.show_id, c.ShowCard(card.card_id))
    await pass_seconds(world, clock, 6)
    assert await standing(world, filmed.show_id) == ("interrupted", "camera")

    hold = await world.engine.reserve(filmed.show_id, ANA, "rid-slate1", [(card.deals[0].deal_id, 1)])
    assert hold.state == "held"
    assert await world.do(filmed.show_id, c.Announce("we go on")) == "done"


async def test_the_worker_dies_with_the_slate_up_and_its_successor_takes_it_away(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    await pass_seconds(world, clock, 6)
    successor = world.process()
    await successor.filmed.watch()
    for _ in range(2):
        assert await standing(world, filmed.show_id) == ("interrupted", "camera")
        await world.shows.filmed.report([PictureReport(filmed.show_id, came=True)])
        await successor.filmed.watch()
    assert await standing(world, filmed.show_id) == ("live", "")


async def test_two_workers_that_look_at_once_put_up_one_slate(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    other = world.process()
    await other.filmed.watch()
    await clock.advance(6.0)
    await world.shows.filmed.watch()
    await other.filmed.watch()
    assert len(await log_of(world, filmed.show_id, "clock")) == 1


async def test_her_own_slate_stays_whatever_the_camera_does_and_hers_takes_over_the_machines(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    show_id, came = filmed.show_id, PictureReport(filmed.show_id, came=True)
    await world.do(show_id, c.Interrupt("back in a minute"))
    await pass_seconds(world, clock, 6)
    await pass_seconds(world, clock, 3, came)
    assert await standing(world, show_id) == ("interrupted", "host")
    await world.do(show_id, c.GoLive())
    await pass_seconds(world, clock, 6)
    assert await standing(world, show_id) == ("interrupted", "camera")
    await world.do(show_id, c.Interrupt("I am coming"))
    await pass_seconds(world, clock, 3, came)
    assert await standing(world, show_id) == ("interrupted", "host")


async def test_a_host_who_goes_on_without_a_picture_is_left_alone_until_it_was_back(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    show_id = filmed.show_id
    await pass_seconds(world, clock, 6)
    await world.do(show_id, c.GoLive())
    await pass_seconds(world, clock, 20)
    assert await standing(world, show_id) == ("live", "waived")
    await pass_seconds(world, clock, 2, PictureReport(show_id, came=True))
    assert await standing(world, show_id) == ("live", "")
    await pass_seconds(world, clock, 6)
    assert await standing(world, show_id) == ("interrupted", "camera")


async def test_a_show_that_nobody_films_or_that_shows_a_clip_has_no_slate_of_the_machine(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    never = await world.show()
    await world.shows.planning.edit(HOST, never.show_id, EditShow(video=NewVideo("own")))
    await pass_seconds(world, clock, 6)
    assert await standing(world, never.show_id) == ("live", "")
    assert await standing(world, filmed.show_id) == ("interrupted", "camera")
    await world.shows.planning.edit(HOST, filmed.show_id, EditShow(video=NewVideo("file", "/media/clip.mp4")))
    await pass_seconds(world, clock, 1)
    assert await standing(world, filmed.show_id) == ("live", "")
    await pass_seconds(world, clock, 20)
    assert await standing(world, filmed.show_id) == ("live", "")


# --- lengthening -----------------------------------------------------------------------------------------------------


async def held(world: World, show_id: str) -> str:
    """A card on the picture, and a unit of it in two hands; the deal."""
    card = await world.card(show_id)
    await world.do(show_id, c.ShowCard(card.card_id))
    deal_id = card.deals[0].deal_id
    for who in (ANA, BEA):
        await world.engine.reserve(show_id, who, "rid-slate1", [(deal_id, 1)])
    return deal_id


async def due_of(world: World, show_id: str, who: Any = ANA) -> int:
    [hold] = await world.engine.holds_of(show_id, who.viewer_id)
    assert hold.due_at_ms is not None
    return hold.due_at_ms


async def test_one_tap_lengthens_what_is_held_by_the_break_and_a_second_is_refused_in_words(
    world: World, clock: TestClock, filmed: ShowFacts
) -> None:
    show_id = filmed.show_id
    await held(world, show_id)
    await pass_seconds(world, clock, 6)
    await pass_seconds(world, clock, 40)
    await pass_seconds(world, clock, 2, PictureReport(show_id, came=True))
    before = await due_of(world, show_id) - clock.now_ms()

    assert await world.do(show_id, c.LengthenHolds(1)) == "done"
    facts = (await world.shows.for_staff(HOST, show_id)).show
    assert facts.interruption is not None
    break_ms = facts.interruption.lengthened_ms
    assert 46_000 <= break_ms <= 48_000  # from the last picture, not from the slate
    # The engine's clock is Redis' own, and ran a little meanwhile: by two seconds a call at most.
    assert abs(await due_of(world, show_id) - clock.now_ms() - before - break_ms) < 15_000
    assert (await log_of(world, show_id, "lengthened")) == [
        {"number": 1, "break_ms": break_ms, "holds": 2, "capped": 0}
    ]
    after = await due_of(world, show_id)
    with pytest.raises(Refused, match=f"lengthened for this break already, by {round(break_ms / 1000)} s") as refused:
        await world.do(show_id, c.LengthenHolds(1))
    assert refused.value.why is R.LENGTHENED
    assert after - await due_of(world, show_id) < 15_000


@pytest.mark.parametrize(("number", "why"), [(1, R.NOT_FOUND), (2, R.CONFLICT)])
async def test_a_break_that_is_not_there_or_not_the_newest_lengthens_nothing(
    world: World, clock: TestClock, filmed: ShowFacts, number: int, why: R
) -> None:
    await held(world, filmed.show_id)
    if why is R.CONFLICT:
        await world.do(filmed.show_id, c.Interrupt())
    with pytest.raises(Refused) as refused:
        await world.do(filmed.show_id, c.LengthenHolds(number))
    assert refused.value.why is why
    assert await log_of(world, filmed.show_id, "lengthened") == []


async def test_a_break_of_hours_lengthens_by_an_hour(world: World, clock: TestClock, filmed: ShowFacts) -> None:
    await world.do(filmed.show_id, c.Interrupt())
    await clock.advance(3 * 3600.0)
    await world.do(filmed.show_id, c.LengthenHolds(1))
    facts = (await world.shows.for_staff(HOST, filmed.show_id)).show
    assert facts.interruption is not None
    assert facts.interruption.lengthened_ms == BREAK_MS_MAX


async def test_a_process_that_dies_after_the_tap_leaves_it_to_the_next_which_lengthens_once(
    world: World, clock: TestClock, filmed: ShowFacts, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tap is committed; the engine did it; the process died before it could say so."""
    show_id = filmed.show_id
    await held(world, show_id)
    await world.do(show_id, c.Interrupt())
    await clock.advance(30.0)

    publish = world.shows.news.publish_logged

    async def dies(show_id: str, rows: Any) -> Any:
        if isinstance(rows[0][2], HoldsLengthened):
            raise Refused(R.BUSY)
        return await publish(show_id, rows)

    before = await due_of(world, show_id)

    with monkeypatch.context() as patched:
        patched.setattr(world.shows.news, "publish_logged", dies)
        assert await world.do(show_id, c.LengthenHolds(1)) == "done"
    after = await due_of(world, show_id)
    assert abs(after - before - 30_000) < 15_000
    successor = world.process()
    await successor.programme.due_changes()

    assert abs(await due_of(world, show_id) - after) < 15_000
    async with world.database.read() as connection:
        assert await show_log.unpublished(connection, show_id) == []
        events = await show_log.events_of_kinds(connection, show_id, ("holds_lengthened",))
    assert events == [HoldsLengthened(1, 30_000)]
