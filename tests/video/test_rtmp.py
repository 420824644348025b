"""RTMP from real ffmpeg, from byte salad, and from those who ask for too much."""

import asyncio
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.video import flv
from livecommerce.video.boxes import Fragment, Header
from livecommerce.video.remux import Remuxer, Source
from livecommerce.video.rtmp import (
    HANDSHAKE_BYTES,
    BadRtmp,
    Ended,
    Event,
    Publish,
    RtmpReceiver,
    Tag,
    decode_amf,
    encode_amf,
)
from tests.video.films import needs_ffmpeg

HELLO = b"\x03" + bytes(HANDSHAKE_BYTES) + bytes(HANDSHAKE_BYTES)


def message(kind: int, body: bytes, stream: int = 3, timestamp: int = 0) -> bytes:
    head = struct.pack(">B3s3sBI", stream, timestamp.to_bytes(3, "big"), len(body).to_bytes(3, "big"), kind, 0)
    pieces = [body[at : at + 128] for at in range(0, len(body), 128)] or [b""]
    return head + bytes([0xC0 | stream]).join(pieces)


def connected() -> RtmpReceiver:
    receiver = RtmpReceiver()
    receiver.feed(HELLO + message(20, encode_amf("connect", 1.0, {"app": "live"})))
    receiver.outgoing()
    return receiver


async def _publish(answer: Callable[[RtmpReceiver, Publish], None], seconds: float = 3.0) -> tuple[list[Event], int]:
    """(what was received, ffmpeg's exit code) of a real encoder that sends `seconds` of a film."""
    events: list[Event] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver = RtmpReceiver()
        try:
            while data := await reader.read(65_536):
                for event in receiver.feed(data):
                    events.append(event)
                    if isinstance(event, Publish):
                        answer(receiver, event)
                writer.write(receiver.outgoing())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    encoder = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x284:rate=15", "-f", "lavfi", "-i", "sine",
        "-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-c:a", "aac", "-f", "flv",
        f"rtmp://127.0.0.1:{port}/live/the-key", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    code = await encoder.wait()
    await ended.wait()
    server.close()
    return events, code


@needs_ffmpeg
async def test_what_an_encoder_sends_becomes_fragments() -> None:
    events, code = await _publish(lambda receiver, _: receiver.accept())

    assert code == 0
    assert [each for each in events if isinstance(each, Publish)] == [Publish("live", "the-key")]
    assert isinstance(events[-1], Ended)
    remuxer = Remuxer(Source("flv"), 500)
    await remuxer.start()

    async def feed() -> None:
        await remuxer.feed(flv.HEADER)
        for event in events:
            if isinstance(event, Tag):
                await remuxer.feed(event.data)
        remuxer.end()

    feeding = asyncio.create_task(feed())
    found = [each async for each in remuxer.fragments()]
    await feeding
    await remuxer.aclose()
    assert isinstance(found[0], Header)
    assert found[0].codecs.startswith("avc1.")
    assert sum(each.duration_ms for each in found if isinstance(each, Fragment)) == pytest.approx(3000, abs=200)


@needs_ffmpeg
async def test_a_wrong_key_is_refused_before_a_picture_is_taken() -> None:
    events, code = await _publish(lambda receiver, _: receiver.refuse("No such key."))

    assert code != 0
    assert [type(each) for each in events] == [Publish]


async def test_pictures_without_a_publish_are_left_out() -> None:
    assert connected().feed(message(9, b"\x17\x00picture", stream=6)) == []


@pytest.mark.parametrize("size", [1, 7, 128, 4096])
def test_it_does_not_matter_how_the_bytes_come(size: int) -> None:
    data = (
        HELLO
        + message(20, encode_amf("connect", 1.0, {"app": "live", "tcUrl": "rtmp://x/live" * 20}))
        + message(20, encode_amf("publish", 5.0, None, "key", "live"))
    )
    receiver = RtmpReceiver()
    events = [event for at in range(0, len(data), size) for event in receiver.feed(data[at : at + size])]
    receiver.accept()
    media = message(9, b"\x17" * 300, stream=6, timestamp=70)
    events += [event for at in range(0, len(media), size) for event in receiver.feed(media[at : at + size])]

    assert events[0] == Publish("live", "key")
    assert isinstance(events[1], Tag)
    assert events[1].data[:8] == b"\x09\x00\x01\x2c\x00\x00\x46\x00"
    assert events[1].data[11:-4] == b"\x17" * 300


def test_a_long_time_has_a_time_of_four_bytes() -> None:
    receiver = connected()
    receiver.feed(message(20, encode_amf("publish", 5.0, None, "key")))
    receiver.accept()
    body = b"\x17" * 200
    head = struct.pack(">B3s3sBI", 6, b"\xff\xff\xff", len(body).to_bytes(3, "big"), 9, 0)
    long = struct.pack(">I", 0x01234567)
    [tag] = receiver.feed(head + long + body[:128] + bytes([0xC6]) + long + body[128:])

    assert isinstance(tag, Tag)
    assert tag.data[4:8] == b"\x23\x45\x67\x01"
    assert tag.data[11:-4] == body


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "another version"),
        (HELLO + message(1, struct.pack(">I", 0)), "chunks of 0"),
        (HELLO + message(1, struct.pack(">I", 1 << 30)), "chunks of"),
        (HELLO + message(1, b"\0"), "cut off"),
        (HELLO + b"\xc6", "without having begun"),
        (HELLO + struct.pack(">B3s3sBI", 6, b"\0\0\0", b"\xff\xff\xff", 9, 0) + bytes(200), "a message of"),
        (HELLO + message(20, encode_amf("play", 1.0)), "only encoders"),
        (HELLO + message(20, b"\x02\xff\xffx"), "cut off"),
        (HELLO + message(20, b"\x03" + b"\x00\x01a\x03" * 40), "objects within"),
        (HELLO + message(20, encode_amf("publish", 1.0, None, "a")) * 2, "a second publish"),
        (HELLO + b"".join(message(9, b"", stream=each) for each in range(2, 64))
         + b"".join(struct.pack(">BB", 0, each) + message(9, b"")[1:] for each in range(9)), "too many streams"),
    ],
)  # fmt: skip
def test_what_is_no_rtmp_or_too_much_of_it_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadRtmp, match=words):
        RtmpReceiver().feed(data)


@given(st.binary(max_size=600))
def test_any_bytes_after_the_handshake_are_read_or_refused(data: bytes) -> None:
    receiver = connected()
    try:
        receiver.feed(data)
        receiver.feed(data)
    except BadRtmp:
        return
    receiver.outgoing()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(PLAIN, max_size=5))
def test_amf_is_read_as_it_was_written(values: list[object]) -> None:
    assert decode_amf(encode_amf(*values)) == values
