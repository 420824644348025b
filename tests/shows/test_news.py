"""The sequencer: dense offsets for whoever publishes, exact recovery or none, words to single people."""

import asyncio
import multiprocessing
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.errors import Close, R, Refused
from livecommerce.hot_state import heard_at, listener, shards_channels
from livecommerce.protocol import codec
from livecommerce.protocol.facts import Line, Note, Stamped
from livecommerce.protocol.to_viewer import Desk, Own
from livecommerce.reservations import keys
from livecommerce.shows.news import NEWS_MAX, TALK_MAX, News, TalkLine
from tests.redis_servers import WAIT_SECONDS

SHOW = "shw_1"


@pytest.fixture
def news(redis: Redis) -> News:
    return News(redis)


async def test_a_show_without_news_has_an_epoch_and_offset_zero(news: News) -> None:
    epoch, offset = await news.position(SHOW)

    assert (len(epoch), offset) == (12, 0)
    assert await news.position(SHOW) == (epoch, 0)
    assert await news.since(SHOW, epoch, 0) == []


async def test_events_get_dense_offsets_and_are_all_published_and_kept(news: News, redis: Redis) -> None:
    heard = await listen(redis)

    assert await news.publish(SHOW, [Note("a"), Note("b")], 5) == 2
    assert await news.publish(SHOW, [Note("c")], 6) == 3

    epoch, _ = await news.position(SHOW)
    kept = await news.since(SHOW, epoch, 0)
    assert kept == [Stamped(1, 5, Note("a")), Stamped(2, 5, Note("b")), Stamped(3, 6, Note("c"))]
    messages = [await heard() for _ in range(3)]
    assert [(word, offset, at_ms) for word, _, offset, at_ms, _ in messages] == [
        (b"state", 1, 5), (b"state", 2, 5), (b"state", 3, 6),
    ]  # fmt: skip
    assert codec.event_from_bytes(messages[2][4]) == Note("c")
    assert messages[0][1] == epoch.encode()


async def test_what_cannot_be_recovered_wholly_is_not_recovered(news: News, redis: Redis) -> None:
    await news.publish(SHOW, [Note(str(n)) for n in range(10)], 1)
    epoch, offset = await news.position(SHOW)

    assert len(await news.since(SHOW, epoch, 4) or []) == 6
    assert await news.since(SHOW, epoch, offset) == []
    assert await news.since(SHOW, epoch, offset + 1) is None
    assert await news.since(SHOW, "another", 0) is None
    await redis.xtrim(keys.news(SHOW), maxlen=5, approximate=False)
    assert await news.since(SHOW, epoch, 4) is None
    assert len(await news.since(SHOW, epoch, 5) or []) == 5


async def test_the_news_keep_their_bound(news: News, redis: Redis) -> None:
    for _ in range(5):
        await news.publish(SHOW, [Note("x")] * 500, 1)

    assert NEWS_MAX <= await redis.xlen(keys.news(SHOW)) < NEWS_MAX + 200


async def test_a_row_of_the_log_is_published_once_and_keeps_its_offset(news: News) -> None:
    rows: list[Any] = [(7, 1, Note("a")), (9, 1, Note("b"))]
    epoch, offsets = await news.publish_logged(SHOW, rows)

    again = await news.publish_logged(SHOW, [*rows, (12, 2, Note("c"))])

    assert offsets == [1, 2]
    assert again == (epoch, [1, 2, 3])
    assert (await news.position(SHOW))[1] == 3


async def test_a_script_that_redis_forgot_is_sent_again(news: News, redis: Redis) -> None:
    await news.publish(SHOW, [Note("a")], 1)
    await redis.script_flush()

    assert await news.publish(SHOW, [Note("b")], 1) == 2


async def test_while_redis_is_away_the_answer_is_busy() -> None:
    away = News(Redis(unix_socket_path="/nowhere/s", retry=Retry(NoBackoff(), 0)))

    for asked in (away.publish(SHOW, [Note("a")], 1), away.position(SHOW), away.since(SHOW, "e", 0)):
        with pytest.raises(Refused) as caught:
            await asked
        assert caught.value.why is R.BUSY


async def test_words_to_single_people_travel_on_the_channel(news: News, redis: Redis) -> None:
    heard = await listen(redis)
    line = Line("lin_1", 1, "Clara", "hello", "host")

    await news.tell(SHOW, "vwr_1", Own(note="hello"))
    await news.tell_desk(SHOW, Desk(text="look"))
    await news.kick(SHOW, "vwr_1", Close.BANNED)
    await news.mute(SHOW, "vwr_1", 99)
    await news.say(SHOW, line)

    own, desk, kick, mute, talk = [await heard() for _ in range(5)]
    assert own[:2] == [b"own", b"vwr_1"]
    assert codec.decode_to_viewer(own[2], codec.MSGPACK) == Own(note="hello")
    assert codec.decode_to_viewer(desk[1], codec.MSGPACK) == Desk(text="look")
    assert kick == [b"kick", b"vwr_1", 4503]
    assert mute == [b"mute", b"vwr_1", 99]
    assert (talk[0], talk[1], talk[3]) == (b"talk", b"host", 0)
    assert await news.recent_talk(SHOW) == [line]


async def test_recent_talk_keeps_the_last_lines_and_forgets_one_by_its_id(news: News) -> None:
    lines = [Line(f"lin_{n}", n, "Ana", str(n)) for n in range(TALK_MAX + 50)]
    for start in range(0, len(lines), 50):
        await news.remember_talk(
            SHOW, [TalkLine(line, "vwr_1", held=line.at_ms % 2 == 1) for line in lines[start:][:50]]
        )

    assert await news.recent_talk(SHOW) == lines[50::2]
    found = await news.find_talk(SHOW, "lin_201")
    assert found == TalkLine(lines[201], "vwr_1", held=True)
    await news.forget_talk(SHOW, "lin_201")
    assert await news.find_talk(SHOW, "lin_201") is None


async def test_offsets_stay_dense_when_two_processes_publish_at_once(
    news: News, redis: Redis, valkey_socket: str
) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=publish_many, args=(valkey_socket, name, 100)) for name in ("a", "b")]
    for process in processes:
        process.start()
    await asyncio.gather(*(news.publish(SHOW, [Note("here")], 1) for _ in range(100)))
    for process in processes:
        await asyncio.to_thread(process.join, WAIT_SECONDS)
        assert process.exitcode == 0

    epoch, offset = await news.position(SHOW)
    events = await news.since(SHOW, epoch, 0)

    assert offset == 300
    assert [stamped.offset for stamped in events or []] == list(range(1, 301))
    for name in ("a", "b"):  # each process's own events keep their order
        texts = [stamped.event.text for stamped in events or [] if isinstance(stamped.event, Note)]
        assert [text for text in texts if text.startswith(name)] == [f"{name}{n}" for n in range(100)]


def publish_many(socket: str, name: str, count: int) -> None:
    """In a process of its own: one event after another."""

    async def run() -> None:
        client = Redis(unix_socket_path=socket, retry=Retry(NoBackoff(), 0))
        for n in range(count):
            await News(client).publish(SHOW, [Note(f"{name}{n}")], 1)
        await client.aclose()

    asyncio.run(run())


async def listen(redis: Redis) -> Any:
    """Subscribe to the show's channel; the answer waits for the next message."""
    pubsub = listener(redis, await heard_at(redis, keys.channel(SHOW))).pubsub()
    await (pubsub.ssubscribe if await shards_channels(redis) else pubsub.subscribe)(keys.channel(SHOW))
    await pubsub.get_message(timeout=WAIT_SECONDS)

    async def next_message() -> list[Any]:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=WAIT_SECONDS)
        assert message is not None
        unpacked: list[Any] = msgpack.unpackb(message["data"], raw=True)
        return unpacked

    return next_message
