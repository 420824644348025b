"""The wires of the hot path: what a cluster answers instead of an answer, and servers that change behind an address."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import msgpack
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, ResponseError

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.hot_state import as_cluster, connect
from livecommerce.ids import ShowId
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.store import RESERVE, Store, StoreAway, StoreBroken
from livecommerce.reservations.wires import Script, Wire, wires_to
from livecommerce.settings import Settings
from tests.redis_servers import (
    Cluster,
    Server,
    cluster_of,
    follow,
    one_server,
    sentinel_over,
    slot_of,
    until_passed_on,
)
from tests.reservations.conftest import SHOW, deal, viewer


@contextlib.asynccontextmanager
async def engine_at(url: str, settings: Settings, clock: TestClock) -> AsyncIterator[tuple[ReservationEngine, Redis]]:
    redis = connect(url)
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    try:
        yield engine, redis
    finally:
        await engine.aclose()
        await redis.aclose()


async def patiently(engine: ReservationEngine, show_id: str, number: int) -> Hold:
    """The same rid again while the answer is "busy"."""
    while True:
        try:
            return await engine.reserve(show_id, viewer(number), f"rid-of-{number:04}", [("dl_a", 1)])
        except Refused as refused:
            if refused.why is not R.BUSY:
                raise
            await asyncio.sleep(0.02)


# --- one wire ---------------------------------------------------------------------------------------------------------

_ECHO = Script("echo.lua", "redis.call('INCR', KEYS[1]) return ARGV[1]")


@pytest.fixture
async def wire(redis: Redis) -> AsyncIterator[Wire]:
    wire = wires_to(redis)
    assert isinstance(wire, Wire)
    yield wire
    await wire.aclose()


@contextlib.asynccontextmanager
async def two_on_their_way(wire: Wire, redis: Redis) -> AsyncIterator[tuple[asyncio.Task[bytes], asyncio.Task[bytes]]]:
    """Two questions, written and not read by the server while the `with` lasts."""
    assert await wire.ask(_ECHO, ("n",), b"0") == b"0"
    await redis.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    first, second = (asyncio.create_task(wire.ask(_ECHO, ("n",), word)) for word in (b"1", b"2"))
    while not wire._reading._waiters:  # type: ignore[attr-defined]  # noqa: ASYNC110 - until the second has written too
        await asyncio.sleep(0)
    try:
        yield first, second
    finally:
        await redis.execute_command("CLIENT", "UNPAUSE")


async def test_questions_on_one_wire_are_answered_in_their_order(wire: Wire, redis: Redis) -> None:
    words = [b"%d" % number for number in range(50)]
    assert await asyncio.gather(*[wire.ask(_ECHO, ("n",), word) for word in words]) == words
    async with two_on_their_way(wire, redis) as (first, second):
        assert not first.done()
    assert await asyncio.gather(first, second) == [b"1", b"2"]


@pytest.mark.parametrize("who", [0, 1])
async def test_whoever_gives_up_leaves_no_answer_to_others(wire: Wire, redis: Redis, who: int) -> None:
    """Nor does the question beside hers get one: hers was on the same connection, and whether it ran is unknown."""
    async with two_on_their_way(wire, redis) as asked:
        asked[who].cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked[who]
        with pytest.raises(RedisConnectionError):
            await asked[1 - who]
    assert await wire.ask(_ECHO, ("n",), b"3") == b"3"


async def test_a_connection_that_is_cut_is_heard_of_by_all_who_wait_and_made_anew(wire: Wire, redis: Redis) -> None:
    async with two_on_their_way(wire, redis) as asked:
        (mine,) = [each for each in await redis.client_list() if each["id"] != str(await redis.client_id())]
        await redis.execute_command("CLIENT", "KILL", "ID", mine["id"])
        for each in asked:
            with pytest.raises(RedisConnectionError):
                await each
    assert await wire.ask(_ECHO, ("n",), b"3") == b"3"
    assert await redis.get("n") == b"2", "what was on its way never ran, and was not asked for again here"


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8])
async def test_who_gives_up_while_the_connection_is_made_leaves_no_answer_to_others(wire: Wire, turns: int) -> None:
    """She who waited behind the one that connects once ended a connection that was not there yet. Its answer was read
    by the next, and every later one was another's."""
    first, second = (asyncio.create_task(wire.ask(_ECHO, ("n",), word)) for word in (b"1", b"2"))
    for _ in range(turns):
        await asyncio.sleep(0)
    second.cancel()
    assert await asyncio.gather(first, return_exceptions=True) in ([b"1"], [first.exception()])
    for word in (b"3", b"4"):
        assert await wire.ask(_ECHO, ("n",), word) == word


async def test_a_host_that_is_dead_costs_whoever_tried_it_and_nobody_behind(
    wire: Wire, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redis.script_flush()
    connect_truly = wire._connection.connect

    async def is_dead() -> None:
        monkeypatch.setattr(wire._connection, "connect", connect_truly)
        raise RedisConnectionError("nobody there")

    monkeypatch.setattr(wire._connection, "connect", is_dead)
    asked = [asyncio.create_task(wire.ask(_ECHO, ("n",), b"%d" % number)) for number in range(4)]
    with pytest.raises(RedisConnectionError):
        await asked[0]
    assert await asyncio.gather(*asked[1:]) == [b"1", b"2", b"3"]
    assert wire.life == 1


async def test_a_script_is_sent_where_its_hash_was_unknown_and_nowhere_else(wire: Wire, redis: Redis) -> None:
    """Who answered others since, this connection's server or one that took its place, is not known to the asker."""
    assert await wire.ask(_ECHO, ("n",), b"0") == b"0"
    ended = wire.life
    await wire.aclose()
    with pytest.raises(RedisConnectionError):
        await wire.send(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", life=ended)
    assert await redis.get("n") == b"1"
    assert await wire.ask(_ECHO, ("n",), b"1") == b"1"


# --- a cluster --------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_slot(cluster: Cluster) -> Iterator[tuple[ShowId, int, Server]]:
    """A show on the first master, its slot, and the third master for it to go to; it is back at home at the end."""
    cluster.empty()
    show_id = ShowId(cluster.show_on(0, "sh_w"))
    slot = slot_of(show_id)
    yield show_id, slot, cluster.masters[2]
    cluster.move(slot, cluster.masters[0])


async def test_moved_is_followed_and_remembered(
    cluster: Cluster, own_slot: tuple[ShowId, int, Server], settings: Settings, clock: TestClock
) -> None:
    show_id, slot, to = own_slot
    async with engine_at(cluster.url, settings, clock) as (engine, _):
        await engine.open_show(show_id)
        await engine.put_deal(show_id, deal())
        cluster.move(slot, to)
        before = cluster.errors("MOVED")
        assert (await engine.reserve(show_id, viewer(1), "rid-0001", [("dl_a", 1)])).state == "held"
        assert cluster.errors("MOVED") == before + 1
        assert (await engine.reserve(show_id, viewer(2), "rid-0001", [("dl_a", 1)])).state == "held"
        assert await engine.counts(show_id) != {}
        assert cluster.errors("MOVED") == before + 1


async def test_ask_is_followed_for_one_question_only(cluster: Cluster, own_slot: tuple[ShowId, int, Server]) -> None:
    """Where the slot is on its way and the key is new, a script with one key runs at its new home."""
    show_id, slot, to = own_slot
    source = cluster.begin_move(slot, to)
    to.ask("SCRIPT", "FLUSH")  # other tests of this session have been here
    count = Script("count.lua", "return tostring(redis.call('INCR', KEYS[1]))")
    redis = connect(cluster.url)
    wires = wires_to(redis)
    try:
        before = cluster.errors("ASK")
        assert await wires.ask(count, (keys.meta(show_id),)) == b"1"  # by its hash, then with the script
        assert to.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 1
        assert source.ask("CLUSTER", "COUNTKEYSINSLOT", slot) == 0
        assert await wires.ask(count, (keys.meta(show_id),)) == b"2"
        assert cluster.errors("ASK") == before + 3
        cluster.end_move(slot, to)
        assert await wires.ask(count, (keys.meta(show_id),)) == b"3"
        assert cluster.errors("ASK") == before + 3
    finally:
        await wires.aclose()
        await redis.aclose()


async def test_a_show_whose_slot_is_on_its_way_opens_when_it_has_come(
    cluster: Cluster,
    own_slot: tuple[ShowId, int, Server],
    settings: Settings,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Books are opened by a script with two keys, of which a new show has none; it is refused, and nothing moved."""
    monkeypatch.setattr("livecommerce.reservations.wires.FOLLOW_SECONDS_MAX", 0.1)
    show_id, slot, to = own_slot
    source = cluster.begin_move(slot, to)
    async with engine_at(cluster.url, settings, clock) as (engine, _):
        with pytest.raises(Refused) as refused:
            await engine.open_show(show_id)
        assert (refused.value.why, refused.value.after_ms) == (R.BUSY, 1000)
        assert [each.ask("CLUSTER", "COUNTKEYSINSLOT", slot) for each in (source, to)] == [0, 0]
        cluster.end_move(slot, to)
        await engine.open_show(show_id)
        await engine.put_deal(show_id, deal())
        assert (await engine.levels(show_id))[1] == {"dl_a": Level(2, 0, 0, 0, 0)}


async def test_tryagain_ends_as_busy_within_its_bound_and_nothing_moved(
    cluster: Cluster,
    own_slot: tuple[ShowId, int, Server],
    settings: Settings,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("livecommerce.reservations.wires.FOLLOW_SECONDS_MAX", 0.1)
    show_id, slot, to = own_slot
    async with engine_at(cluster.url, settings, clock) as (engine, redis):
        await engine.open_show(show_id)
        await engine.put_deal(show_id, deal())
        source = cluster.begin_move(slot, to)
        assert cluster.move_key(slot, source, to)
        before = cluster.errors("TRYAGAIN")
        with pytest.raises(Refused) as refused:
            await engine.reserve(show_id, viewer(1), "rid-0001", [("dl_a", 1)])
        assert (refused.value.why, refused.value.after_ms) == (R.BUSY, 1000)
        assert cluster.errors("TRYAGAIN") > before
        cluster.move(slot, to, source)
        assert await redis.exists(keys.rids(show_id)) == 0
        assert (await engine.levels(show_id))[1] == {"dl_a": Level(2, 0, 0, 0, 0)}


async def test_shows_on_different_nodes_do_not_wait_for_each_other(
    cluster: Cluster, settings: Settings, clock: TestClock
) -> None:
    """One node stands still with a call in flight; a show on another node is answered meanwhile."""
    cluster.empty()
    here, there = cluster.show_on(0), cluster.show_on(1)
    async with engine_at(cluster.url, settings, clock) as (engine, _):
        for show_id in (here, there):
            await engine.open_show(show_id)
            await engine.put_deal(show_id, deal())
        with cluster.masters[0].stopped():
            waiting = asyncio.ensure_future(engine.reserve(here, viewer(1), "rid-0001", [("dl_a", 1)]))
            assert (await engine.reserve(there, viewer(1), "rid-0001", [("dl_a", 1)])).state == "held"
            assert not waiting.done()
        assert (await waiting).state == "held"


async def test_a_cluster_that_is_away_is_busy(settings: Settings, clock: TestClock) -> None:
    async with engine_at("redis+cluster://127.0.0.1:1", settings, clock) as (engine, redis):
        for asked in (engine.open_show(SHOW), engine.levels(SHOW), engine.counts(SHOW), engine.shows_to_watch()):
            with pytest.raises(Refused) as refused:
                await asked
            assert refused.value.why is R.BUSY
        with pytest.raises(RedisConnectionError):
            await redis.ping()


async def test_a_slot_that_nobody_has_is_busy_and_asked_about_anew(
    cluster: Cluster, settings: Settings, clock: TestClock
) -> None:
    cluster.empty()
    show_id = ShowId(cluster.show_on(0, "sh_w"))
    async with engine_at(cluster.url, settings, clock) as (engine, redis):
        await engine.open_show(show_id)
        client = as_cluster(redis)
        assert client is not None
        client.nodes_manager.slots_cache.pop(slot_of(show_id))
        with pytest.raises(Refused) as refused:
            await engine.levels(show_id)
        assert refused.value.why is R.BUSY
        client._learnt_at = 0.0
        assert (await engine.levels(show_id))[1] == {}


async def test_a_server_that_hides_its_settings_offers_no_fsync(settings: Settings, clock: TestClock) -> None:
    with one_server("redis", "--rename-command", "CONFIG", "") as server:
        async with engine_at(server.url, settings, clock) as (engine, _):
            await engine.open_show(SHOW)
            with pytest.raises(Refused) as refused:
                await engine.put_deal(SHOW, deal(level="fsync"))
            assert refused.value.why is R.MALFORMED
            await engine.put_deal(SHOW, deal())


async def test_valkey_moves_a_slot_in_one_piece_under_load(settings: Settings, clock: TestClock) -> None:
    """From 9.0 on: no key is ever in two places, so nobody is told "busy" for longer than the handover."""
    with cluster_of("valkey") as own:
        show_id = ShowId(own.show_on(0))
        slot, to = slot_of(show_id), own.masters[1]
        async with engine_at(own.url, settings, clock) as (engine, _):
            await engine.open_show(show_id)
            await engine.put_deal(show_id, deal(quota=40, limit=1))
            moving = False
            for number in range(40):
                await patiently(engine, show_id, number)
                if not moving:
                    own.owner(show_id).ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", to.my_id)
                    moving = True
            await asyncio.to_thread(own.until_owner, show_id, to)
            assert (await engine.levels(show_id))[1] == {"dl_a": Level(0, 40, 0, 0, 0)}


# --- an address that leads to another server --------------------------------------------------------------------------


async def test_an_address_that_moves_to_the_new_master_is_asked_anew(settings: Settings, clock: TestClock) -> None:
    """As a virtual address or a name does: the old connection is to a server that has become a replica."""
    with one_server("redis") as old, one_server("redis") as new:
        await asyncio.to_thread(follow, new, old)
        async with _address(old) as place, engine_at(f"redis://127.0.0.1:{place.port}", settings, clock) as (engine, _):
            await engine.open_show(SHOW)
            await engine.put_deal(SHOW, deal(quota=3, limit=1))
            await engine.reserve(SHOW, viewer(1), "rid-of-0001", [("dl_a", 1)])
            await asyncio.to_thread(until_passed_on, old, new)
            new.ask("REPLICAOF", "NO", "ONE")
            await asyncio.to_thread(follow, old, new)
            place.target = new.port
            with pytest.raises(Refused) as refused:
                await engine.reserve(SHOW, viewer(2), "rid-of-0002", [("dl_a", 1)])
            assert refused.value.why is R.BUSY
            assert (await engine.reserve(SHOW, viewer(2), "rid-of-0002", [("dl_a", 1)])).state == "held"
            assert (await engine.levels(SHOW))[1]["dl_a"] == Level(1, 2, 0, 0, 0)
            assert new.ask("HLEN", keys.rids(SHOW)) == 2


class _Place:
    """A port of the loopback that leads to `target`."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(_pump(reader, ours), _pump(theirs, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@contextlib.asynccontextmanager
async def _address(server: Server) -> AsyncIterator[_Place]:
    place = _Place(server.port)
    listening = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.port = listening.sockets[0].getsockname()[1]
    yield place
    listening.close()


async def test_sentinel_names_the_new_master_after_the_old_one_died(settings: Settings, clock: TestClock) -> None:
    with one_server("redis") as old, one_server("redis") as new:
        await asyncio.to_thread(follow, new, old)
        with sentinel_over(old, new) as sentinel:
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/shop"
            async with engine_at(url, settings, clock) as (engine, redis):
                await engine.open_show(SHOW)
                await engine.put_deal(SHOW, deal(quota=3, limit=1))
                await engine.reserve(SHOW, viewer(1), "rid-of-0001", [("dl_a", 1)])
                await asyncio.to_thread(until_passed_on, old, new)
                old.kill()
                with pytest.raises(Refused) as refused:
                    await engine.reserve(SHOW, viewer(2), "rid-of-0002", [("dl_a", 1)])
                assert refused.value.why is R.BUSY
                assert (await patiently(engine, SHOW, 2)).state == "held"
                assert (await engine.levels(SHOW))[1]["dl_a"] == Level(1, 2, 0, 0, 0)
                assert await redis.ping()
                assert new.ask("HLEN", keys.rids(SHOW)) == 2


# --- answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ReadOnlyError("You can't write against a read only replica.", status_code="READONLY"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        ResponseError("BUSY Redis is busy running a script."),
        ResponseError(
            "ERR Error running script (call to f_0): @user_script:969: @user_script: 969: -READONLY You can't write "
            "against a read only replica."
        ),
        ResponseError(
            "ERR Error running script (call to f_0): @user_script:969: @user_script: 969: -OOM command not allowed"
        ),
    ],
    ids=["replica", "too few replicas", "disk", "another script", "replica, 6.2", "memory, 6.2"],
)
async def test_a_server_that_cannot_write_now_is_away_and_nothing_was_written(
    redis: Redis, error: ResponseError, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say(*_: object) -> bytes:
        raise error

    store = Store(redis)
    monkeypatch.setattr(store._wires, "ask", say)
    with pytest.raises(StoreAway):
        await store.call(SHOW, b"")


async def test_too_few_replicas_are_busy_and_nothing_moved(redis: Redis, engine: ReservationEngine) -> None:
    await engine.put_deal(SHOW, deal())
    await redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(Refused) as refused:
            await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])
        assert refused.value.why is R.BUSY
    finally:
        await redis.config_set("min-replicas-to-write", 0)
    assert (await engine.levels(SHOW))[1]["dl_a"] == Level(2, 0, 0, 0, 0)
    assert (await engine.reserve(SHOW, viewer(1), "rid-0001", [("dl_a", 1)])).state == "held"


async def test_a_batch_that_the_script_refuses_is_our_own_mistake(cluster: Cluster, redis: Redis) -> None:
    for url in (cluster.url, ""):
        client = connect(url) if url else redis
        store = Store(client)
        with pytest.raises(StoreBroken):
            await store.call(SHOW, msgpack.packb(7))
        await store.aclose()
        if url:
            await client.aclose()


def test_the_script_for_sharded_channels_differs_in_one_word() -> None:
    assert RESERVE.body.count(b"PUBLISH") == 1
    assert RESERVE.sharded.body == RESERVE.body.replace(b"'PUBLISH'", b"'SPUBLISH'")
    assert RESERVE.sharded.sha != RESERVE.sha
