"""A cluster under a shop: a show's slot that moves while people reserve, scripts that are forgotten, a master that
dies, and the whole server on three masters. Each ends with the stock conserved and every request answered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis

from livecommerce.client.socket import new_rid
from livecommerce.clock import RealClock, TestClock
from livecommerce.errors import R, Refused
from livecommerce.hot_state import connect, masters
from livecommerce.ids import ShowId
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.states import State
from livecommerce.rooms.relay import Relay
from livecommerce.settings import Settings
from tests.conservation import check_conservation
from tests.faults.test_whole_server import on_process
from tests.live_server import Deal, live_server, live_show, merchant_folder, until
from tests.redis_servers import Cluster, cluster_of, slot_of, until_passed_on
from tests.reservations.conftest import deal, viewer

__all__ = ["merchant_folder"]

UNITS, BUYERS = 30, 80


@pytest.fixture
async def redis(cluster: Cluster) -> AsyncIterator[Redis]:
    client = connect(cluster.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def engine(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[ReservationEngine]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    yield engine
    await engine.aclose()


class Sale:
    """A deal of 30 units and 80 buyers who tap until they have an answer, as pages do; what each was told."""

    def __init__(self, engine: ReservationEngine, redis: Redis, show_id: str) -> None:
        self.engine, self.redis, self.show_id = engine, redis, ShowId(show_id)
        self.told: dict[tuple[str, str], Hold | Refused] = {}
        self.busy = 0

    async def open(self) -> None:
        await self.engine.open_show(self.show_id)
        await self.engine.put_deal(self.show_id, deal(quota=UNITS, limit=1))

    async def buy(self, number: int) -> None:
        who, rid = viewer(number), f"rid-of-{number:04}"
        while True:
            try:
                answer: Hold | Refused = await self.engine.reserve(self.show_id, who, rid, [("dl_a", 1)])
            except Refused as refused:
                if refused.why is R.BUSY:
                    self.busy += 1
                    await asyncio.sleep(0.02)
                    continue
                answer = refused
            self.told[who.viewer_id, rid] = answer
            return

    async def run(self, buyers: range = range(BUYERS)) -> None:
        """Five at a time, so that there are calls all along."""
        left = iter(buyers)

        async def one_after_another() -> None:
            for number in left:
                await self.buy(number)

        await asyncio.gather(*(one_after_another() for _ in range(5)))

    async def check(self, units: int = UNITS) -> None:
        """Every buyer has a final answer, and the books have exactly what buyers were told."""
        held = {key for key, answer in self.told.items() if isinstance(answer, Hold)}
        assert {answer.why for answer in self.told.values() if isinstance(answer, Refused)} <= {R.SOLD_OUT}
        _, levels = await self.engine.levels(self.show_id)
        assert levels["dl_a"] == Level(UNITS - units, units, 0, 0, 0)
        books: dict[Any, Any] = await self.redis.hgetall(keys.rids(self.show_id))
        assert {key.decode() for key in books} == {"/".join(key) for key in held}
        assert {msgpack.unpackb(raw)[0] for raw in books.values()} == {State.HELD}
        assert len(held) == units


# --- a slot moves ---------------------------------------------------------------------------------------------------


async def test_a_show_whose_slot_moves_key_by_key_loses_no_request(
    cluster: Cluster, redis: Redis, engine: ReservationEngine
) -> None:
    """There and back. While its keys are in two places the script runs in neither (TRYAGAIN); whoever was told "busy"
    asks again and is answered by the new owner (MOVED)."""
    sale = Sale(engine, redis, cluster.show_on(0))
    await sale.open()
    slot, home, away = slot_of(sale.show_id), cluster.masters[0], cluster.masters[2]
    moved = cluster.errors("MOVED")
    await sale.run(range(10))
    for to, buyers in ((away, range(10, 25)), (home, range(25, BUYERS))):
        tried_again = cluster.errors("TRYAGAIN")
        source = await asyncio.to_thread(cluster.begin_move, slot, to)
        assert await asyncio.to_thread(cluster.move_key, slot, source, to)
        buying = asyncio.create_task(sale.run(buyers))
        await until(lambda before=tried_again: cluster.errors("TRYAGAIN") > before, "somebody to be sent away")
        await asyncio.to_thread(cluster.move, slot, to, source)
        await buying
        assert cluster.owner(sale.show_id) is to
    assert len(sale.told) == BUYERS
    assert cluster.errors("MOVED") > moved
    await sale.check()


async def test_other_shows_go_on_while_a_slot_is_open(
    cluster: Cluster, redis: Redis, engine: ReservationEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One on the same node, one on another; and the show that moves says "busy", and nothing of it moves."""
    monkeypatch.setattr("livecommerce.reservations.wires.FOLLOW_SECONDS_MAX", 0.1)
    moving, same, other = (
        Sale(engine, redis, cluster.show_on(n, prefix)) for n, prefix in ((0, "a"), (0, "b"), (1, "c"))
    )
    for sale in (moving, same, other):
        await sale.open()
    slot, to = slot_of(moving.show_id), cluster.masters[2]
    source = cluster.begin_move(slot, to)
    assert cluster.move_key(slot, source, to)
    try:
        with pytest.raises(Refused) as refused:
            await engine.reserve(moving.show_id, viewer(1), "rid-of-0001", [("dl_a", 1)])
        assert refused.value.why is R.BUSY
        for sale in (same, other):
            await sale.run()
            await sale.check()
            assert sale.busy == 0
    finally:
        cluster.move(slot, to, source)
    assert (await engine.levels(moving.show_id))[1]["dl_a"] == Level(UNITS, 0, 0, 0, 0)
    await moving.run()
    await moving.check()


# --- scripts are forgotten ------------------------------------------------------------------------------------------


async def test_script_flush_under_load_costs_nobody_an_answer(
    cluster: Cluster, redis: Redis, engine: ReservationEngine
) -> None:
    sale = Sale(engine, redis, cluster.show_on(1))
    await sale.open()
    buying = asyncio.create_task(sale.run())
    flushes = 0
    while not buying.done():
        for server in await masters(redis):
            await server.script_flush()
        flushes += 1
    await buying
    assert flushes
    assert cluster.errors("NOSCRIPT") > 0
    assert sale.busy == 0
    await sale.check()


# --- a master dies --------------------------------------------------------------------------------------------------


async def test_after_a_failover_the_replica_is_found_and_the_stock_is_whole(
    settings: Settings, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of the master that has the show. What it had passed on is there on its replica; until that one has taken
    over everybody hears "busy", and shows elsewhere go on: their stock, and what their rooms hear."""
    monkeypatch.setattr("livecommerce.rooms.relay.WATCH_SECONDS", 0.2)
    with cluster_of("redis", replicas=True) as own:
        redis = connect(own.url)
        engine = ReservationEngine(redis, settings, clock)
        await engine.start()
        heard: list[str] = []
        ups: list[bool] = []
        relay = Relay(redis, RealClock(), lambda channel, _: heard.append(channel), ups.append)
        await relay.start()
        try:
            sale, elsewhere = Sale(engine, redis, own.show_on(0)), Sale(engine, redis, own.show_on(1))
            await sale.open()
            await elsewhere.open()
            await sale.run(range(10))
            channel, other_channel = keys.channel(sale.show_id), keys.channel(elsewhere.show_id)
            await relay.join(channel)
            await relay.join(other_channel)
            await asyncio.to_thread(until_passed_on, own.masters[0], own.replicas[0])

            own.masters[0].kill()
            buying = asyncio.create_task(sale.run(range(10, BUYERS)))
            await until(lambda: ups[:3] == [True, False, True], "the relay to do without the dead node")
            was_deaf = bool(relay._deaf)  # else it was late, and hears the new master already
            await elsewhere.run()
            await elsewhere.check()
            await until(lambda: other_channel in heard, "the other show's room to hear")
            assert elsewhere.busy == 0
            assert await redis.ping()
            await buying
            assert sale.busy > 0
            assert await asyncio.to_thread(own.owner, sale.show_id) is own.replicas[0]
            await sale.check()
            await until(lambda: ups[-1] and not relay._deaf, "the relay to hear the new master")
            assert len(ups) >= (5 if was_deaf else 3)
            heard.clear()
            await redis.publish(channel, b"\x91\xa4back")
            await until(lambda: channel in heard, "its room to hear")
        finally:
            await relay.aclose()
            await engine.aclose()
            await redis.aclose()


# --- the whole server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster_of_the_shop() -> Iterator[Cluster]:
    with cluster_of("redis") as cluster:
        yield cluster


async def test_two_web_processes_and_a_worker_are_one_shop_on_a_cluster(
    merchant_folder: Path, cluster_of_the_shop: Cluster
) -> None:
    """Cards, stock, chat and a payment cross from one web process to the other, for shows on different masters; a show
    goes on after its slot has moved."""
    cluster = cluster_of_the_shop
    with live_server(merchant_folder, "--processes", "2", REDIS_URL=cluster.url) as server:
        one, other = server.pids("web")
        assert server.pids("valkey") == []
        homes: set[int] = set()
        for _ in range(2):
            async with live_show(server, Deal(2)) as show:
                (deal_id,) = show.deals
                homes.add(cluster.owner(show.show_id).port)
                ada_pass, ben_pass = await server.viewers(["Ada", "Ben"])
                async with (
                    await on_process(show, one, other, ada_pass) as ada,
                    await on_process(show, other, one, ben_pass) as ben,
                ):
                    assert [server.process_of(each.local_port()) for each in (ada, ben)] == [one, other]
                    rid = new_rid()
                    assert (await ada.tap(deal_id, rid=rid)).state == "held"
                    await ben.until_level(deal_id, Level(1, 1, 0, 0, 0))
                    await ben.socket.say("mine next")
                    await ada.until(lambda ada=ada: [line.text for line in ada.lines] == ["mine next"], "the line")

                    slot = slot_of(show.show_id)
                    to = next(master for master in cluster.masters if master is not cluster.owner(show.show_id))
                    await asyncio.to_thread(cluster.move, slot, to)

                    await show.command(do="promise", card_id=show.card_id, text="The last word")
                    for each in (ada, ben):
                        await each.until(lambda each=each: each.saw("promise_made"), "the card's promise")
                    await show.command(do="hide_card", card_id=show.card_id)
                    for each in (ada, ben):
                        await each.until(lambda each=each: each.saw("card_hidden"), "the card to go")
                    order = await ada.check_out(rid)
                    await ada.press(order["pay_url"], "pay")
                    await ben.until_level(deal_id, Level(1, 0, 0, 1, 0))
                await check_conservation(server, show.show_id)
        assert homes
