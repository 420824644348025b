"""The Python client: it comes back by itself, misses nothing, and asks again under the same id."""

import asyncio
import dataclasses
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from livecommerce.client import Closed, ShowSocket, return_delay_seconds
from livecommerce.clock import TestClock
from livecommerce.errors import Close, R, Refused
from livecommerce.protocol.codec import JSON, MSGPACK
from livecommerce.protocol.facts import Note
from livecommerce.protocol.to_viewer import AnyToViewer, Counting, State, Welcome
from livecommerce.reservations import keys
from livecommerce.reservations.anew import pack
from livecommerce.settings import Settings
from tests.gateway.live import SHOW, Live, live, open_deal, until


@pytest.fixture
async def one(redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[Live]:
    async with live(redis, dataclasses.replace(settings, drain_seconds=0), clock) as running:
        await open_deal(running.engine)
        yield running


class Follower:
    """Runs the iteration and keeps what came."""

    def __init__(self, socket: ShowSocket) -> None:
        self.socket = socket
        self.messages: list[AnyToViewer] = []
        self.task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for message in self.socket:
            self.messages.append(message)

    @property
    def offsets(self) -> list[int]:
        return [event.offset for each in self.messages if isinstance(each, State) for event in each.events]

    @property
    def welcomes(self) -> list[Welcome]:
        return [each for each in self.messages if isinstance(each, Welcome)]


async def at_once(seconds: float) -> None:
    await asyncio.sleep(0)


def client(one: Live, token: str = "viewer.a", **options: object) -> ShowSocket:
    return ShowSocket(one.url(), token, sleep=at_once, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("subprotocol", [MSGPACK, JSON])
async def test_it_reserves_releases_and_speaks(one: Live, subprotocol: str) -> None:
    async with client(one, subprotocol=subprotocol) as socket:
        follower = Follower(socket)
        hold = await socket.reserve([("dl_1", 1)])
        assert hold.state == "held"
        assert (await socket.release(hold.rid)).state == "released"
        assert (await socket.say("hello")).shown
        await socket.aclose()
        await follower.task


async def test_a_refusal_comes_back_as_the_same_refusal(one: Live) -> None:
    async with client(one) as socket:
        follower = Follower(socket)
        with pytest.raises(Refused) as refused:
            await socket.reserve([("dl_none", 1)])
        assert refused.value.why is R.UNKNOWN_DEAL
        await socket.aclose()
        await follower.task


async def test_after_a_cut_it_comes_back_and_misses_nothing(one: Live) -> None:
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        for number in range(5):
            await one.shows.news.publish(SHOW, [Note(f"{number}")], 0)
            if number % 2:
                await until(lambda: socket.offset >= 1)
                await socket.drop()
        await until(lambda: socket.offset == 5)
        assert follower.offsets == [1, 2, 3, 4, 5]
        assert len(follower.welcomes) >= 2
        assert all(welcome.recovered for welcome in follower.welcomes[1:])


async def test_a_request_without_an_answer_is_sent_again_and_has_one_effect(one: Live) -> None:
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        asking = asyncio.create_task(socket.reserve([("dl_1", 1)], rid="rid_00000001"))
        await asyncio.sleep(0)
        await socket.drop()
        hold = await asking
        assert (hold.rid, hold.state) == ("rid_00000001", "held")
        assert (await one.engine.levels(SHOW))[1]["dl_1"].held == 1


async def test_a_double_tap_and_a_second_thought_under_one_rid_are_each_answered(one: Live) -> None:
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        taps = [asyncio.create_task(socket.reserve([("dl_1", 1)], rid="rid_00000001")) for _ in range(2)]
        back = asyncio.create_task(socket.release("rid_00000001"))
        holds = await asyncio.gather(*taps, back)
        assert [hold.state for hold in holds] == ["held", "held", "released"]
        assert len({hold.ticket for hold in holds}) == 1


async def test_who_was_welcomed_as_recovered_keeps_her_place(one: Live) -> None:
    """What the server says of its own offset is no proof that she has those events."""
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        hall = one.hub.rooms[SHOW]
        held = await socket.reserve([("dl_1", 1)])
        hall.room.offset += 3  # as if three events had been left out of a slow line
        await hall.tell_own_again()
        await until(lambda: len(follower.welcomes) == 2)
        assert follower.welcomes[1].recovered
        assert [hold.rid for hold in follower.welcomes[1].holds] == [held.rid]
        assert socket.offset == 0


async def test_a_code_that_forbids_to_return_ends_it(one: Live) -> None:
    async with client(one, "nobody.a") as socket:
        with pytest.raises(Closed) as closed:
            await Follower(socket).task
        assert closed.value.code == Close.TOKEN_INVALID
        assert socket.connections == 1


async def test_a_ban_ends_requests_that_wait(one: Live) -> None:
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        await one.shows.news.kick(SHOW, "a", Close.BANNED)
        with pytest.raises(Closed):
            await follower.task
        with pytest.raises(Closed):
            await socket.reserve([("dl_1", 1)])


async def test_a_gap_makes_it_come_back_instead_of_guessing(one: Live) -> None:
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        await one.shows.news.publish(SHOW, [Note("1")], 0)
        await until(lambda: socket.offset == 1)
        socket.offset = 0  # as if the first had never come
        await one.shows.news.publish(SHOW, [Note("2")], 0)
        await until(lambda: socket.offset == 2)
        assert follower.offsets == [1, 1, 2]
        assert socket.connections == 2


async def test_it_returns_when_the_server_said(one: Live) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    async with ShowSocket(one.url(), "viewer.a", sleep=sleep, rand=lambda: 0.5) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        one.hub.rooms[SHOW].sockets_of("a")[0].close(Close.MOVING, "moving", 1234)
        await until(lambda: len(follower.welcomes) == 2)
        assert waited == [1.234]


def test_the_delay_is_full_jitter_under_a_doubling_bound() -> None:
    assert [return_delay_seconds(tries, lambda: 1.0) for tries in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]
    assert return_delay_seconds(5, lambda: 0.0) == 0.0


async def test_while_nobody_answers_each_try_waits_by_full_jitter_and_never_longer_than_the_bound() -> None:
    """Seeded chance, turned time: what one client does is known to the last digit."""
    waited: list[float] = []
    tries = 12

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == tries:
            await socket.aclose()

    socket = ShowSocket("ws://127.0.0.1:1/live/shw_1", "viewer.a", sleep=sleep, rand=random.Random(7).random)
    async for _ in socket:
        pass
    dice = random.Random(7)
    assert waited == [dice.random() * min(15.0, 0.5 * 2.0**n) for n in range(tries)]


def test_a_crowd_that_lost_its_line_at_once_does_not_return_at_once() -> None:
    """A thousand clients on their fourth try: in no tenth of the four seconds do twice as many come as on average."""
    dice = random.Random(11)
    tenths = Counter(int(return_delay_seconds(3, dice.random) / 0.4) for _ in range(1000))
    assert len(tenths) == 10
    assert max(tenths.values()) < 200


async def test_while_stock_is_counted_again_holds_are_kept_and_their_tokens_handed_in(one: Live, redis: Redis) -> None:
    """She comes back to a process that knows nothing of her hold, and is heard; when it is over she is told whole."""
    async with client(one) as socket:
        follower = Follower(socket)
        await until(lambda: follower.welcomes)
        held = await socket.reserve([("dl_1", 1)])
        given_back = await socket.reserve([("dl_1", 1)])
        await socket.release(given_back.rid)
        await redis.rename(keys.meta(SHOW), "aside")
        with pytest.raises(Refused) as refused:
            await socket.reserve([("dl_1", 1)])
        assert refused.value.why is R.REBUILDING
        await socket.drop()
        await until(lambda: len(follower.welcomes) == 2)
        assert (follower.welcomes[1].counting, follower.welcomes[1].holds) == (True, ())
        memory = one.engine._batcher.memory
        await until(lambda: memory._proofs)
        assert [proof.rid for proof in memory.take_proofs(SHOW)] == [held.rid]

        await redis.publish(keys.channel(SHOW), pack(["rebuild", 1]))
        await until(lambda: Counting(True) in follower.messages)
        await until(lambda: memory._proofs)
        assert [proof.rid for proof in memory.take_proofs(SHOW)] == [held.rid]

        await one.hub.rooms[SHOW].tell_own_again()  # as after a break of the relay: nothing is known, nothing is gone
        assert len(follower.welcomes) == 2
        await redis.rename("aside", keys.meta(SHOW))
        await redis.publish(keys.channel(SHOW), pack(["rebuild", 0]))
        await until(lambda: len(follower.welcomes) == 3)
        assert Counting(False) in follower.messages
        assert [hold.rid for hold in follower.welcomes[2].holds] == [held.rid]
        assert (await one.engine.levels(SHOW))[1]["dl_1"].held == 1
        assert not memory.is_counted_again(SHOW)
