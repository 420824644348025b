"""The line between conductor and generators: who may join, whose clock is how far off, and that a loss is told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from livecommerce import __version__
from loadtest.generate import link as link_module
from loadtest.generate.link import (
    HELLO_BYTES_MAX,
    GeneratorLink,
    JoinRefused,
    Link,
    LinkClosed,
    Links,
    RunClock,
    connect_generator,
    listen,
)
from loadtest.orders import (
    AnyOrder,
    Chat,
    Done,
    Finish,
    Hello,
    Join,
    Leave,
    Ready,
    Recorded,
    Sampled,
    ViewerPass,
)
from tests.live_server import until

KEY = "the key of this run"


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    async with await listen("127.0.0.1", 0, KEY, t0_ns=1_000) as opened:
        yield opened


async def joined(links: Links) -> tuple[Link, GeneratorLink]:
    generator = await connect_generator("127.0.0.1", links.port, KEY)
    orders = aiter(generator)
    first = asyncio.ensure_future(anext(orders))  # the clock's questions are answered while it waits for an order
    conductor = await links.next()
    await conductor.send(Leave(1, "all", 0))
    assert await first == Leave(1, "all", 0)
    return conductor, generator


async def test_orders_arrive_whole_and_in_order(links: Links) -> None:
    conductor, generator = await joined(links)
    passes = tuple(ViewerPass(f"vw_{number}", "t" * 400) for number in range(2_000))
    sent: list[AnyOrder] = [Join(2, "all", passes, 5, 10.0), Chat(3, "all", 1, 2.0, 3.0), Finish(5.0, ("e", 4))]
    sending = asyncio.ensure_future(_send_all(conductor, sent))
    orders = aiter(generator)
    assert [await anext(orders) for _ in sent] == sent
    await sending


async def test_reports_arrive_whole_and_end_with_done(links: Links) -> None:
    conductor, generator = await joined(links)
    told = [Ready(1), Recorded(b"x" * 100_000), Sampled(9, {"a": 1}, {"b": 2.0}, {"c": "d"}), Done()]
    sending = asyncio.ensure_future(_send_all(generator, told))
    assert [report async for report in conductor] == told
    await sending


async def test_hello_says_who_joined(links: Links) -> None:
    conductor, _ = await joined(links)
    assert conductor.hello.key == KEY
    assert conductor.hello.descriptors_max > 0
    assert conductor.hello.boot_id
    assert str(conductor.hello.pid) in conductor.name


@pytest.mark.parametrize("key", ["", "The key of this run", "the key of this run ", "ä"])
async def test_another_key_is_refused_in_words_and_leaves_no_link(links: Links, key: str) -> None:
    generator = await connect_generator("127.0.0.1", links.port, key)
    with pytest.raises(JoinRefused, match="LOADTEST_KEY"):
        await anext(aiter(generator))
    assert len(links.refused) == 1
    assert links._newcomers.empty()


async def test_another_version_is_refused_with_both_named(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = await _joins_as_version(links, "0.0.9", monkeypatch)
    with pytest.raises(JoinRefused, match=r"version 0\.0\.9, the conductor"):
        await anext(aiter(generator))
    assert links._newcomers.empty()


async def test_the_key_is_looked_at_before_the_version(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = await _joins_as_version(links, "0.0.9", monkeypatch, key="another")
    with pytest.raises(JoinRefused, match="LOADTEST_KEY"):
        await anext(aiter(generator))


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        (HELLO_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\0\0\0\3abc",
        b"\0\0\0\1" + msgspec.msgpack.encode(7),
        b"",
    ],
)
async def test_a_stranger_is_hung_up_on(links: Links, said: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", links.port)
    writer.write(said)
    writer.write_eof()
    await reader.read()
    writer.close()
    await until(lambda: len(links.refused) == 1)
    assert links._newcomers.empty()


async def test_on_the_same_kernel_the_clock_is_the_same(links: Links) -> None:
    conductor, generator = await joined(links)
    assert generator.clock.offset_ns == -1_000
    assert (conductor.clock_offset_us, conductor.clock_error_us) == (0.0, 0.0)


async def test_on_another_kernel_the_quickest_of_twenty_questions_sets_the_clock(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["another kernel", "ours"])
    monkeypatch.setattr(link_module, "boot_id", lambda: next(ids))
    conductor, generator = await joined(links)
    # In truth it is the same clock: what was measured is off by its own error at most.
    assert abs(conductor.clock_offset_us) <= conductor.clock_error_us
    assert abs(generator.clock.offset_ns + 1_000) <= conductor.clock_error_us * 1000
    assert conductor.clock_error_us > 0


async def test_a_clock_that_goes_away_is_followed_and_its_drift_is_told(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(["another kernel", "ours"])
    monkeypatch.setattr(link_module, "boot_id", lambda: next(ids))
    monkeypatch.setattr(link_module, "CLOCK_AGAIN_SECONDS", 0.01)
    conductor, generator = await joined(links)
    hearing = [asyncio.ensure_future(_hear_all(conductor)), asyncio.ensure_future(_hear_all(generator))]
    was_ns = generator.clock.offset_ns
    monkeypatch.setattr(RunClock, "here_ns", lambda _self: time.monotonic_ns() + 5_000_000_000)
    await until(lambda: generator.clock.offset_ns < was_ns - 4_000_000_000)

    assert abs(conductor.clock_drift_us + 5_000_000) <= conductor.clock_error_us
    # Until it was asked again it was wrong by all of that.
    assert conductor.clock_error_us >= 5_000_000 - 1_000
    await until(lambda: generator.clock.apart_us >= 2 * 4_999_000)
    assert abs(generator.clock.now_us() - (time.monotonic_ns() - 1_000) // 1000) < 1_000_000
    await _stop(hearing)


async def test_all_generators_hear_how_far_clocks_may_be_apart(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    here, generator_here = await joined(links)
    hearing = [asyncio.ensure_future(_hear_all(here)), asyncio.ensure_future(_hear_all(generator_here))]
    assert generator_here.clock.apart_us == 0
    ids = iter(["another kernel", "ours"])
    monkeypatch.setattr(link_module, "boot_id", lambda: next(ids))
    far, generator_far = await joined(links)
    await until(lambda: generator_here.clock.apart_us)
    assert generator_here.clock.apart_us == generator_far.clock.apart_us >= 2 * far.clock_error_us
    await _stop(hearing)


async def test_once_the_run_is_full_the_door_is_shut(links: Links) -> None:
    conductor, generator = await joined(links)
    waiting = await connect_generator("127.0.0.1", links.port, KEY)
    refused = asyncio.ensure_future(anext(aiter(waiting)))
    await until(lambda: not links._newcomers.empty())
    port = links.port
    await links.shut()
    with pytest.raises(JoinRefused, match="full"):
        await refused
    with pytest.raises(OSError):
        await connect_generator("127.0.0.1", port, KEY)
    await generator.send(Ready(1))
    assert await conductor.receive() == Ready(1)


async def test_who_was_at_the_door_when_it_shut_is_told_that_the_run_is_full(links: Links) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", links.port)
    await until(lambda: links._pending == 1)
    await links.shut()
    body = msgspec.msgpack.encode(Hello(KEY, "host", 1, "boot", __version__, 1, 1))
    writer.write(len(body).to_bytes(4, "big") + body)
    assert b"full" in await reader.read()
    writer.close()


async def test_only_so_many_stand_at_the_door_without_the_key(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "PENDING_MAX", 3)
    silent = [await asyncio.open_connection("127.0.0.1", links.port) for _ in range(3)]
    await until(lambda: links._pending == 3)
    reader, writer = await asyncio.open_connection("127.0.0.1", links.port)
    assert await reader.read() == b""
    assert "3 others" in links.refused[0]
    for _, each in [*silent, (reader, writer)]:
        each.close()
    await until(lambda: links._pending == 0)
    await joined(links)


@pytest.mark.parametrize("key", ["", "fifteen letters"])
async def test_a_key_that_could_be_guessed_opens_no_door(key: str) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        await listen("127.0.0.1", 0, key)


async def test_a_lost_generator_is_told_to_the_conductor(links: Links) -> None:
    conductor, generator = await joined(links)
    await generator.send(Ready(1))
    await generator.aclose()
    assert await conductor.receive() == Ready(1)
    with pytest.raises(LinkClosed):
        await conductor.receive()


async def test_a_lost_conductor_is_told_to_the_generator(links: Links) -> None:
    conductor, generator = await joined(links)
    await conductor.aclose()
    with pytest.raises(LinkClosed):
        await anext(aiter(generator))


async def test_half_a_message_is_a_lost_link(links: Links) -> None:
    conductor, generator = await joined(links)
    generator._line._writer.write(b"\0\0\0\x10half")
    await generator.aclose()
    with pytest.raises(LinkClosed):
        await conductor.receive()


async def test_who_does_not_read_makes_the_sender_wait(links: Links) -> None:
    conductor, generator = await joined(links)
    sent = 0

    async def send_much() -> None:
        nonlocal sent
        for _ in range(100):
            await generator.send(Recorded(b"x" * 2**20))
            sent += 1

    sending = asyncio.ensure_future(send_much())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await asyncio.shield(sending)
    assert sent < 100
    while not sending.done():
        await conductor.receive()
    await sending


async def _hear_all(link: Link | GeneratorLink) -> None:
    with contextlib.suppress(LinkClosed):
        async for _ in link:
            pass


async def _stop(hearing: "list[asyncio.Future[None]]") -> None:
    for task in hearing:
        task.cancel()
    await asyncio.gather(*hearing, return_exceptions=True)


async def _send_all(link: Link | GeneratorLink, messages: list) -> None:  # type: ignore[type-arg]
    for message in messages:
        await link.send(message)


async def _joins_as_version(
    links: Links, version: str, monkeypatch: pytest.MonkeyPatch, key: str = KEY
) -> GeneratorLink:
    """Both ends run in this process: the other version is only the newcomer's."""
    with monkeypatch.context() as patch:
        patch.setattr(link_module, "__version__", version)
        return await connect_generator("127.0.0.1", links.port, key)
