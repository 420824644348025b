"""The script itself under hostile arguments: it answers or refuses, and never writes half."""

from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from livecommerce.errors import R, Refused
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.relay_format import LINES
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
    [1, "vw_1", "rid-0001", 0, "", "", "", "dl_a"], [1, "vw_1", "rid-0001", 2, "", "", "", "dl_a", 1],
    [1, "vw_1", "rid-0001", 0, None, "", "", "dl_a", 1],
    [1, "vw_1", "rid-0001", 0, "", None, "", "dl_a", 1], [1, "vw_1", "rid-0001", 0, "", "", 7, "dl_a", 1],
    [1, "vw_1", "rid-0001", 0, "", "a/b", "", "dl_a", 1], [1, "vw_1", "rid-0001", 0, "", "", "@x", "dl_a", 1],
    [1, "vw_1", "rid-0001", 0, "", "p" * 65, "", "dl_a", 1], [1, "~vw_1", "rid-0001", 0, "", "", "", "dl_a", 1],
    [1, "vw_1", "rid-0001", 0, "", "", "", "dl_a", "1"],
    [1, "vw_1", "rid-0001", 0, "", "", "", 5, 1], [1, "vw_1", "rid-0001", 0, "", "", "", None, 1],
    [1, "vw 1", "rid-0001", 0, "", "", "", "dl_a", 1],
    [1, "vw/1", "rid-0001", 0, "", "", "", "dl_a", 1], [1, "vw_1", "rid/0001", 0, "", "", "", "dl_a", 1],
    [1, "vw_1", "short", 0, "", "", "", "dl_a", 1], [1, "vw_1", "r" * 41, 0, "", "", "", "dl_a", 1],
    [1, "v" * 65, "rid-0001", 0, "", "", "", "dl_a", 1], [1, "vw_1", "rid-0001", 0, "", "", "", *(["dl_a", 1] * 9)],
    [1, ["vw_1"], "rid-0001", 0, "", "", "", "dl_a", 1],
    [2, "vw_1"], [2, "vw_1", "rid-held", 7], [2, "vw_1", "rid-held", "x"],
    [4, "vw_1", "rid-held", "x"], [4, "vw_1", "rid-held", -5], [4, "vw_1", "rid-held", float("nan")],
    [6, "vw_1", "rid-held", 3], [6, "vw_1", "rid-held"],
    [9], [9, "dl_a"], [9, "dl_z", "m", 1, 1, 1000, 1000, 5, 0, 0, 0, 0, 0, 0, 0],
    [9, "dl_z", "m", 1, 1, 1000, 1000, 1, 0, 0, 0, 0, 3, 0, 0],
    [9, "dl_z", "m", 1, 1, 1000, 1000, 1, 0, 0, 0, 0, 0, -1, 0],
    [9, "dl_z", "m", 1, 1, 1000, 1000, 1, 0, 0, 0, 0, 0, 0, 999], [10, "dl_a", 9], [10, "dl_a", None],
    [9, "dl_z", "m", 1, 1, 1000, 1000, 2, 0, 0, 0, 0, 0, 0, 0, 2],
    [9, "dl_z", "m", 1, 1, 1000, 1000, 2, 0, 0, 0, 0, 0, 0, 0, "x"], [14], [15],
    [15, "dl_drawn", "root", 0, "vw_1/rid-held"],
    [11], [11, 5], [13, "dl_a"], [13, "dl_a", "m/1", 1], [13, "dl_a", "m", 0], [13, "dl_a", "m", "1"], [13, 5, "m", 1],
    [16, "vw_1", "rid-held"], [16, "vw_1", "rid-held", 999], [16, "vw_1", "rid-held", 1.5],
    [17], [17, "rid-held"], [17, "rid-held", 7], [17, "rid-held", [2, "vw_1", "rid-0001"]],
    [17, "rid-held", [1, "vw_1", "rid-held", 0, "", "", "", "dl_a", 1]],
    [17, "rid-held", [1, "vw_1", "rid-0001", 1, "", "", "", "dl_a", 1]],
    [17, "rid-held", [1, "vw_1", "rid-0001", 0, "", "", "", "dl_a"]], [17, "rid-held", [17, "rid-held", []]],
    [18], [18, 1], [18, 1, 999], [18, 1, 3_600_001], [18, 1, 1000.5], [18, 0, 60_000], [18, "1", 60_000],
    [18, 1, "60000"], [18, 1.5, 60_000], [18, 1, float("nan")],
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
    mixed = await call(store, request_, [1, "vw_2", "rid-0001", 0, "", "", "", "dl_a", 1], request_)
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
        await call(store, [1, "vw_1", "rid-0001", 0, "", "", "", "dl_a", 1])
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
    st.tuples(st.integers(1, 19), st.lists(odd, max_size=12)).map(lambda parts: (parts[0], *parts[1])), max_size=8
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


async def everything(redis: Redis) -> dict[bytes, bytes]:
    """All that is stored, byte for byte."""
    names = sorted(await redis.keys("*"))
    return {name: await redis.dump(name) for name in names}


BATCHES = [
    [(1, "vw_3", "rid-0009", 0, "", "dl_a", 1)], [(1, "vw_3", "rid-0009", 1, "", "dl_a", 2), (2, "vw_1", "rid-held")],
    [(4, "vw_1", "rid-held", 1000), (5, "vw_1", "rid-held"), (6, "vw_1", "rid-held", 7, 0), (7, "vw_1", "rid-held")],
    [(8,), (9, "dl_b", "more", 3, 2, 1000, 1000, 2, 0, 0, 0, 0), (10, "dl_a", 3), (11, "vw_1"), (12,)],
    [(18, 1, 60_000), (18, 2, 60_000), (8,), (2, "vw_1", "rid-held")],
]  # fmt: skip
edits = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "repeat"]), st.integers(0, 400), st.integers(0, 255)),
    min_size=1, max_size=4,
)  # fmt: skip


def edited(raw: bytes, how: list[tuple[str, int, int]]) -> bytes:
    for edit, place, byte in how:
        at = place % (len(raw) + 1)
        match edit:
            case "flip":
                raw = raw[:at] + bytes([byte]) + raw[at + 1 :]
            case "cut":
                raw = raw[:at]
            case "insert":
                raw = raw[:at] + bytes([byte]) + raw[at:]
            case "repeat":
                raw = raw[:at] + raw[at : at + byte] + raw[at:]
    return raw


@given(batch=st.sampled_from(BATCHES), how=edits)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
async def test_no_bytes_make_the_script_write_half(
    engine: ReservationEngine, redis: Redis, batch: list[Any], how: list[tuple[str, int, int]]
) -> None:
    """A damaged batch is refused with every stored byte as it was, or is a batch, and the books conserve."""
    await engine.put_deal(SHOW, deal(quota=5))
    await engine.reserve(SHOW, viewer(1), "rid-held", [("dl_a", 1)])
    raw = edited(msgpack.packb((*HEADER, batch), use_bin_type=False), how)
    before = await everything(redis)
    names = keys.engine_keys(SHOW)
    refused = ""
    try:
        await redis.eval(RESERVE.body, len(names), *names, raw)
    except ResponseError as error:
        refused = str(error)
    if refused:
        assert "MALFORMED" in refused
        assert await everything(redis) == before
    deals = {name: msgpack.unpackb(packed) for name, packed in (await redis.hgetall(keys.deals(SHOW))).items()}
    assert all(items[1] == sum(items[2:6]) and min(items[1:7]) >= 0 for items in deals.values())
    rids = [msgpack.unpackb(packed, raw=True) for packed in (await redis.hgetall(keys.rids(SHOW))).values()]
    held = sum(items[i + 1] for items in rids if items[0] in (2, 3) for i in range(LINES, len(items), 2))
    assert held == sum(items[3] for items in deals.values())


@pytest.mark.parametrize("arguments", [[], ["x"], ["", ""], [b"\x94\xa1t\xcd\x03\xe8\x05\x90", "more"]], ids=repr)
@pytest.mark.parametrize("count", [0, 1, 5, 10, 12])
async def test_too_few_or_too_many_keys_are_refused_before_anything_is_written(
    engine: ReservationEngine, redis: Redis, count: int, arguments: list[Any]
) -> None:
    await engine.put_deal(SHOW, deal(quota=5))
    before = await everything(redis)
    names = (*keys.engine_keys(SHOW), "one more")[:count]
    with pytest.raises(ResponseError, match="MALFORMED keys"):
        await redis.eval(RESERVE.body, count, *names, *arguments)
    assert await everything(redis) == before


async def test_a_hundred_thousand_rids_of_one_viewer_cost_a_refusal_each_and_leave_nothing(
    engine: ReservationEngine, redis: Redis
) -> None:
    await engine.put_deal(SHOW, deal(quota=1_000, limit=10))
    store = Store(redis)
    held = 0
    for first in range(0, 100_000, 64):
        batch = [(1, "vw_1", f"rid-{number:06}", 0, "", "", "", "dl_a", 1) for number in range(first, first + 64)]
        codes = [answer[0] for answer in await call(store, *batch)]
        held += codes.count(0)
        assert set(codes) <= {0, 2}  # held, or her limit
    assert held == 10
    assert await redis.hlen(keys.rids(SHOW)) == 10
    assert await redis.hlen(keys.viewers(SHOW)) == 2
    assert await redis.xlen(keys.journal(SHOW)) == 2
    await store.aclose()


async def test_another_viewers_rid_is_a_name_that_she_may_use_too(engine: ReservationEngine, books: Any) -> None:
    """It is kept per viewer: hers is another hold, and nothing she asks under it moves the other's."""
    await engine.put_deal(SHOW, deal(quota=5))
    mine = await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
    before = await books()
    for ask in (
        engine.release(SHOW, "vw_2", "rid-0001"), engine.accept(SHOW, "vw_2", "rid-0001"),
        engine.begin_pay(SHOW, "vw_2", "rid-0001", 1000), engine.settle(SHOW, "vw_2", "rid-0001"),
        engine.reacquire(SHOW, "vw_2", "rid-0001"),
    ):  # fmt: skip
        with pytest.raises(Refused) as refused:
            await ask
        assert refused.value.why is R.NOT_FOUND
    await engine.free(SHOW, "vw_2", "rid-0001", "expired")
    assert await books() == before
    hers = await engine.reserve(SHOW, viewer(2), "rid-0001", [("dl_a", 2)])
    assert (hers.ticket, hers.lines) != (mine.ticket, mine.lines)


async def test_a_foreign_type_under_a_key_fails_before_any_write(engine: ReservationEngine, redis: Redis) -> None:
    await redis.set(keys.deals(SHOW), "not a hash")
    before = await redis.hgetall(keys.meta(SHOW))
    store = Store(redis)
    with pytest.raises((StoreBroken, ResponseError)):
        await call(store, [1, "vw_1", "rid-0001", 0, "", "", "", "dl_a", 1])
    assert await redis.hgetall(keys.meta(SHOW)) == before
    await store.aclose()
