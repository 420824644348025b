"""The line between conductor and generators: who may join, whose clock is how far off, and that a loss is told."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from loadtest.generate import link as link_module
from loadtest.generate.link import (
    HELLO_BYTES_MAX,
    GeneratorLink,
    JoinRefused,
    Link,
    LinkClosed,
    Links,
    connect_generator,
    listen,
)
from loadtest.orders import (
    AnyOrder,
    Chat,
    Done,
    Finish,
    Join,
    Leave,
    Ready,
    Recorded,
    Sampled,
    ViewerPass,
)
from tests.live_server import until

KEY = "a key"


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


@pytest.mark.parametrize("key", ["", "A key", "a key ", "ä"])
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
