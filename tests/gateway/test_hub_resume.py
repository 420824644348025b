"""Coming back: everything that was missed, in order, or a snapshot; never a part. And two processes, one order."""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.gateway.hall import Hall
from livecommerce.protocol.facts import Note, ShowChanged
from livecommerce.protocol.from_viewer import Reserve, Say, WantLine
from livecommerce.protocol.to_viewer import Answer, AnyToViewer, Levels, Own, Relay, Said, State, Talk, Welcome
from livecommerce.reservations import keys
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, Live, Raw, connect, live, open_deal, seat, until


@pytest.fixture
async def one(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Live]:
    async with live(redis, settings, clock) as running:
        yield running


async def publish(one: Live, count: int) -> int:
    """Publish and wait until the hall has delivered."""
    last = 0
    for number in range(count):
        last = await one.shows.news.publish(SHOW, [Note(f"n{number}")], one.clock.now_ms())
    await until(lambda: one.hub.rooms[SHOW].room.offset == last)
    return last


async def back(one: Live, epoch: str, offset: int, viewer_id: str = "back") -> tuple[Raw, Welcome]:
    raw = await connect(one.port, token=f"viewer.{viewer_id}")
    return raw, await raw.hello(epoch=epoch, offset=offset)


async def read_offset(raw: Raw, last: int) -> list[AnyToViewer]:
    """Everything up to the state event of that offset."""
    heard: list[AnyToViewer] = []
    while True:
        message = await raw.read()
        assert message is not None, "the line ended"
        heard.append(message)
        if isinstance(heard[-1], State) and heard[-1].events[-1].offset == last:
            return heard


async def offsets(raw: Raw, count: int) -> list[int]:
    got: list[int] = []
    while len(got) < count:
        got += [event.offset for event in (await raw.read_until(State)).events]
    return got


class TestResume:
    async def test_every_missed_event_comes_in_order(self, one: Live) -> None:
        raw, welcome = await seat(one, "stays")
        await publish(one, 10)
        again, resumed = await back(one, welcome.epoch, 4)
        assert (resumed.recovered, resumed.offset, resumed.snapshot) == (True, 4, None)
        assert await offsets(again, 6) == [5, 6, 7, 8, 9, 10]
        await publish(one, 1)
        assert await offsets(again, 1) == [11]
        raw.close()

    async def test_who_missed_nothing_gets_nothing(self, one: Live) -> None:
        raw, welcome = await seat(one, "stays")
        await publish(one, 3)
        again, resumed = await back(one, welcome.epoch, 3)
        assert resumed.recovered
        await publish(one, 1)
        assert await offsets(again, 1) == [4]
        raw.close()

    async def test_what_the_ring_lost_comes_from_the_news_in_one_shared_reading(
        self, one: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        raw, welcome = await seat(one, "stays")
        await publish(one, 30)
        one.hub.rooms[SHOW].room.ring.clear()
        await publish(one, 2)
        readings = []
        since = one.shows.news.since

        async def counted(*asked: object) -> object:
            readings.append(asked)
            return await since(*asked)  # type: ignore[arg-type]

        monkeypatch.setattr(one.shows.news, "since", counted)
        storm = await asyncio.gather(*(back(one, welcome.epoch, 10, f"v{n}") for n in range(20)))
        assert all(resumed.recovered for _, resumed in storm)
        for again, _ in storm:
            assert await offsets(again, 22) == list(range(11, 33))
        assert len(readings) == 1
        raw.close()

    @pytest.mark.parametrize(("epoch", "offset"), [("another", 2), ("", 0), ("same", 2**50), ("same", 6)], ids=str)
    async def test_a_position_that_means_nothing_here_gets_a_snapshot(self, one: Live, epoch: str, offset: int) -> None:
        raw, welcome = await seat(one, "stays")
        await publish(one, 5)
        again, resumed = await back(one, welcome.epoch if epoch == "same" else epoch, offset)
        assert not resumed.recovered
        assert resumed.snapshot is not None
        # A snapshot that is a few events old comes with those events.
        assert resumed.offset == 5 or await offsets(again, 5 - resumed.offset) == list(range(resumed.offset + 1, 6))
        raw.close()

    async def test_a_snapshot_is_never_older_than_a_change_of_the_show(self, one: Live) -> None:
        raw, _ = await seat(one, "stays")
        facts = (await one.shows.snapshot(SHOW)).show
        await publish(one, 2)
        await one.shows.news.publish(SHOW, [ShowChanged(facts, "ended")], one.clock.now_ms())
        await until(lambda: one.hub.rooms[SHOW].room.offset == 3)
        new, welcome = await seat(one, "comes")
        assert (welcome.snapshot is not None, welcome.offset) == (True, 3)
        before = one.shows.snapshots
        for name in ("comes-too", "and-she"):
            assert (await seat(one, name))[1].offset == 3
        assert one.shows.snapshots == before  # and it is read once for all who come
        for each in (raw, new):
            each.close()

    async def test_what_the_news_lost_too_gets_a_snapshot_and_never_a_part(self, one: Live, redis: Redis) -> None:
        raw, welcome = await seat(one, "stays")
        await publish(one, 10)
        one.hub.rooms[SHOW].room.ring.clear()
        await redis.xtrim(keys.news(SHOW), maxlen=3, approximate=False)
        again, resumed = await back(one, welcome.epoch, 2)
        assert not resumed.recovered
        assert resumed.offset == 10
        await publish(one, 1)
        assert await offsets(again, 1) == [11]
        raw.close()

    async def test_what_was_read_of_another_epoch_is_forgotten_with_it(self, one: Live, redis: Redis) -> None:
        """Read ahead for a storm, then Redis loses the show's news: the same offsets mean other events now."""
        raw, welcome = await seat(one, "stays")
        await publish(one, 10)
        one.hub.rooms[SHOW].room.ring.clear()
        await back(one, welcome.epoch, 2)
        await redis.delete(keys.news_epoch(SHOW), keys.news(SHOW))
        for number in range(6):
            await one.shows.news.publish(SHOW, [Note(f"new {number}")], 0)
        hall: Hall = one.hub.rooms[SHOW]
        while hall.room.offset != 6:  # what came before the fresh start is found by comparing, and the clock stands
            await hall.compare()
            await asyncio.sleep(0.002)
        hall.room.ring.clear()
        again, resumed = await back(one, hall.room.epoch, 3, "another")
        assert resumed.recovered
        assert [event.event for event in (await again.read_until(State)).events] == [
            Note(f"new {n}") for n in (3, 4, 5)
        ]
        raw.close()

    async def test_nothing_is_lost_or_doubled_while_joins_and_events_race(self, one: Live) -> None:
        raw, welcome = await seat(one, "stays")
        dice = random.Random(7)

        async def follow(number: int) -> None:
            await asyncio.sleep(dice.random() / 50)
            again, resumed = await back(one, welcome.epoch, 0, f"v{number}")
            seen = resumed.offset
            while seen < 60:
                for event in (await again.read_until(State)).events:
                    if event.offset > seen:
                        assert event.offset == seen + 1
                        seen = event.offset

        async def tell() -> None:
            for number in range(60):
                await one.shows.news.publish(SHOW, [Note(f"n{number}")], 0)
                await asyncio.sleep(0)

        await asyncio.gather(tell(), *(follow(number) for number in range(30)))
        raw.close()

    async def test_what_was_told_again_is_counted(self, one: Live) -> None:
        raw, welcome = await seat(one, "stays")
        await publish(one, 5)
        before = counted()
        await back(one, welcome.epoch, 2, "b")
        await back(one, welcome.epoch, 5, "c")
        await back(one, "another", 2, "d")
        after = counted()
        assert {name: after[name] - before[name] for name in after} == {
            "resumed_events": 3, "recovered": 2, "not recovered": 1, "filled": 0,
        }  # fmt: skip
        raw.close()


def counted() -> dict[str, float]:
    names = {
        "resumed_events": ("livecommerce_hub_resumed_events_total", {}),
        "recovered": ("livecommerce_hub_recover_total", {"recovered": "true"}),
        "not recovered": ("livecommerce_hub_recover_total", {"recovered": "false"}),
        "filled": ("livecommerce_hub_holes_total", {"fate": "filled"}),
    }
    return {name: REGISTRY.get_sample_value(*asked) or 0.0 for name, asked in names.items()}


class TestHoles:
    async def test_a_message_the_relay_lost_is_read_from_the_news(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        hall: Hall = one.hub.rooms[SHOW]
        await publish(one, 1)
        hear = hall.hear
        lost: list[Any] = []
        hall.hear = lost.append  # type: ignore[method-assign]
        await one.shows.news.publish(SHOW, [Note("lost"), Note("lost too")], 0)
        await until(lambda: lost)
        hall.hear = hear  # type: ignore[method-assign]
        await one.shows.news.publish(SHOW, [Note("arrives")], 0)
        assert await offsets(raw, 4) == [1, 2, 3, 4]

    async def test_silence_after_a_lost_message_is_found_by_comparing_positions(self, one: Live) -> None:
        raw, _ = await seat(one, "a")
        hall: Hall = one.hub.rooms[SHOW]
        hear = hall.hear
        lost: list[Any] = []
        hall.hear = lost.append  # type: ignore[method-assign]
        await one.shows.news.publish(SHOW, [Note("lost")], 0)
        await until(lambda: lost)
        hall.hear = hear  # type: ignore[method-assign]
        before = counted()["filled"]
        await one.clock.advance(2)
        assert await offsets(raw, 1) == [1]
        assert counted()["filled"] == before + 1

    async def test_a_new_epoch_gives_everybody_a_fresh_snapshot(self, one: Live, redis: Redis) -> None:
        raw, welcome = await seat(one, "a")
        await publish(one, 3)
        await redis.delete(keys.news_epoch(SHOW), keys.news(SHOW))
        await one.clock.advance(2)
        again = await raw.read_until(Welcome)
        assert again.epoch != welcome.epoch
        assert (again.recovered, again.offset) == (False, 0)
        await one.shows.news.publish(SHOW, [Note("first again")], 0)
        assert await offsets(raw, 1) == [1]

    async def test_no_event_of_a_new_epoch_comes_before_the_snapshot_that_it_follows(
        self, one: Live, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A page would take it for a gap and break its line. What each needs for her welcome may take its time."""
        raws = [await seat(one, f"v{n}") for n in range(3)]
        epoch = raws[0][1].epoch
        hall: Hall = one.hub.rooms[SHOW]
        free = asyncio.Event()
        orders_of = one.hub.orders.orders_of

        async def slowly(*asked: str) -> object:
            await free.wait()
            return await orders_of(*asked)

        monkeypatch.setattr(one.hub.orders, "orders_of", slowly)
        await redis.delete(keys.news_epoch(SHOW), keys.news(SHOW))
        await one.clock.advance(2)
        await until(lambda: hall.room.epoch != epoch)
        await one.shows.news.publish(SHOW, [Note("first again")], 0)
        await one.shows.news.publish(SHOW, [Note("second")], 0)
        await until(lambda: hall.room.offset == 2)
        free.set()
        await until(lambda: len(hall) == 3)
        await one.shows.news.publish(SHOW, [Note("third")], 0)
        for raw, _ in raws:
            heard = [message for message in await read_offset(raw, 3) if isinstance(message, Welcome | State)]
            assert isinstance(heard[0], Welcome)
            assert heard[0].epoch == hall.room.epoch
            told = [event.offset for state in heard[1:] for event in state.events]  # type: ignore[union-attr]
            assert told == list(range(heard[0].offset + 1, 4))
        assert hall.room.crowd.here == 3

    async def test_while_redis_is_away_the_room_is_told_and_talk_goes_on(self, one: Live, redis: Redis) -> None:
        a, _ = await seat(one, "a")
        b, _ = await seat(one, "b")
        one.hub.relay._change(False)
        assert (await b.read_until(Relay)).up is False
        a.send(Say("c1", "is anybody there?"))
        assert (await a.read_until(Said)).shown
        assert (await b.read_until(Talk)).lines[0].text == "is anybody there?"

    async def test_after_a_cut_connection_nothing_is_missing(self, one: Live, redis: Redis) -> None:
        raw, _ = await seat(one, "a")
        await publish(one, 1)
        await redis.client_kill_filter(_type="pubsub")
        for _ in range(5):
            await one.shows.news.publish(SHOW, [Note("meanwhile")], 0)
        assert (await raw.read_until(Relay)).up is False
        for _ in range(20):
            await one.clock.advance(0.2)
        assert await offsets(raw, 5) == [2, 3, 4, 5, 6]


class TestTwoProcesses:
    @contextlib.asynccontextmanager
    async def two(self, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[tuple[Live, Live]]:
        async with live(redis, settings, clock) as first, live(redis, settings, clock) as second:
            yield first, second

    async def test_events_come_in_the_same_order_whoever_published(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        async with self.two(redis, settings, clock) as (first, second):
            a, _ = await seat(first, "a")
            b, _ = await seat(second, "b")
            await asyncio.gather(
                *(each.shows.news.publish(SHOW, [Note(f"{n}")], 0) for n in range(20) for each in (first, second))
            )
            heard = []
            for raw in (a, b):
                events: list[object] = []
                while len(events) < 40:
                    events += (await raw.read_until(State)).events
                heard.append(events)
            assert heard[0] == heard[1]
            assert [event.offset for event in heard[0]] == list(range(1, 41))  # type: ignore[attr-defined]

    async def test_talk_is_thinned_alike_and_the_author_is_told_once(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        settings = dataclasses.replace(settings, talk_lines_per_second=2)
        async with self.two(redis, settings, clock) as (first, second):
            writers = [(await seat(each, f"w{n}"))[0] for n in range(4) for each in (first, second)]
            readers = [(await seat(each, "reader"))[0] for each in (first, second)]
            for number, raw in enumerate(writers):
                raw.send(Say("c", f"line number {number}"))
            halls = [each.hub.rooms[SHOW] for each in (first, second)]
            await until(lambda: all(len(hall.room._to_publish) == 3 for hall in halls))
            receipts = []
            for _ in range(3):
                await clock.advance(0.11)
            for raw in writers:
                receipts.append(await raw.read_until(Said))
            shown = {receipt.line.line_id for receipt in receipts if receipt.shown}
            assert 4 <= len(shown) < 8
            for raw in readers:
                heard: set[str] = set()
                while heard != shown:
                    await clock.advance(0.11)
                    heard |= {line.line_id for line in (await raw.read_until(Talk)).lines}

    async def test_her_hold_and_the_numbers_cross_over(
        self, redis: Redis, settings: Settings, clock: TestClock
    ) -> None:
        async with self.two(redis, settings, clock) as (first, second):
            await open_deal(first.engine)
            a, _ = await seat(first, "a")
            also_a, _ = await seat(second, "a")
            b, _ = await seat(second, "b")
            a.send(Reserve("rid_00000001", (WantLine("dl_1", 2),)))
            await a.read_until(Answer)
            assert (await also_a.read_until(Own)).hold.rid == "rid_00000001"
            while "dl_1" not in (levels := await b.read_until(Levels)).deals:
                pass
            assert levels.deals["dl_1"].held == 2

    async def test_the_head_count_is_everybodys(self, redis: Redis, settings: Settings, clock: TestClock) -> None:
        async with self.two(redis, settings, clock) as (first, second):
            seats = [(await seat(each, f"v{n}"))[0] for n in range(2) for each in (first, second)]
            rooms = [each.hub.rooms[SHOW].room for each in (first, second)]
            await clock.advance(1.1)  # each tells the other
            await until(lambda: all(room.crowd.total(clock.monotonic()) == 4 for room in rooms))
            await clock.advance(1.1)
            while (await seats[0].read_until(Levels)).viewers != 4:
                pass
