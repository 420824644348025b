"""What strangers send, against a running process: it costs them their line, others nothing, and nothing moves."""

import asyncio
import dataclasses
import gc
import tracemalloc
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from websockets.frames import Opcode

from livecommerce.clock import TestClock
from livecommerce.errors import Close, R
from livecommerce.gateway.socket import CLOSE_SECONDS_MAX, MESSAGE_BYTES_MAX, STRIKES_MAX
from livecommerce.protocol.codec import JSON, MSGPACK
from livecommerce.protocol.facts import Note
from livecommerce.protocol.from_viewer import Hello, Ping
from livecommerce.protocol.to_viewer import Bye, Pong, RefusedMessage, State
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, Live, Raw, connect, handshake, live, open_deal, seat, until


def _small(settings: Settings) -> Settings:
    """A house of 400 sockets, half of which may be strangers."""
    return dataclasses.replace(settings, sockets_max=400, accepts_per_second=10_000_000)


async def _still_hears(raw: Raw, one: Live) -> None:
    """Her line works, both ways, and nothing that was published is missing."""
    offset = await one.shows.news.publish(SHOW, [Note("still here")], one.clock.now_ms())
    while (await raw.read_until(State)).events[-1].offset != offset:
        pass
    raw.send(Ping(7.0))
    assert (await raw.read_until(Pong)).at == 7.0


async def _strangers(one: Live, many: int, at_once: int = 50) -> list[Raw]:
    """So many handshakes without a token, which then say nothing; the clients are kept open."""
    kept: list[Raw] = []

    async def come(_: int) -> None:
        status, _, raw = await handshake(one.port, subprotocol=JSON)
        assert status == 101
        kept.append(raw)

    for _ in range(0, many, at_once):
        await asyncio.gather(*map(come, range(at_once)))
        del kept[: max(0, len(kept) - 300)]  # the test's own descriptors
    return kept


async def test_thousands_of_handshakes_without_a_token_keep_nobody_out(redis: Redis, settings: Settings) -> None:
    async with live(redis, _small(settings)) as one:
        ada, _ = await seat(one, "ada")
        kept = await _strangers(one, 2_000)
        assert len(one.hub._strangers) <= one.hub._strangers_max == 200
        assert one.hub.admission.sockets < one.hub.settings.sockets_max
        bea, _ = await seat(one, "bea")
        await _still_hears(ada, one)
        await _still_hears(bea, one)
        assert list(one.hub.rooms) == [SHOW]
        await one.clock.advance(one.hub.settings.hello_seconds + CLOSE_SECONDS_MAX + 2)
        await until(lambda: one.hub.admission.sockets == 2)
        assert not one.hub._strangers
        assert kept


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_hundred_thousand_handshakes_without_a_token_cost_no_memory(redis: Redis, settings: Settings) -> None:
    async with live(redis, _small(settings)) as one:
        ada, _ = await seat(one, "ada")
        tracemalloc.start()
        await _strangers(one, 2_000)  # as many as there may be at once, and the test's own ends of them
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await _strangers(one, 100_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        print(f"{grown:,} bytes more than before")
        assert grown < 500_000, "five bytes for each"
        tracemalloc.stop()
        await _still_hears(ada, one)


async def test_who_gives_way_is_told_to_come_back_and_is_let_in_then(redis: Redis, settings: Settings) -> None:
    async with live(redis, dataclasses.replace(settings, sockets_max=4, accepts_per_second=100)) as one:
        first = await connect(one.port)
        second = await connect(one.port)
        third = await connect(one.port)
        [bye] = await first.read_all()
        assert isinstance(bye, Bye)
        assert first.close_code == Close.FULL
        assert bye.after_ms is not None
        assert await first.ended()
        for raw, name in ((second, "bea"), (third, "cem")):
            await raw.hello(token=f"viewer.{name}")
        back = await connect(one.port)
        assert (await back.hello(token="viewer.ada")).you.viewer_id == "ada"


async def test_who_is_refused_and_does_not_answer_our_close_keeps_no_place(redis: Redis, settings: Settings) -> None:
    async with live(redis, dataclasses.replace(settings, sockets_max=6, accepts_per_second=100)) as one:
        for _ in range(20):
            raw = await connect(one.port)
            raw.send(Hello(token="nobody.x"))
            await raw.read_all()
            assert raw.close_code == Close.TOKEN_INVALID
        assert len(one.hub._strangers) <= 3
        ada, _ = await seat(one, "ada")
        await _still_hears(ada, one)


_WRONG: list[dict[str, Any]] = [
    {"t": "reserve"},
    {"t": "reserve", "rid": 7, "lines": [{"deal_id": "dl_1", "qty": 1}]},
    {"t": "reserve", "rid": "rid_00000001", "lines": {"deal_id": "dl_1"}},
    {"t": "reserve", "rid": "rid_00000001", "lines": [{"deal_id": "dl_1", "qty": "1"}]},
    {"t": "reserve", "rid": "rid_00000001", "lines": [{"deal_id": "dl_1", "qty": 1.5}]},
    {"t": "reserve", "rid": "rid_00000001", "lines": [{"deal_id": "dl_1"}] * 9},
    {"t": "reserve", "rid": "rid_00000001", "lines": [[["dl_1"]]]},
    {"t": "reserve", "rid": "rid_00000001", "lines": [{"deal_id": "dl_1"}], "wait": "yes"},
    {"t": "release", "rid": None},
    {"t": "accept", "rid": ["rid_00000001"]},
    {"t": "say", "cid": "c", "text": {"a": "b"}},
    {"t": "say", "cid": "c", "text": "x" * 501},
    {"t": "vote", "cid": "", "question_id": "q"},
    {"t": "hello", "offset": -1},
    {"t": "hello", "offset": 2**63},
    {"t": ["reserve"]},
    {"t": None},
    {},
]


@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_wrong_types_bombs_and_too_much_move_nothing_and_disturb_nobody(
    redis: Redis, settings: Settings, clock: TestClock, subprotocol: Any
) -> None:
    async with live(redis, settings, clock) as one:
        await open_deal(one.engine)
        ada, _ = await seat(one, "ada")
        before = ((await one.engine.levels(SHOW))[1], await one.shows.news.position(SHOW))
        opcode = Opcode.BINARY if subprotocol == MSGPACK else Opcode.TEXT
        encode = (msgspec.msgpack if subprotocol == MSGPACK else msgspec.json).encode
        bombs = [b"\x91" * 4000, b"\x81\xa1t" * 1300] if subprotocol == MSGPACK else [b"[" * 4000, b'{"t":' * 800]
        for number, data in enumerate([*map(encode, _WRONG), *bombs]):
            if number % (STRIKES_MAX - 1) == 0:
                eve, _ = await seat(one, "eve", subprotocol=subprotocol)
            eve.write(opcode, data)
            refused = await eve.read_until(RefusedMessage)
            assert refused.number in (R.MALFORMED.value.number, R.UNKNOWN_TYPE.value.number)
        eve.write(opcode, b"\0" * (MESSAGE_BYTES_MAX + 1))
        await eve.read_all()
        assert eve.close_code == 1009
        assert ((await one.engine.levels(SHOW))[1], await one.shows.news.position(SHOW)) == before
        await _still_hears(ada, one)


async def test_a_frame_whose_bytes_come_one_by_one_holds_its_own_line_only(redis: Redis, settings: Settings) -> None:
    async with live(redis, settings) as one:
        ada, _ = await seat(one, "ada")
        slow, _ = await seat(one, "slow", subprotocol=JSON)
        socket = one.hub.rooms[SHOW].sockets_of("slow")[0]
        frame = bytes([0x81, 0xFE]) + (4000).to_bytes(2, "big") + bytes(4) + b"x" * 4000
        for number in range(1000):
            slow.writer.write(frame[number : number + 1])
            await slow.writer.drain()
            if number % 100 == 0:
                await _still_hears(ada, one)
        await until(lambda: len(socket._reader._bytes) == 1000)
        slow.writer.write(frame[1000:])
        refused = await slow.read_until(RefusedMessage)
        assert refused.number == R.MALFORMED.value.number
        assert socket._reader.is_between


async def test_a_flood_of_good_messages_costs_its_sender_the_line(redis: Redis, settings: Settings) -> None:
    async with live(redis, settings) as one:
        ada, _ = await seat(one, "ada")
        eve, _ = await seat(one, "eve", subprotocol=JSON)
        for _ in range(500):
            eve.write(Opcode.TEXT, b'{"t":"react","kind":"heart"}')
        messages = await eve.read_all()
        refusals = [message for message in messages if isinstance(message, RefusedMessage)]
        assert eve.close_code == Close.BROKE_RULES
        assert {refusal.number for refusal in refusals} == {R.TOO_MANY.value.number}
        assert all(refusal.after_ms is not None for refusal in refusals)
        await _still_hears(ada, one)
