"""What books of a place ask of the script beyond a show's: take units out, keep a hold for longer, replace a bag."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce.errors import R, Refused
from livecommerce.reservations import ReservationEngine, keys
from tests.reservations.conftest import HOLD_MS, SHOW, deal, viewer

Turn = Callable[[int], Awaitable[None]]
Books = Callable[[], Awaitable[dict[str, Any]]]


async def refused(doing: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value


async def level(engine: ReservationEngine, deal_id: str = "dl_a") -> tuple[int, int]:
    """(available, held)"""
    found = (await engine.levels_of(SHOW, [deal_id]))[deal_id]
    return found.available, found.held


def test_books_of_a_place_have_a_tag_of_their_own() -> None:
    book = keys.pool_book("loc_1")
    assert {name.partition("}")[0] for name in keys.engine_keys(book)} == {"{pool:loc_1"}
    assert (keys.location_of(book), keys.location_of(SHOW)) == ("loc_1", "")


# --- take out -------------------------------------------------------------------------------------------------------


async def test_units_that_nobody_holds_are_taken_out_once_per_move(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=5))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 2)])

    assert await engine.take_out(SHOW, "dl_a", "down-1", 2) == 2
    assert await engine.take_out(SHOW, "dl_a", "down-1", 2) == 2
    assert await engine.take_out(SHOW, "dl_a", "down-1", 99) == 2  # what it took then
    assert await engine.take_out(SHOW, "dl_a", "down-2", 99) == 1
    assert await engine.take_out(SHOW, "dl_a", "down-3", 1) == 0
    assert await level(engine) == (0, 2)


async def test_what_is_due_is_nobodys_any_more_when_units_are_taken_out(engine: ReservationEngine, turn: Turn) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 2)])
    await turn(HOLD_MS)

    assert await engine.take_out(SHOW, "dl_a", "down-1", 2) == 2


async def test_units_of_those_who_wait_are_not_taken_out(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), "rid-0001", [("dl_a", 1)], wait=True)
    await engine.release(SHOW, "vw_1", "rid-0001")

    assert await engine.take_out(SHOW, "dl_a", "down-1", 1) == 0


@pytest.mark.parametrize(("move", "units"), [("a/b", 1), ("", 1), ("m" * 65, 1), ("m", 0), ("m", -1), ("m", 2**31)])
async def test_a_move_that_is_none_takes_nothing(
    engine: ReservationEngine, books: Books, move: str, units: int
) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    before = await books()
    assert (await refused(engine.take_out(SHOW, "dl_a", move, units))).why is R.MALFORMED
    assert (await refused(engine.take_out(SHOW, "dl_z", "m", 1))).why is R.UNKNOWN_DEAL
    assert await books() == before


# --- keep -----------------------------------------------------------------------------------------------------------


async def test_a_hold_is_kept_for_longer_and_asking_twice_lengthens_once(
    engine: ReservationEngine, redis: Redis, turn: Turn
) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    await turn(50_000)
    await engine.keep(SHOW, "vw_1", "rid-0001", 400_000)
    await turn(300_000)  # its first end has passed
    await engine.heartbeat(SHOW)
    assert await level(engine) == (1, 1)
    await engine.keep(SHOW, "vw_1", "rid-0001", 400_000)
    await turn(100_000)
    await engine.heartbeat(SHOW)

    assert await level(engine) == (2, 0)
    assert await redis.hlen(keys.queues(SHOW)) == 0
    assert (await refused(engine.keep(SHOW, "vw_1", "rid-0001", 400_000))).why is R.HOLD_GONE


async def test_a_shorter_time_and_a_payment_change_nothing(engine: ReservationEngine, books: Books) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    before = await books()
    await engine.keep(SHOW, "vw_1", "rid-0001", 1000)
    assert await books() == before
    await engine.begin_pay(SHOW, "vw_1", "rid-0001", 200_000)
    before = await books()
    assert (await engine.keep(SHOW, "vw_1", "rid-0001", 900_000)).state == "paying"
    assert await books() == before
    assert (await refused(engine.keep(SHOW, "vw_1", "rid-0001", 0))).why is R.MALFORMED
    assert (await refused(engine.keep(SHOW, "vw_1", "rid-nothing", 1000))).why is R.NOT_FOUND


async def test_who_waits_or_is_offered_has_nothing_to_keep(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), "rid-0001", [("dl_a", 1)], wait=True)
    assert (await refused(engine.keep(SHOW, "vw_2", "rid-0001", 900_000))).why is R.CONFLICT
    await engine.release(SHOW, "vw_1", "rid-0001")
    assert (await refused(engine.keep(SHOW, "vw_2", "rid-0001", 900_000))).why is R.CONFLICT


# --- replace --------------------------------------------------------------------------------------------------------


async def test_a_bag_is_replaced_in_one_instant_by_what_she_had_and_more(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    await engine.put_deal(SHOW, deal("dl_b", quota=1))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 2)])
    lines = [("dl_a", 2), ("dl_b", 1)]
    new = await engine.reserve(SHOW, viewer(1), "rid-0002", lines, instead_of="rid-0001")
    again = await engine.reserve(SHOW, viewer(1), "rid-0002", lines, instead_of="rid-0001")

    assert (new.state, again.ticket) == ("held", new.ticket)
    assert [hold.rid for hold in await engine.holds_of(SHOW, "vw_1")] == ["rid-0002"]
    assert await level(engine) == (0, 2)
    assert (await engine.counts(SHOW))["released"] == 1


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([("dl_a", 2), ("dl_b", 2)], R.SOLD_OUT), ([("dl_a", 1), ("dl_a", 2)], R.LIMIT), ([("dl_a", 3)], R.QUANTITY),
        ([("dl_z", 1)], R.UNKNOWN_DEAL),
    ],
)  # fmt: skip
async def test_a_refused_change_leaves_the_bag_as_it_was(
    engine: ReservationEngine, books: Books, turn: Turn, lines: list[tuple[str, int]], why: R
) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    await engine.put_deal(SHOW, deal("dl_b", quota=1))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    before = await books()

    assert (await refused(engine.reserve(SHOW, viewer(1), "rid-0002", lines, instead_of="rid-0001"))).why is why
    assert await books() == before
    await turn(HOLD_MS)
    await engine.heartbeat(SHOW)
    assert await level(engine) == (2, 0)


async def test_what_is_gone_paid_for_or_wanted_by_those_who_wait_cannot_be_replaced(engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal(quota=2))
    await engine.put_deal(SHOW, deal("dl_b", quota=5))

    async def change(old: str) -> Refused:
        return await refused(engine.reserve(SHOW, viewer(1), "rid-new1", [("dl_b", 1)], instead_of=old))

    assert (await change("rid-none")).why is R.NOT_FOUND
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    await engine.release(SHOW, "vw_1", "rid-0001")
    assert (await change("rid-0001")).why is R.HOLD_GONE
    await engine.reserve(SHOW, viewer(1), "rid-0002", [("dl_a", 1)])
    await engine.begin_pay(SHOW, "vw_1", "rid-0002", 1000)
    assert (await change("rid-0002")).why is R.CONFLICT
    await engine.reserve(SHOW, viewer(1), "rid-0003", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), "rid-0001", [("dl_a", 1)], wait=True)
    assert (await change("rid-0003")).why is R.CONFLICT
    assert (await change("rid-new1")).why is R.MALFORMED
    assert (await change("no rid")).why is R.RID_INVALID
