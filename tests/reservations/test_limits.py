"""Whom a limit counts, how long anybody may hold, and what a deal that is pulled does to those who hold."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.keys import viewers
from tests.redis_servers import WAIT_SECONDS
from tests.reservations.conftest import HOLD_MS, PAY_MS, SHOW, deal, viewer

Turn = Callable[[int], Awaitable[None]]
Books = Callable[[], Awaitable[dict[str, Any]]]
RID, RID_2, RID_3, RID_4 = "rid-0001", "rid-0002", "rid-0003", "rid-0004"


async def refused(work: Awaitable[Any]) -> Refused:
    with pytest.raises(Refused) as told:
        await work
    return told.value


async def counts(redis: Redis) -> dict[str, int]:
    fields = await redis.hgetall(viewers(SHOW))
    return {name.decode(): int(value) % 2**20 for name, value in fields.items() if b"/" in name}


async def held_ms(redis: Redis, name: str) -> int:
    return int(await redis.hget(viewers(SHOW), name) or 0) >> 20


async def _nothing(engine: ReservationEngine) -> None:
    pass


async def _she_has_one_elsewhere(engine: ReservationEngine) -> None:
    await engine.reserve(SHOW, viewer(8, "v_ana"), "rid-first", [("dl_verified", 1)])


async def _she_waits_elsewhere(engine: ReservationEngine) -> None:
    await engine.reserve(SHOW, viewer(7, "v_bea"), "rid-first", [("dl_single", 1)])
    await engine.reserve(SHOW, viewer(8, "v_ana"), "rid-first", [("dl_single", 1)], wait=True)


async def _three_in_the_show(engine: ReservationEngine) -> None:
    await engine.open_show(SHOW, 3)
    await engine.reserve(SHOW, viewer(1), "rid-first", [("dl_plain", 2), ("dl_verified_too", 1)])


async def _two_from_the_house(engine: ReservationEngine) -> None:
    for number in (7, 8):
        await engine.reserve(SHOW, viewer(number), "rid-first", [("dl_house", 1)], address="house")


async def _held_once(engine: ReservationEngine) -> None:
    await engine.reserve(SHOW, viewer(1), "rid-first", [("dl_timed", 1)])


REFUSALS = [
    # name, preparation, who, lines, wait, refusal, facts
    ("a guest at a deal for verified guests", _nothing, viewer(1), [("dl_verified", 1)], False, R.VERIFIED_ONLY,
     {"deal_id": "dl_verified"}),
    ("a guest at a deal for members", _nothing, viewer(1), [("dl_member", 1)], False, R.MEMBERS_ONLY,
     {"deal_id": "dl_member"}),
    ("a verified guest at a deal for members", _nothing, viewer(1, "v_ana"), [("dl_member", 1)], False, R.MEMBERS_ONLY,
     {}),
    ("a cart with one line that is not for her", _nothing, viewer(1), [("dl_plain", 1), ("dl_member", 1)], False,
     R.MEMBERS_ONLY, {"deal_id": "dl_member"}),
    ("closed before who she is", _nothing, viewer(1), [("dl_member_closed", 1)], False, R.DEAL_CLOSED, {}),
    ("one person with two viewers", _she_has_one_elsewhere, viewer(1, "v_ana"), [("dl_verified", 2)], False, R.LIMIT,
     {"limit": 2, "yours": 1, "of": "deal"}),
    ("one person with two places", _she_waits_elsewhere, viewer(1, "v_ana"), [("dl_single", 1)], True,
     R.ALREADY_WAITING, {}),
    ("the limit of the show", _three_in_the_show, viewer(1), [("dl_house", 1)], False, R.LIMIT,
     {"limit": 3, "yours": 3, "of": "show"}),
    ("the limit of the show, verified since", _three_in_the_show, viewer(1, "v_ana"), [("dl_house", 1)], False, R.LIMIT,
     {"of": "show"}),
    ("the limit of the deal before the show's", _three_in_the_show, viewer(1), [("dl_plain", 1)], False, R.LIMIT,
     {"of": "deal"}),
    ("the cap of an address", _two_from_the_house, viewer(1), [("dl_house", 1)], False, R.LIMIT,
     {"limit": 2, "of": "address"}),
    ("the time she may hold", _held_once, viewer(1), [("dl_timed", 1)], False, R.HOLD_TIME,
     {"deal_id": "dl_timed", "most_ms": HOLD_MS + 50_000, "yours_ms": HOLD_MS}),
    ("the time before the line", _held_once, viewer(1), [("dl_timed", 2)], True, R.HOLD_TIME, {}),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "who", "lines", "wait", "why", "facts"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])  # noqa: E501  # fmt: skip
async def test_a_refusal_by_rules_moves_nothing(
    engine: ReservationEngine,
    books: Books,
    prepare: Callable[[ReservationEngine], Awaitable[None]],
    who: Any,
    lines: list[tuple[str, int]],
    wait: bool,
    why: R,
    facts: dict[str, Any],
) -> None:
    rules: dict[str, dict[str, Any]] = {
        "dl_plain": {}, "dl_verified": {"limit_by": "verified"}, "dl_member": {"limit_by": "member"},
        "dl_member_closed": {"limit_by": "member", "status": "closed"}, "dl_verified_too": {"limit": 3},
        "dl_house": {"address_cap": 2}, "dl_timed": {"limit": 3, "hold_cap_ms": HOLD_MS + 50_000},
    }  # fmt: skip
    await asyncio.gather(*(engine.put_deal(SHOW, deal(name, 9, **each)) for name, each in rules.items()))
    await engine.put_deal(SHOW, deal("dl_single", 1, limit_by="verified"))
    await prepare(engine)
    before = await books()

    async def ask() -> Hold:
        return await engine.reserve(SHOW, who, RID, lines, wait, address="house")

    no = await refused(ask())
    assert no.why is why
    assert facts.items() <= no.facts.items()
    assert ("yours" in no.facts) is (no.facts.get("of") in ("deal", "show"))  # never what the neighbours have
    assert await books() == before


async def test_a_member_may_have_what_is_for_verified_guests(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(limit_by="verified"))
    assert (await engine.reserve(SHOW, viewer(1, member=True), RID, [("dl_a", 1)])).state == "held"


async def test_everything_charged_comes_back_by_every_ending(engine: ReservationEngine, redis: Redis, turn: Turn) -> None:  # noqa: E501  # fmt: skip
    await engine.open_show(SHOW, 9)
    await engine.put_deal(SHOW, deal(quota=9, limit=9, limit_by="verified", address_cap=9))
    who = viewer(1, "v_ana")
    before = await counts(redis)
    for rid in (RID, RID_2, RID_3, RID_4):
        await engine.reserve(SHOW, who, rid, [("dl_a", 2)], address="house")
    assert await counts(redis) == {"~v_ana/dl_a": 16, "vw_1/": 8, "~v_ana/": 8, "@house/dl_a": 8}
    await engine.release(SHOW, "vw_1", RID)
    await engine.begin_pay(SHOW, "vw_1", RID_2, PAY_MS)
    await engine.free(SHOW, "vw_1", RID_2, "cancelled")
    await engine.begin_pay(SHOW, "vw_1", RID_3, PAY_MS)
    await turn(HOLD_MS)
    await engine.heartbeat(SHOW)
    assert await counts(redis) == {"~v_ana/dl_a": 4, "vw_1/": 2, "~v_ana/": 2, "@house/dl_a": 2}
    await engine.free(SHOW, "vw_1", RID_3, "expired")
    assert await counts(redis) == before
    assert await engine.reacquire(SHOW, "vw_1", RID_3)  # late money: charged again as it was
    await engine.settle(SHOW, "vw_1", RID_3)
    assert await counts(redis) == {"~v_ana/dl_a": 4, "vw_1/": 2, "~v_ana/": 2, "@house/dl_a": 2}


async def test_what_was_charged_is_given_back_whatever_the_rules_say_by_then(engine: ReservationEngine, redis: Redis) -> None:  # noqa: E501  # fmt: skip
    await engine.open_show(SHOW, 3)
    await engine.put_deal(SHOW, deal(limit_by="verified", address_cap=2))
    await engine.reserve(SHOW, viewer(1, "v_ana"), RID, [("dl_a", 1)], address="house")
    await engine.open_show(SHOW, 0)
    await engine.put_deal(SHOW, deal())
    await engine.release(SHOW, "vw_1", RID)
    assert await counts(redis) == {}


async def test_an_address_that_nobody_told_is_not_counted(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(address_cap=1))
    for number in (1, 2):
        assert (await engine.reserve(SHOW, viewer(number), RID, [("dl_a", 1)])).state == "held"


async def test_opening_a_show_again_keeps_its_limit_unless_another_is_said(engine: ReservationEngine, redis: Redis) -> None:  # noqa: E501  # fmt: skip
    await engine.open_show(SHOW, 3)
    await engine.open_show(SHOW)
    assert await redis.hget(keys.meta(SHOW), "limit") == b"3"


# --- the time one person may hold -----------------------------------------------------------------------------------


async def test_the_time_not_used_comes_back_and_the_time_used_does_not(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(hold_cap_ms=2 * HOLD_MS))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(60_000)
    await engine.release(SHOW, "vw_1", RID)  # 60 s of 200 s
    assert (await engine.reserve(SHOW, viewer(1), RID_2, [("dl_a", 1)])).state == "held"
    await turn(60_000)
    await engine.release(SHOW, "vw_1", RID_2)  # 120 s: another whole hold would be 220 s
    no = await refused(engine.reserve(SHOW, viewer(1), RID_3, [("dl_a", 1)]))
    assert no.why is R.HOLD_TIME
    assert 120_000 <= no.facts["yours_ms"] < 130_000
    assert (await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)])).state == "held"


async def test_paying_stops_the_time_she_holds(engine: ReservationEngine, redis: Redis, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(hold_cap_ms=2 * HOLD_MS))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await turn(30_000)
    await engine.begin_pay(SHOW, "vw_1", RID, PAY_MS)
    await turn(PAY_MS)
    assert 30_000 <= await held_ms(redis, "vw_1/dl_a") < 40_000


async def test_offers_that_are_accepted_or_let_go_count_too(engine: ReservationEngine, redis: Redis, turn: Turn) -> None:  # noqa: E501  # fmt: skip
    """Else a place in the line, again and again, would hold a unit for ever."""
    await engine.put_deal(SHOW, deal(quota=1, hold_cap_ms=HOLD_MS))
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), RID, [("dl_a", 1)], wait=True)
    assert await held_ms(redis, "vw_2/dl_a") == 0  # waiting holds nothing
    await engine.release(SHOW, "vw_1", RID)
    await turn(20_000)
    await engine.accept(SHOW, "vw_2", RID)
    await turn(10_000)
    await engine.release(SHOW, "vw_2", RID)
    assert 30_000 <= await held_ms(redis, "vw_2/dl_a") < 40_000
    assert (await refused(engine.reserve(SHOW, viewer(2), RID_2, [("dl_a", 1)], wait=True))).why is R.HOLD_TIME


async def test_a_person_holds_as_long_as_all_her_viewers(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(limit_by="verified", hold_cap_ms=HOLD_MS))
    await engine.reserve(SHOW, viewer(1, "v_ana"), RID, [("dl_a", 1)])
    await turn(30_000)
    await engine.release(SHOW, "vw_1", RID)
    assert (await refused(engine.reserve(SHOW, viewer(2, "v_ana"), RID, [("dl_a", 1)]))).why is R.HOLD_TIME


# --- pulling a deal -------------------------------------------------------------------------------------------------


async def test_cancelling_ends_holds_and_offers_and_leaves_what_is_being_paid(
    engine: ReservationEngine, redis: Redis, books: Books
) -> None:
    await engine.put_deal(SHOW, deal("dl_a", 4))
    await engine.put_deal(SHOW, deal("dl_b", 4))
    for number in range(1, 5):
        await engine.reserve(SHOW, viewer(number), RID, [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(5), RID, [("dl_a", 1)], wait=True)
    await engine.reserve(SHOW, viewer(6), RID, [("dl_a", 1)], wait=True)
    await engine.reserve(SHOW, viewer(7), RID, [("dl_b", 1)])
    await engine.begin_pay(SHOW, "vw_1", RID, PAY_MS)
    await engine.release(SHOW, "vw_2", RID)  # offered to 5
    await engine.set_deal_status(SHOW, "dl_a", "closing")

    assert await engine.cancel_unpaid(SHOW, "dl_a") == 3
    after = await books()
    assert await engine.cancel_unpaid(SHOW, "dl_a") == 0
    assert await books() == after

    states = {
        number: (await engine.holds_of(SHOW, f"vw_{number}"))[0].state if number in (1, 7) else "" for number in (1, 7)
    }
    assert states == {1: "paying", 7: "held"}
    for number, state in ((3, "cancelled"), (4, "cancelled"), (5, "cancelled"), (6, "lapsed"), (2, "released")):
        assert (await engine.release(SHOW, f"vw_{number}", RID)).state == state
    assert await engine.set_deal_status(SHOW, "dl_a", "closed") == 3


async def test_cancelling_finds_a_crowd_and_who_accepted_meanwhile(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal("dl_a", 1500, limit=1))
    await asyncio.gather(*(engine.reserve(SHOW, viewer(n), RID, [("dl_a", 1)]) for n in range(1500)))
    await asyncio.gather(*(engine.reserve(SHOW, viewer(2000 + n), RID, [("dl_a", 1)], wait=True) for n in range(50)))
    await asyncio.gather(*(engine.release(SHOW, f"vw_{n}", RID) for n in range(50)))
    await engine.set_deal_status(SHOW, "dl_a", "closing")
    pulling = asyncio.ensure_future(engine.cancel_unpaid(SHOW, "dl_a"))
    await asyncio.gather(*(engine.accept(SHOW, f"vw_{2000 + n}", RID) for n in range(50)), return_exceptions=True)
    await pulling
    _, levels = await engine.levels(SHOW)
    assert (levels["dl_a"].held, levels["dl_a"].waiting) == (0, 0)


async def test_pulling_tells_each_viewer_through_the_relay(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal())
    await engine.reserve(SHOW, viewer(1), RID, [("dl_a", 1)])
    await engine.set_deal_status(SHOW, "dl_a", "closing")
    async with redis.pubsub() as heard:  # type: ignore[no-untyped-call]
        await heard.subscribe(keys.channel(SHOW))
        await heard.get_message(timeout=WAIT_SECONDS)
        await engine.cancel_unpaid(SHOW, "dl_a")
        message = await heard.get_message(ignore_subscribe_messages=True, timeout=WAIT_SECONDS)
    assert message is not None
    assert b"vw_1" in message["data"]
