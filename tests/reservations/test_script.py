"""The script itself under hostile arguments: it answers or refuses, and never writes half."""

from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.store import RESERVE, Store, StoreBroken
from tests.reservations.conftest import SHOW, deal, viewer

HEADER = (b"tip", 60_000, 1_000_000)
MALFORMED = 14


async def call(store: Store, *requests: Any) -> list[Any]:
    answer = await store.call(SHOW, msgpack.packb((*HEADER, list(requests)), use_bin_type=False))
    answers: list[Any] = answer[5]
    return answers


BAD_REQUESTS: list[Any] = [
    7, "reserve", [], {}, [0], [13], [1.5], ["1"], [None],
    [1], [1, "vw_1"], [1, "vw_1", "rid-0001"], [1, "vw_1", "rid-0001", 0, ""],
    [1, "vw_1", "rid-0001", 0, "", "dl_a"], [1, "vw_1", "rid-0001", 2, "", "dl_a", 1],
    [1, "vw_1", "rid-0001", 0, None, "dl_a", 1], [1, "vw_1", "rid-0001", 0, "", "dl_a", "1"],
    [1, "vw_1", "rid-0001", 0, "", 5, 1], [1, "vw_1", "rid-0001", 0, "", None, 1],
    [1, "vw 1", "rid-0001", 0, "", "dl_a", 1],
    [1, "vw/1", "rid-0001", 0, "", "dl_a", 1], [1, "vw_1", "rid/0001", 0, "", "dl_a", 1],
    [1, "vw_1", "short", 0, "", "dl_a", 1], [1, "vw_1", "r" * 41, 0, "", "dl_a", 1],
    [1, "v" * 65, "rid-0001", 0, "", "dl_a", 1], [1, "vw_1", "rid-0001", 0, "", *(["dl_a", 1] * 9)],
    [1, ["vw_1"], "rid-0001", 0, "", "dl_a", 1],
    [2, "vw_1"], [4, "vw_1", "rid-held", "x"], [4, "vw_1", "rid-held", -5], [4, "vw_1", "rid-held", float("nan")],
    [6, "vw_1", "rid-held", 3], [6, "vw_1", "rid-held"],
    [9], [9, "dl_a"], [9, "dl_z", "m", 1, 1, 1000, 1000, 5, 0, 0, 0, 0],
    [9, "dl_z", "m", 1, 1, 1000, 1000, 2, 0, 0, 0, 0, 2], [9, "dl_z", "m", 1, 1, 1000, 1000, 2, 0, 0, 0, 0, "x"], [14],
    [10, "dl_a", 9], [10, "dl_a", None],
    [11], [11, 5],
]  # fmt: skip


@pytest.mark.parametrize("request_", BAD_REQUESTS, ids=repr)
async def test_a_malformed_request_is_refused_alone(
    engine: ReservationEngine, redis: Redis, books: Any, request_: Any
) -> None:
    await engine.put_deal(SHOW, deal(quota=5))
    await engine.reserve(SHOW, viewer(1), "rid-held", [("dl_a", 1)])
    before = await books()
    store = Store(redis)
    [answer] = await call(store, request_)
    assert answer[0] == MALFORMED
    assert await books() == before
    mixed = await call(store, request_, [1, "vw_2", "rid-0001", 0, "", "dl_a", 1], request_)
    assert [answer[0] for answer in mixed] == [MALFORMED, 0, MALFORMED]
    await store.aclose()


@pytest.mark.parametrize(
    "batch",
    [b"", b"\xc1", b"\x93", msgpack.packb([]), msgpack.packb({}), msgpack.packb([1, 60_000, 5, []]),
     msgpack.packb(["t", 0, 5, []]), msgpack.packb(["t", 60_000.5, 5, []]), msgpack.packb(["t", 60_000, 5, 7]),
     msgpack.packb(["t", 60_000, 5, [[12]] * 65])],
)  # fmt: skip
async def test_a_malformed_batch_is_refused_whole(engine: ReservationEngine, redis: Redis, books: Any, batch: bytes) -> None:  # noqa: E501  # fmt: skip
    before = await books()
    store = Store(redis)
    with pytest.raises(StoreBroken):
        await store.call(SHOW, batch)
    assert await books() == before
    await store.aclose()


async def test_broken_books_stop_the_call_before_anything_is_written(
    engine: ReservationEngine, redis: Redis, books: Any
) -> None:
    """A deal whose numbers do not add up: our own promise is broken, and nothing more is written on top of it."""
    await engine.put_deal(SHOW, deal(quota=5))
    packed = msgpack.unpackb(await redis.hget(keys.deals(SHOW), "dl_a"))
    packed[2] += 1
    await redis.hset(keys.deals(SHOW), "dl_a", msgpack.packb(packed))
    before = await books()
    store = Store(redis)
    with pytest.raises(StoreBroken, match="conservation"):
        await call(store, [1, "vw_1", "rid-0001", 0, "", "dl_a", 1])
    assert await books() == before
    await store.aclose()


async def test_a_lost_script_cache_is_answered_by_sending_the_script_once(engine: ReservationEngine, redis: Redis) -> None:  # noqa: E501  # fmt: skip
    await engine.put_deal(SHOW, deal(quota=5))
    for number in range(3):
        await redis.script_flush()
        hold = await engine.reserve(SHOW, viewer(number), "rid-0001", [("dl_a", 1)])
        assert hold.state == "held"


async def test_every_key_is_passed_and_has_the_shows_tag(engine: ReservationEngine, redis: Redis) -> None:
    await engine.put_deal(SHOW, deal(quota=1))
    await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    await engine.reserve(SHOW, viewer(2), "rid-0001", [("dl_a", 1)], wait=True)
    await engine.begin_pay(SHOW, "vw_1", "rid-0001", 1000)
    found = {name.decode() for name in await redis.keys("*")} - {keys.SHOWS}
    assert found <= set(keys.engine_keys(SHOW))
    assert all(name.startswith("{show:sh_test}:") for name in found)
    assert b"KEYS[" in RESERVE.body
    assert b"'{" not in RESERVE.body


odd = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=12),
    st.sampled_from(["vw_1", "vw_2", "rid-0001", "rid-held", "dl_a", "dl_drawn", "opening", 0, 1, 2, 3, 7, 9, 1000,
                     60_000]),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2),
)  # fmt: skip
odd_requests = st.lists(st.lists(odd, max_size=13).map(tuple), max_size=8)
with_verbs = st.lists(
    st.tuples(st.sampled_from((*range(1, 13), 14, 15)), st.lists(odd, max_size=12)).map(
        lambda parts: (parts[0], *parts[1])
    ),
    max_size=8,
)


@given(requests=st.one_of(odd_requests, with_verbs))
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_arguments_break_the_books(engine: ReservationEngine, redis: Redis, requests: list[Any]) -> None:
    await engine.put_deal(SHOW, deal(quota=5))
    await engine.put_deal(SHOW, deal("dl_drawn", quota=5, drawn=True))
    store = Store(redis)
    try:
        packed = msgpack.packb((*HEADER, requests), use_bin_type=False)
        answer = await store.call(SHOW, packed)
        assert len(answer[5] or []) == len(requests)
    except StoreBroken as error:
        raise AssertionError(f"the script failed: {error}") from error
    finally:
        await store.aclose()
    deals = {name: msgpack.unpackb(raw) for name, raw in (await redis.hgetall(keys.deals(SHOW))).items()}
    assert all(items[1] == sum(items[2:6]) and min(items[1:7]) >= 0 for items in deals.values())
    await engine.levels(SHOW)


async def test_a_foreign_type_under_a_key_fails_before_any_write(engine: ReservationEngine, redis: Redis) -> None:
    await redis.set(keys.deals(SHOW), "not a hash")
    before = await redis.hgetall(keys.meta(SHOW))
    store = Store(redis)
    with pytest.raises((StoreBroken, ResponseError)):
        await call(store, [1, "vw_1", "rid-0001", 0, "", "dl_a", 1])
    assert await redis.hgetall(keys.meta(SHOW)) == before
    await store.aclose()
