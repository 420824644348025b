"""The engine's verbs on the real script: every answer, every refusal, and on refusal that nothing moved."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, HoldLine, Level
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.relay_format import attribution_of, hold_from_relay, record
from livecommerce.reservations.states import ENDED, State
from livecommerce.settings import Settings
from tests.redis_servers import WAIT_SECONDS, listening
from tests.reservations.conftest import HOLD_MS, PAY_MS, SHOW, deal, viewer

Turn = Callable[[int], Awaitable[None]]
Books = Callable[[], Awaitable[dict[str, Any]]]
OFFER_MS = 60_000
RID = "rid-0001"


async def level(engine: ReservationEngine, deal_id: str = "dl_a") -> Level:
    return (await engine.levels(SHOW))[1][deal_id]


async def refused(asked: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await asked
    return caught.value


async def hold_in(engine: ReservationEngine, turn: Turn, state: str) -> tuple[str, str]:
    """A hold of one unit of a deal with one unit, brought to `state`; (viewer_id, rid)."""
    await engine.put_deal(SHOW, deal(quota=1))
    who = viewer(1)
    if state in ("waiting", "offered", "lapsed"):
        await engine.reserve(SHOW, viewer(2), "rid-of-another", [("dl_a", 1)])
    await engine.reserve(SHOW, who, RID, [("dl_a", 1)], wait=True)
    if state in ("offered", "lapsed"):
        await engine.release(SHOW, "vw_2", "rid-of-another")
    if state == "lapsed":
        await turn(OFFER_MS)
        await engine.heartbeat(SHOW)
    if state in ("paying", "confirmed", "cancelled", "pay-expired"):
        await engine.begin_pay(SHOW, who.viewer_id, RID, PAY_MS)
    if state == "confirmed":
        await engine.settle(SHOW, who.viewer_id, RID)
    if state == "cancelled":
        await engine.free(SHOW, who.viewer_id, RID, "cancelled")
    if state == "released":
        await engine.release(SHOW, who.viewer_id, RID)
    if state == "expired":
        await turn(HOLD_MS)
        await engine.heartbeat(SHOW)
    return who.viewer_id, RID


# --- reserve ----------------------------------------------------------------------------------------------------------


async def test_a_hold_has_its_lines_a_ticket_an_end_and_a_token(engine: ReservationEngine, clock: TestClock) -> None:
    await engine.put_deal(SHOW, deal())
    hold = await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 2)])
    assert (hold.state, hold.lines, hold.ticket, hold.place) == ("held", (HoldLine("dl_a", 2),), 1, None)
    assert hold.due_at_ms == clock.now_ms() + HOLD_MS
    promise = engine.promise_of(hold.token)
    assert promise is not None
    assert (promise.viewer_id, promise.rid, promise.lines, promise.due_at_ms, promise.level) == (
        "vw_1", RID, (("dl_a", 2),), hold.due_at_ms, "soft",
    )  # fmt: skip
    assert await level(engine) == Level(0, 2, 0, 0, 0)


async def test_the_record_credits_advisor_shop_and_link(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    raw = await redis.hget(keys.rids(SHOW), f"vw_1/{RID}")
    assert attribution_of(record(raw)) == ("ac_1", "ou_1", "ln_1")


async def test_the_same_rid_answers_the_same_hold_and_takes_nothing_more(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal())
    first = await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    second = await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    assert (second.ticket, second.state) == (first.ticket, "held")
    assert await level(engine) == Level(1, 1, 0, 0, 0)


async def test_the_same_rid_of_another_viewer_is_another_request(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal())
    first = await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    second = await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)])
    assert (first.ticket, second.ticket) == (1, 2)


async def test_an_ended_hold_answers_its_end_to_whoever_asks_again(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(HOLD_MS)
    assert (await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])).state == "expired"
    assert await level(engine) == Level(2, 0, 0, 0, 0)


async def test_a_cart_takes_every_line_or_none(engine: ReservationEngine, books: Books) -> None:
    await engine.put_deal(SHOW, deal("dl_a", 2))
    await engine.put_deal(SHOW, deal("dl_b", 1))
    before = await books()
    no = await refused(engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1), ("dl_b", 2)]))
    assert (no.why, no.facts["deal_id"]) == (R.SOLD_OUT, "dl_b")
    assert await books() == before
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1), ("dl_b", 1)])
    assert (await level(engine, "dl_a"), await level(engine, "dl_b")) == (Level(1, 1, 0, 0, 0), Level(0, 1, 0, 0, 0))


async def test_two_lines_of_one_deal_are_counted_together(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1, limit=2))
    no = await refused(engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1), ("dl_a", 1)]))
    assert no.why is R.SOLD_OUT


async def _nothing(_engine: ReservationEngine) -> None:
    """No preparation."""


async def _first_hold(engine: ReservationEngine) -> None:
    await engine.reserve(SHOW, viewer(1), "rid-first", [("dl_a", 1)])


async def _two_held_by_others(engine: ReservationEngine) -> None:
    await engine.reserve(SHOW, viewer(8), "rid-first", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(9), "rid-first", [("dl_a", 1)])


async def _she_waits(engine: ReservationEngine) -> None:
    await _two_held_by_others(engine)
    await engine.reserve(SHOW, viewer(1), "rid-first", [("dl_a", 1)], wait=True)


async def _closed(engine: ReservationEngine) -> None:
    await engine.set_deal_status(SHOW, "dl_a", "closed")


async def _closing(engine: ReservationEngine) -> None:
    await _first_hold(engine)
    await engine.set_deal_status(SHOW, "dl_a", "closing")


async def _many_live_holds(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal("dl_many", 100, limit=100))
    await asyncio.gather(*(engine.reserve(SHOW, viewer(1), f"rid-many-{n}", [("dl_many", 1)]) for n in range(24)))


REFUSALS = [
    # name, preparation, rid, lines, wait, refusal, facts
    ("a short rid", _nothing, "short", [("dl_a", 1)], False, R.RID_INVALID, {}),
    ("a rid with a slash", _nothing, "rid/0001", [("dl_a", 1)], False, R.RID_INVALID, {}),
    ("another body", _first_hold, "rid-first", [("dl_a", 2)], False, R.RID_REUSED, {}),
    ("the wish to wait is of the body", _first_hold, "rid-first", [("dl_a", 1)], True, R.RID_REUSED, {}),
    ("one line more", _first_hold, "rid-first", [("dl_a", 1), ("dl_a", 1)], False, R.RID_REUSED, {}),
    ("no lines", _nothing, RID, [], False, R.MALFORMED, {}),
    ("nine lines", _nothing, RID, [("dl_a", 1)] * 9, False, R.MALFORMED, {}),
    ("an unknown deal", _nothing, RID, [("dl_x", 1)], False, R.UNKNOWN_DEAL, {"deal_id": "dl_x"}),
    ("a hostile deal", _nothing, RID, [("dl/\ud800 é", 1)], False, R.UNKNOWN_DEAL, {}),
    ("unknown before quantity", _nothing, RID, [("dl_x", 0)], False, R.UNKNOWN_DEAL, {}),
    ("none", _nothing, RID, [("dl_a", 0)], False, R.QUANTITY, {"most": 2}),
    ("less than none", _nothing, RID, [("dl_a", -1)], False, R.QUANTITY, {"most": 2}),
    ("more than the limit at once", _nothing, RID, [("dl_a", 3)], False, R.QUANTITY, {"most": 2}),
    ("an absurd number", _nothing, RID, [("dl_a", 2**70)], False, R.QUANTITY, {"most": 1000}),
    ("a large number", _nothing, RID, [("dl_a", 2**53)], False, R.QUANTITY, {"most": 2}),
    ("a deal that opens later", _nothing, RID, [("dl_soon", 1)], False, R.DEAL_NOT_OPEN, {"deal_id": "dl_soon"}),
    ("a closed deal", _closed, RID, [("dl_a", 1)], False, R.DEAL_CLOSED, {"deal_id": "dl_a"}),
    ("a closing deal", _closing, RID, [("dl_a", 1)], False, R.DEAL_CLOSED, {"deal_id": "dl_a"}),
    ("too many live holds", _many_live_holds, RID, [("dl_many", 1)], False, R.TOO_MANY, {}),
    ("the limit", _first_hold, RID, [("dl_a", 2)], False, R.LIMIT, {"limit": 2, "yours": 1}),
    ("the limit over two lines", _nothing, RID, [("dl_a", 1), ("dl_a", 2)], False, R.LIMIT, {"limit": 2, "yours": 0}),
    ("the limit before the stock", _she_waits, RID, [("dl_a", 2)], False, R.LIMIT, {"yours": 1}),
    ("a second place in the line", _she_waits, RID, [("dl_a", 1)], True, R.ALREADY_WAITING, {"deal_id": "dl_a"}),
    ("sold out", _two_held_by_others, RID, [("dl_a", 1)], False, R.SOLD_OUT,
     {"available": 0, "held": 2, "paying": 0, "sold": 0, "waiting": 0, "place": 1}),
    ("a cart cannot wait", _two_held_by_others, RID, [("dl_a", 1), ("dl_b", 1)], True, R.SOLD_OUT, {}),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "rid", "lines", "wait", "why", "facts"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])  # noqa: E501  # fmt: skip
async def test_a_refusal_moves_nothing(
    engine: ReservationEngine,
    books: Books,
    prepare: Callable[[ReservationEngine], Awaitable[None]],
    rid: str,
    lines: list[tuple[str, int]],
    wait: bool,
    why: R,
    facts: dict[str, Any],
) -> None:
    await engine.put_deal(SHOW, deal("dl_a", 2))
    await engine.put_deal(SHOW, deal("dl_b", 2))
    await engine.put_deal(SHOW, deal("dl_soon", 2, status="announced"))
    await prepare(engine)
    before = await books()

    async def ask() -> Hold:
        return await engine.reserve(SHOW, viewer(1), rid, lines, wait)

    no = await refused(ask())
    assert no.why is why
    assert facts.items() <= no.facts.items()
    assert await books() == before


async def test_a_request_before_the_opening_is_told_the_instant(engine: ReservationEngine, clock: TestClock) -> None:
    await engine.put_deal(SHOW, deal(status="announced", opens_at_ms=clock.now_ms() + 5000))
    no = await refused(engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)]))
    assert (no.why, no.after_ms, no.facts["opens_at_ms"]) == (R.DEAL_NOT_OPEN, 5000, clock.now_ms() + 5000)


async def test_sold_out_tells_when_the_next_hold_ends(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(40_000)
    no = await refused(engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)]))
    assert no.after_ms is not None
    assert 55_000 < no.after_ms <= 60_000


async def test_missing_books_mean_rebuild_and_never_zero_or_full(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    await redis.delete(keys.meta(SHOW))
    assert (await refused(engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)]))).why is R.REBUILDING
    assert (await refused(engine.levels(SHOW))).why is R.REBUILDING
    assert (await refused(engine.paying_past_due(SHOW))).why is R.REBUILDING
    assert await redis.hlen(keys.rids(SHOW)) == 0


async def test_a_journal_that_nobody_copies_stops_new_holds_and_nothing_else(
    engine: ReservationEngine, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    monkeypatch.setattr("livecommerce.reservations.batcher.JOURNAL_ENTRIES_MAX", 2)
    before = await books()
    assert (await refused(engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)]))).why is R.BUSY
    assert await books() == before
    assert (await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])).state == "held"
    assert (await engine.begin_pay(SHOW, "vw_1", RID, PAY_MS)).state == "paying"


# --- the other verbs, each from every state ---------------------------------------------------------------------------

STATES = ("waiting", "offered", "held", "paying", "confirmed", "released", "expired", "lapsed", "cancelled")
# verb → state before → state after, or the refusal
OUTCOMES: dict[str, dict[str, str | R]] = {
    "release": {
        "waiting": "released", "offered": "released", "held": "released", "paying": R.CONFLICT,
        "confirmed": R.CONFLICT, "released": "released", "expired": "expired", "lapsed": "lapsed",
        "cancelled": "cancelled",
    },
    "accept": {
        "waiting": R.CONFLICT, "offered": "held", "held": "held", "paying": "paying", "confirmed": "confirmed",
        "released": R.HOLD_GONE, "expired": R.HOLD_GONE, "lapsed": R.HOLD_GONE, "cancelled": R.HOLD_GONE,
    },
    "begin_pay": {
        "waiting": R.CONFLICT, "offered": R.CONFLICT, "held": "paying", "paying": "paying",
        "confirmed": "confirmed", "released": R.HOLD_GONE, "expired": R.HOLD_GONE, "lapsed": R.HOLD_GONE,
        "cancelled": R.HOLD_GONE,
    },
    "settle": {
        "waiting": R.CONFLICT, "offered": R.CONFLICT, "held": "confirmed", "paying": "confirmed",
        "confirmed": "confirmed", "released": R.CONFLICT, "expired": R.CONFLICT, "lapsed": R.CONFLICT,
        "cancelled": R.CONFLICT,
    },
    "free": {
        "waiting": R.CONFLICT, "offered": R.CONFLICT, "held": "expired", "paying": "expired",
        "confirmed": R.CONFLICT, "released": "released", "expired": "expired", "lapsed": "lapsed",
        "cancelled": "cancelled",
    },
    "reacquire": {
        "waiting": R.CONFLICT, "offered": R.CONFLICT, "held": "paying", "paying": "paying",
        "confirmed": "confirmed", "released": "paying", "expired": "paying", "lapsed": R.CONFLICT,
        "cancelled": "paying",
    },
}  # fmt: skip


def ask_verb(engine: ReservationEngine, verb: str, viewer_id: str, rid: str) -> Awaitable[object]:
    return {
        "release": lambda: engine.release(SHOW, viewer_id, rid),
        "accept": lambda: engine.accept(SHOW, viewer_id, rid),
        "begin_pay": lambda: engine.begin_pay(SHOW, viewer_id, rid, PAY_MS),
        "settle": lambda: engine.settle(SHOW, viewer_id, rid),
        "free": lambda: engine.free(SHOW, viewer_id, rid, "expired"),
        "reacquire": lambda: engine.reacquire(SHOW, viewer_id, rid),
    }[verb]()


async def state_of(redis: Redis, viewer_id: str, rid: str) -> State:
    return State(record(await redis.hget(keys.rids(SHOW), f"{viewer_id}/{rid}"))[0])


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", OUTCOMES)
async def test_every_verb_from_every_state_and_again(
    engine: ReservationEngine, redis: Redis, turn: Turn, books: Books, verb: str, state: str
) -> None:
    viewer_id, rid = await hold_in(engine, turn, state)
    assert (await state_of(redis, viewer_id, rid)).word == state
    before = await books()
    outcome = OUTCOMES[verb][state]
    if isinstance(outcome, R):
        no = await refused(ask_verb(engine, verb, viewer_id, rid))
        assert (no.why, no.facts["state"]) == (outcome, state)
        assert await books() == before
        return
    await ask_verb(engine, verb, viewer_id, rid)
    assert (await state_of(redis, viewer_id, rid)).word == outcome
    if outcome == state:
        assert await books() == before
    after = await books()
    if not (verb == "accept" and outcome in ENDED):
        await ask_verb(engine, verb, viewer_id, rid)
        assert await books() == after


@pytest.mark.parametrize("verb", [verb for verb in OUTCOMES if verb != "free"])
async def test_a_rid_that_is_not_known_is_not_found(engine: ReservationEngine, books: Books, verb: str) -> None:
    before = await books()
    assert (await refused(ask_verb(engine, verb, "vw_1", RID))).why is R.NOT_FOUND
    assert await books() == before


async def test_freeing_what_is_not_known_is_done(engine: ReservationEngine) -> None:
    await engine.free(SHOW, "vw_1", RID, "expired")


@pytest.mark.parametrize("verb", OUTCOMES)
@pytest.mark.parametrize(
    ("viewer_id", "rid", "why"),
    [("vw_1", "bad rid!", R.RID_INVALID), ("vw/1", RID, R.MALFORMED), ("", RID, R.MALFORMED)],
)
async def test_hostile_ids_reach_no_script(engine: ReservationEngine, verb: str, viewer_id: str, rid: str, why: R) -> None:  # noqa: E501  # fmt: skip
    async def ask() -> object:
        return await ask_verb(engine, verb, viewer_id, rid)

    assert (await refused(ask())).why is why


async def test_a_second_begin_pay_does_not_move_the_deadline(engine: ReservationEngine, clock: TestClock) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    assert (await engine.begin_pay(SHOW, "vw_1", RID, PAY_MS)).due_at_ms == clock.now_ms() + PAY_MS
    again = await engine.begin_pay(SHOW, "vw_1", RID, 10 * PAY_MS)
    assert again.due_at_ms is not None
    assert again.due_at_ms <= clock.now_ms() + PAY_MS


async def test_late_money_gets_units_that_are_left_and_no_others(engine: ReservationEngine, turn: Turn) -> None:
    viewer_id, rid = await hold_in(engine, turn, "expired")
    await engine.reserve(SHOW, viewer(5), RID, [("dl_a", 1)])
    assert await engine.reacquire(SHOW, viewer_id, rid) is False
    await engine.release(SHOW, "vw_5", RID)
    assert await engine.reacquire(SHOW, viewer_id, rid) is True
    await engine.settle(SHOW, viewer_id, rid)
    assert await level(engine) == Level(0, 0, 0, 1, 0)


async def test_late_money_does_not_overtake_those_who_wait(engine: ReservationEngine, turn: Turn) -> None:
    viewer_id, rid = await hold_in(engine, turn, "expired")
    await engine.reserve(SHOW, viewer(5), RID, [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(6), RID, [("dl_a", 1)], wait=True)
    await turn(HOLD_MS)
    assert await engine.reacquire(SHOW, viewer_id, rid) is False
    assert [hold.state for hold in await engine.holds_of(SHOW, "vw_6")] == ["offered"]


# --- time -------------------------------------------------------------------------------------------------------------


async def test_a_hold_is_never_ended_early(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(HOLD_MS - 5000)  # two calls turn it by two seconds each at most
    assert (await engine.heartbeat(SHOW)).expired == 0
    assert (await engine.begin_pay(SHOW, "vw_1", RID, PAY_MS)).state == "paying"


async def test_expiry_brings_stock_and_limit_back(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 2)])
    await turn(HOLD_MS)
    beat = await engine.heartbeat(SHOW)
    assert (beat.expired, beat.next_due_ms) == (1, None)
    assert await level(engine) == Level(2, 0, 0, 0, 0)
    assert (await engine.reserve(SHOW, viewer(1), "rid-0002", [("dl_a", 2)])).state == "held"


async def test_a_due_hold_is_never_sold_out(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(HOLD_MS)
    assert (await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)])).state == "held"


async def test_a_due_hold_cannot_be_paid_nor_accepted(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(HOLD_MS)
    assert (await refused(engine.begin_pay(SHOW, "vw_1", RID, PAY_MS))).why is R.HOLD_GONE
    assert await level(engine) == Level(2, 0, 0, 0, 0)


async def test_paying_does_not_end_by_the_clock_but_is_listed(engine: ReservationEngine, turn: Turn) -> None:
    viewer_id, rid = await hold_in(engine, turn, "paying")
    assert await engine.paying_past_due(SHOW) == []
    await turn(PAY_MS)
    assert (await engine.heartbeat(SHOW)).expired == 0
    assert await engine.paying_past_due(SHOW) == [(viewer_id, rid)]
    await engine.free(SHOW, viewer_id, rid, "expired")
    assert await engine.paying_past_due(SHOW) == []
    assert await level(engine) == Level(1, 0, 0, 0, 0)


async def test_holds_of_several_durations_end_each_at_its_own_time(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal("dl_long", 1, hold_ms=3 * HOLD_MS))
    await engine.put_deal(SHOW, deal("dl_short", 1, hold_ms=HOLD_MS))
    await engine.reserve(SHOW, viewer(1), "rid-long", [("dl_long", 1)])
    await engine.reserve(SHOW, viewer(1), "rid-short", [("dl_short", 1)])
    await turn(HOLD_MS)
    assert (await engine.heartbeat(SHOW)).expired == 1
    assert [hold.rid for hold in await engine.holds_of(SHOW, "vw_1")] == ["rid-long"]


async def test_a_cart_ends_with_the_shortest_of_its_holds(engine: ReservationEngine, clock: TestClock) -> None:
    await engine.put_deal(SHOW, deal("dl_long", 1, hold_ms=3 * HOLD_MS))
    await engine.put_deal(SHOW, deal("dl_short", 1, hold_ms=HOLD_MS))
    hold = await engine.reserve(SHOW, viewer(1), RID, [("dl_long", 1), ("dl_short", 1)])
    assert hold.due_at_ms == clock.now_ms() + HOLD_MS


@pytest.mark.parametrize("jump_ms", [3_600_000, -3_600_000])
async def test_a_jump_of_the_machines_clock_lengthens_holds_and_never_ends_them(
    engine: ReservationEngine, redis: Redis, jump_ms: int
) -> None:
    await engine.put_deal(SHOW, deal(hold_ms=10_000))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    before = int(await redis.hget(keys.meta(SHOW), "clk"))
    clamped = (await engine.counts(SHOW))["clock_clamped"]
    # The script's last look lies an hour back (a jump forward) or an hour ahead (a jump back).
    await redis.hincrby(keys.meta(SHOW), "last", -jump_ms)
    await engine.heartbeat(SHOW)
    step = int(await redis.hget(keys.meta(SHOW), "clk")) - before
    assert step == (2000 if jump_ms > 0 else 0)
    assert (await engine.counts(SHOW))["clock_clamped"] == clamped + 1
    assert [hold.state for hold in await engine.holds_of(SHOW, "vw_1")] == ["held"]


async def test_a_crowd_of_holds_that_end_together_all_end(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(quota=500))
    await asyncio.gather(*(engine.reserve(SHOW, viewer(n), RID, [("dl_a", 1)]) for n in range(500)))
    await turn(HOLD_MS + 1000)
    assert (await engine.heartbeat(SHOW)).expired == 500
    assert await level(engine) == Level(500, 0, 0, 0, 0)


# --- the wait-list ----------------------------------------------------------------------------------------------------


async def test_those_who_wait_are_served_in_order_and_nobody_overtakes(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    places = [(await engine.reserve(SHOW, viewer(n), RID, [("dl_a", 1)], wait=True)).place for n in (2, 3, 4)]
    assert places == [1, 2, 3]
    await engine.release(SHOW, "vw_1", RID)
    assert (await refused(engine.reserve(SHOW, viewer(9), RID, [("dl_a", 1)]))).why is R.SOLD_OUT
    assert [(h.state, h.place) for n in (2, 3, 4) for h in await engine.holds_of(SHOW, f"vw_{n}")] == [
        ("offered", None), ("waiting", 1), ("waiting", 2),
    ]  # fmt: skip
    await turn(OFFER_MS)
    assert (await engine.heartbeat(SHOW)).lapsed == 1
    assert (await engine.accept(SHOW, "vw_3", RID)).state == "held"
    assert await engine.holds_of(SHOW, "vw_2") == ()
    assert await level(engine) == Level(0, 1, 0, 0, 1)


async def test_a_place_moves_up_when_one_before_leaves(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    for n in (2, 3, 4):
        await engine.reserve(SHOW, viewer(n), RID, [("dl_a", 1)], wait=True)
    await engine.release(SHOW, "vw_3", RID)
    assert [hold.place for hold in await engine.holds_of(SHOW, "vw_4")] == [2]
    assert (await engine.reserve(SHOW, viewer(4), RID, [("dl_a", 1)], wait=True)).place == 2


@pytest.mark.parametrize(("rule", "states"), [("skip", ("waiting", "offered")), ("wait", ("waiting", "waiting"))])
async def test_a_head_that_wants_more_is_skipped_or_waited_for(
    engine: ReservationEngine, rule: str, states: tuple[str, ...]
) -> None:
    await engine.put_deal(SHOW, deal(quota=2, head_wants_more=rule))
    await engine.reserve(SHOW, viewer(1), "rid-one-", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(1), "rid-two-", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 2)], wait=True)
    await engine.reserve(SHOW, viewer(3), RID, [("dl_a", 1)], wait=True)
    await engine.release(SHOW, "vw_1", "rid-one-")
    assert tuple([h.state for n in (2, 3) for h in await engine.holds_of(SHOW, f"vw_{n}")]) == states
    assert (await refused(engine.reserve(SHOW, viewer(9), RID, [("dl_a", 1)]))).why is R.SOLD_OUT
    await engine.release(SHOW, "vw_1", "rid-two-")
    if rule == "wait":
        assert [h.state for h in await engine.holds_of(SHOW, "vw_2")] == ["offered"]


async def test_new_stock_goes_to_those_who_wait(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)], wait=True)
    await engine.put_deal(SHOW, deal(quota=2, move_id="more"))
    assert [h.state for h in await engine.holds_of(SHOW, "vw_2")] == ["offered"]
    assert await level(engine) == Level(1, 2, 0, 0, 0)


async def test_a_long_line_is_offered_in_parts_and_nobody_overtakes(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await asyncio.gather(*(engine.reserve(SHOW, viewer(100 + n), RID, [("dl_a", 1)], wait=True) for n in range(300)))
    await engine.put_deal(SHOW, deal(quota=301, move_id="more"))
    assert await level(engine) == Level(301 - 128, 129, 0, 0, 172)
    assert (await refused(engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)]))).why is R.SOLD_OUT
    assert (await engine.heartbeat(SHOW)).offered == 172
    assert await level(engine) == Level(1, 301, 0, 0, 0)
    assert (await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)])).state == "held"


# --- deals ------------------------------------------------------------------------------------------------------------


async def test_the_units_of_a_move_count_once(engine: ReservationEngine) -> None:
    for _ in range(2):
        await engine.put_deal(SHOW, deal(quota=5))
        await engine.put_deal(SHOW, deal(quota=3, move_id="more"))
    assert await level(engine) == Level(8, 0, 0, 0, 0)


async def test_putting_a_deal_again_does_not_open_it_again(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.set_deal_status(SHOW, "dl_a", "closed")
    await engine.put_deal(SHOW, deal())
    assert (await refused(engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)]))).why is R.DEAL_CLOSED


async def test_closing_takes_each_unit_out_once(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(quota=10))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 2)])
    await engine.begin_pay(SHOW, "vw_2", RID, PAY_MS)
    assert await engine.set_deal_status(SHOW, "dl_a", "closing") == 7
    assert await engine.set_deal_status(SHOW, "dl_a", "closing") == 0
    assert (await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])).state == "held"
    await turn(HOLD_MS)
    await engine.heartbeat(SHOW)
    assert await engine.set_deal_status(SHOW, "dl_a", "closed") == 1
    await engine.settle(SHOW, "vw_2", RID)
    assert await engine.set_deal_status(SHOW, "dl_a", "closed") == 0
    assert await level(engine) == Level(0, 0, 0, 2, 0)


async def test_a_deal_that_closes_lapses_those_who_wait(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await asyncio.gather(*(engine.reserve(SHOW, viewer(100 + n), RID, [("dl_a", 1)], wait=True) for n in range(200)))
    await engine.set_deal_status(SHOW, "dl_a", "closing")
    assert (await engine.heartbeat(SHOW)).lapsed == 72
    assert await level(engine) == Level(0, 1, 0, 0, 0)
    assert await engine.holds_of(SHOW, "vw_250") == ()


BAD_DEALS = [
    {"quota": -1}, {"quota": 2**60}, {"limit": 0}, {"limit": 1001}, {"hold_ms": 999}, {"hold_ms": 2**40},
    {"pay_ms": 0}, {"deal_id": "dl:a"}, {"deal_id": "dl/a"}, {"deal_id": ""}, {"move_id": "a b"}, {"level": "ledger"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD_DEALS, ids=str)
async def test_a_deal_out_of_bounds_is_refused(engine: ReservationEngine, books: Books, change: dict[str, Any]) -> None:
    before = await books()
    assert (await refused(engine.put_deal(SHOW, deal(**change)))).why is R.MALFORMED
    assert await books() == before


async def test_a_status_for_an_unknown_deal_is_refused(engine: ReservationEngine) -> None:
    assert (await refused(engine.set_deal_status(SHOW, "dl_x", "open"))).why is R.UNKNOWN_DEAL


async def test_fsync_is_offered_where_redis_syncs_before_it_answers(
    engine: ReservationEngine, redis: Redis, settings: Settings, clock: TestClock
) -> None:
    await engine.put_deal(SHOW, deal(level="fsync"))
    promise = engine.promise_of((await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])).token)
    assert promise is not None
    assert promise.level == "fsync"
    await redis.config_set("appendfsync", "everysec")
    try:
        other = ReservationEngine(redis, settings, clock)
        assert (await refused(other.put_deal(SHOW, deal("dl_b", level="fsync")))).why is R.MALFORMED
    finally:
        await redis.config_set("appendfsync", "always")


# --- what others hear -------------------------------------------------------------------------------------------------


async def test_each_call_that_changes_something_is_relayed_once(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal(quota=3))
    async with listening(redis, keys.channel(SHOW)) as pubsub:
        hold = await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 2)])
        await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 2)])  # repeated: nothing to tell
        version, _ = await engine.levels(SHOW)
        message = await pubsub.get_message(timeout=WAIT_SECONDS)
        word, seq, levels, holds = msgpack.unpackb(message["data"], raw=True)
        assert (word, levels) == (b"engine", {b"dl_a": [1, 2, 0, 0, 0]})
        assert seq < version
        [[viewer_id, rid, raw]] = holds
        told = hold_from_relay(SHOW, rid.decode(), raw, hold.due_at_ms - HOLD_MS)
        assert (viewer_id, told.state, told.lines, told.ticket, told.due_at_ms, told.token) == (
            b"vw_1", "held", hold.lines, hold.ticket, hold.due_at_ms, "",
        )  # fmt: skip
        assert await pubsub.get_message(timeout=0.01) is None


async def test_the_versions_of_new_books_are_above_those_of_old_ones(engine: ReservationEngine, redis: Redis) -> None:
    old, _ = await engine.levels(SHOW)
    await redis.delete(keys.meta(SHOW))
    await engine.open_show(SHOW)
    new, _ = await engine.levels(SHOW)
    assert new > old


async def test_opening_the_books_again_changes_nothing(engine: ReservationEngine, redis: Redis) -> None:
    epoch = await redis.hget(keys.meta(SHOW), "epoch")
    await engine.open_show(SHOW)
    assert await redis.hget(keys.meta(SHOW), "epoch") == epoch


async def test_counts_say_what_happened(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await refused(engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)]))
    counts = await engine.counts(SHOW)
    assert (counts["asked"], counts["held"], counts["repeated"], counts["sold_out"]) == (3, 1, 1, 1)


async def test_each_call_leaves_its_tip_in_the_ring(engine: ReservationEngine, redis: Redis) -> None:
    version, _ = await engine.levels(SHOW)
    tip = await redis.hget(keys.tips(SHOW), str(version % 65_536))
    assert len(tip) == 8


async def test_a_quiet_show_is_no_longer_watched(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    assert await engine.shows_to_watch() == (SHOW,)
    assert await engine.stop_watching_if_quiet(SHOW) is False
    await engine.set_deal_status(SHOW, "dl_a", "closed")
    await redis.xtrim(keys.journal(SHOW), 0, approximate=False)
    assert await engine.stop_watching_if_quiet(SHOW) is True
    assert await engine.shows_to_watch() == ()
