"""The relay on one server and on a cluster: what is published is heard, wherever it was said, and every break ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from livecommerce.clock import RealClock, TestClock
from livecommerce.hot_state import as_cluster, connect
from livecommerce.reservations import keys
from livecommerce.rooms.relay import WATCH_SECONDS, Relay
from tests.redis_servers import OLDEST, WAIT_SECONDS, Cluster, Server, cluster_of, slot_of


class Room:
    """What a relay told: messages by channel, and whether it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, list[Any]]] = []
        self.ups: list[bool] = []
        self._news = asyncio.Condition()

    def message(self, channel: str, message: list[Any]) -> None:
        self.heard.append((channel, message))
        self._ring()

    def change(self, up: bool) -> None:
        self.ups.append(up)
        self._ring()

    def _ring(self) -> None:
        async def ring() -> None:
            async with self._news:
                self._news.notify_all()

        self._ringing = asyncio.ensure_future(ring())

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self._news:
            await self._news.wait_for(true)


@pytest.fixture(scope="module")
def oldest_cluster() -> Iterator[Cluster]:
    """Three masters of 6.2, which shard no channels: nobody says so, each process finds out."""
    with cluster_of(OLDEST) as cluster:
        yield cluster


@pytest.fixture(params=["one server", "sharded channels", "plain channels", "oldest_server", "oldest_cluster"])
def url(request: pytest.FixtureRequest, valkey_socket: str) -> str:
    if request.param == "one server":
        return f"unix://{valkey_socket}"
    if request.param.startswith("oldest"):
        oldest: Cluster | Server = request.getfixturevalue(request.param)
        return oldest.url
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.url if request.param == "sharded channels" else f"{cluster.url}?channels=plain"


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    client = connect(url)
    yield client
    await client.aclose()


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
async def relay(redis: Redis, room: Room) -> AsyncIterator[Relay]:
    relay = Relay(redis, RealClock(), room.message, room.change)
    await relay.start()
    yield relay
    await relay.aclose()


CHANNELS = [keys.channel(f"sh_r{number}") for number in range(12)]


async def test_many_shows_are_heard_in_order_and_one_that_is_left_is_not(
    relay: Relay, room: Room, redis: Redis
) -> None:
    await asyncio.gather(*(relay.join(channel) for channel in CHANNELS))
    assert relay.up
    await relay.leave(CHANNELS[0])
    for number in range(3):
        for channel in CHANNELS:
            relay.publish(channel, ["talk", number])
    await room.until(lambda: len(room.heard) == 33)
    for channel in CHANNELS[1:]:
        assert [said for name, said in room.heard if name == channel] == [[b"talk", n] for n in range(3)]
    assert await redis.publish(CHANNELS[1], b"\x91\xa3one") >= 0
    await room.until(lambda: room.heard[-1] == (CHANNELS[1], [b"one"]))
    assert room.ups == [True]


async def test_a_channel_that_is_left_and_joined_again_is_heard(relay: Relay, room: Room) -> None:
    for number in range(3):
        await relay.join(CHANNELS[0])
        relay.publish(CHANNELS[0], [number])
        await room.until(lambda number=number: room.heard[-1:] == [(CHANNELS[0], [number])])
        await relay.leave(CHANNELS[0])


async def test_a_cut_connection_is_told_and_mended(relay: Relay, room: Room) -> None:
    await asyncio.gather(*(relay.join(channel) for channel in CHANNELS[:3]))
    ear = next(iter(relay._ears.values()))
    await ear.pubsub.connection.disconnect(nowait=True)  # type: ignore[union-attr]
    await room.until(lambda: room.ups == [True, False, True])
    for channel in CHANNELS[:3]:
        relay.publish(channel, ["back"])
    await room.until(lambda: len(room.heard) == 3)


async def test_how_late_it_hears_is_measured_by_a_ping_on_its_own_line(
    redis: Redis, room: Room, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer comes behind what was told before it: while we are slow to read, that counts too."""
    lags: list[float] = []

    def read_slowly(channel: str, message: list[Any]) -> None:
        clock.spend(0.7)
        room.message(channel, message)

    def lag(seconds: float) -> None:
        lags.append(seconds)
        room._ring()

    async def next_look() -> None:
        """The answer to its last ping may be here before it sleeps again."""
        while all(waiter.done() for _, _, waiter in clock._sleepers):  # noqa: ASYNC110  its real I/O comes to the wait
            await asyncio.sleep(0)
        await clock.advance(WATCH_SECONDS)

    relay = Relay(redis, clock, read_slowly, room.change, lag)
    await relay.start()
    try:
        await relay.join(CHANNELS[0])
        ear = next(iter(relay._ears.values()))
        ping = ear.pubsub.ping

        async def behind_a_message() -> None:
            relay.publish(CHANNELS[0], ["talk"])
            await room.until(lambda: room.heard)
            await ping()

        await next_look()
        await room.until(lambda: lags)
        assert lags == [0.0]
        monkeypatch.setattr(ear.pubsub, "ping", behind_a_message)
        await next_look()
        await room.until(lambda: len(lags) == 2)
        assert lags[1] == pytest.approx(0.7)
    finally:
        await relay.aclose()


async def test_it_ends_whenever_it_is_told_to(redis: Redis, room: Room) -> None:
    """Also in the middle of a break, at every step of the loop on the way to the next connection."""
    for steps in range(40):
        relay = Relay(redis, RealClock(), room.message, room.change)
        await relay.start()
        await relay.join(CHANNELS[0])
        ear = next(iter(relay._ears.values()))
        await ear.pubsub.connection.disconnect(nowait=True)  # type: ignore[union-attr]
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(WAIT_SECONDS):
            await relay.aclose()


async def test_a_channel_follows_its_slot(cluster: Cluster, room: Room) -> None:
    """The old node says so, and all is asked for anew: a break, after which whoever listens compares positions."""
    redis = connect(cluster.url)
    relay = Relay(redis, RealClock(), room.message, room.change)
    await relay.start()
    show_id = cluster.show_on(0, "sh_s")
    slot, channel = slot_of(show_id), keys.channel(show_id)
    try:
        await relay.join(channel)
        await asyncio.to_thread(cluster.move, slot, cluster.masters[1])
        await room.until(lambda: room.ups == [True, False, True])
        await redis.publish(channel, b"\x91\xa5moved")
        await room.until(lambda: room.heard == [(channel, [b"moved"])])
        assert list(relay._ears) == [f"127.0.0.1:{cluster.masters[1].port}"]
    finally:
        await relay.aclose()
        await redis.aclose()
        cluster.move(slot, cluster.masters[0])


async def test_a_node_that_is_no_longer_the_show_s_is_left_though_it_answers(
    cluster: Cluster, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was cut off from its cluster: it says nothing of it, but the client has learnt the new owner."""
    monkeypatch.setattr("livecommerce.rooms.relay.WATCH_SECONDS", 0.05)
    redis = connect(cluster.url)
    client = as_cluster(redis)
    assert client is not None
    relay = Relay(redis, RealClock(), room.message, room.change)
    await relay.start()
    show_id = cluster.show_on(0, "sh_s")
    try:
        await relay.join(keys.channel(show_id))
        elsewhere: Server = cluster.masters[1]
        client.nodes_manager.slots_cache[slot_of(show_id)] = [client.node_at("127.0.0.1", elsewhere.port)]
        await room.until(lambda: room.ups == [True, False, True])
    finally:
        await relay.aclose()
        await redis.aclose()
