"""The table: for each case the bytes that are sent, cut as they go out, and what has to be seen.

The categories are those of the Autobahn suite, without compression, which is never negotiated, and with masks, sizes,
cuts and handshakes added. A message that the room understands is the sign that it arrived: `answer n` is its answer to
a `ping` of our own protocol with `at` n. `open` means that the line still answers a ping of the standard at the end,
`end` that the server closed it.
"""

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


@dataclass(frozen=True)
class Case:
    """One case. `pieces` go out one by one, each seen by the server before the next; `expect` is what comes back."""

    category: str
    name: str
    pieces: tuple[bytes, ...]
    expect: tuple[str, ...]


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes | None = MASK, width: int = 0
) -> bytes:
    """One frame with every part of it chosen. `width` is the number of bytes of its length beyond the first."""
    size = len(payload)
    width = width or (0 if size < 126 else 2 if size < 65_536 else 8)
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    second = (0x80 if mask is not None else 0) | {0: size, 2: 126, 8: 127}[width]
    head = bytes((first, second)) + (size.to_bytes(width, "big") if width else b"")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ key for byte, key in zip(payload, itertools.cycle(mask), strict=False))


def ask(at: int, more: str = "") -> bytes:
    """A message of the room: its answer is `answer <at>`. `more` stands in a field that the room does not know."""
    return f'{{"t":"ping","at":{at},"more":"{more}"}}'.encode()


def sized(size: int) -> bytes:
    """A message of exactly `size` bytes."""
    return ask(1, "x" * (size - len(ask(1))))


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


OPEN, END = "open", "end"
BAD, TEXT_BAD, TOO_BIG = ("close 1002", END), ("close 1007", END), ("close 1009", END)


def cases() -> Iterator[Case]:
    for make in (
        _framing, _pings, _reserved, _opcodes, _fragments, _texts, _closes, _masks, _sizes, _cuts, _handshakes,
    ):  # fmt: skip
        category = (make.__doc__ or "").strip()
        for name, pieces, expect in make():
            yield Case(category, name, pieces, expect)


Row = tuple[str, tuple[bytes, ...], tuple[str, ...]]


def _framing() -> Iterator[Row]:
    """1 Framing"""
    yield "a text message", (frame(TEXT, ask(1)),), ("answer 1", OPEN)
    for size in (125, 126, 127, 128, 1000):
        yield f"a text message of {size} bytes", (frame(TEXT, sized(size)),), ("answer 1", OPEN)
    yield "an empty text message is no message of the room", (frame(TEXT),), ("refused 100", OPEN)
    yield "a binary message on the JSON subprotocol", (frame(BINARY, ask(1)),), ("refused 100", OPEN)
    yield "an empty binary message", (frame(BINARY),), ("refused 100", OPEN)
    yield "two messages in one segment", (frame(TEXT, ask(1)) + frame(TEXT, ask(2)),), ("answer 1", "answer 2", OPEN)


def _pings() -> Iterator[Row]:
    """2 Pings and pongs"""
    yield "a ping without payload", (frame(PING),), ("pong ", OPEN)
    yield "a ping with text", (frame(PING, b"Hello"),), ("pong 48656c6c6f", OPEN)
    yield "a ping with bytes that are no text", (frame(PING, b"\x00\xff\xfe"),), ("pong 00fffe", OPEN)
    yield "a ping of 125 bytes", (frame(PING, b"\xfe" * 125),), ("pong " + "fe" * 125, OPEN)
    yield "a ping of 126 bytes", (frame(PING, b"\xfe" * 126),), BAD
    cut = tuple(bytes([byte]) for byte in frame(PING, b"slow"))
    yield "a ping, byte by byte", cut, ("pong " + b"slow".hex(), OPEN)
    yield "a pong that nobody asked for", (frame(PONG),), (OPEN,)
    yield "a pong that nobody asked for, with payload", (frame(PONG, b"me"),), (OPEN,)
    yield "a pong, then a ping", (frame(PONG, b"me") + frame(PING, b"and you"),), ("pong " + b"and you".hex(), OPEN)
    ten = [bytes([48 + n]) for n in range(10)]
    yield "ten pings in one segment", (b"".join(frame(PING, each) for each in ten),), (
        *(f"pong {each.hex()}" for each in ten), OPEN,
    )  # fmt: skip
    yield "ten pings, each on its own", tuple(frame(PING, each) for each in ten), (
        *(f"pong {each.hex()}" for each in ten), OPEN,
    )  # fmt: skip


def _reserved() -> Iterator[Row]:
    """3 Reserved bits"""
    for bits in range(1, 8):
        yield f"reserved bits {bits:03b} on a text", (frame(TEXT, ask(1), reserved=bits),), BAD
    yield "a good message before a reserved bit", (frame(TEXT, ask(1)), frame(TEXT, ask(2), reserved=4)), (
        "answer 1", *BAD,
    )  # fmt: skip
    yield "a reserved bit on a ping", (frame(PING, reserved=4),), BAD
    yield "a reserved bit on a close", (frame(CLOSE, reserved=1),), BAD
    yield "a reserved bit on a fragment", (frame(TEXT, b"{", fin=False), frame(CONT, b"}", reserved=2)), BAD
    yield "a reserved bit, before the payload is there", (frame(TEXT, ask(1), reserved=4)[:2],), BAD


def _opcodes() -> Iterator[Row]:
    """4 Opcodes"""
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"opcode {opcode}", (frame(opcode),), BAD
    yield "opcode 3 with payload", (frame(3, b"payload"),), BAD
    yield "a good message before opcode 12", (frame(TEXT, ask(1)), frame(12, b"x"), frame(PING)), ("answer 1", *BAD)


def _fragments() -> Iterator[Row]:
    """5 Fragmentation"""
    text = ask(1)
    head, middle, tail = text[:5], text[5:9], text[9:]
    yield "a ping in two fragments", (frame(PING, b"a", fin=False), frame(CONT, b"b")), BAD
    yield "a pong in two fragments", (frame(PONG, b"a", fin=False), frame(CONT, b"b")), BAD
    yield "a close in two fragments", (frame(CLOSE, fin=False), frame(CONT)), BAD
    yield "a text in two fragments", (frame(TEXT, head, fin=False), frame(CONT, middle + tail)), ("answer 1", OPEN)
    yield "two fragments in one segment", (frame(TEXT, head, fin=False) + frame(CONT, middle + tail),), (
        "answer 1", OPEN,
    )  # fmt: skip
    yield (
        "three fragments with a ping between the first two",
        (frame(TEXT, head, fin=False), frame(PING, b"?"), frame(CONT, middle, fin=False), frame(CONT, tail)),
        ("pong 3f", "answer 1", OPEN),
    )
    yield (
        "a pong between two fragments",
        (frame(TEXT, head, fin=False), frame(PONG, b"?"), frame(CONT, middle + tail)),
        ("answer 1", OPEN),
    )
    yield (
        "a close between two fragments",
        (frame(TEXT, head, fin=False), close(1000), frame(CONT, middle + tail)),
        ("close 1000", END),
    )
    yield "a first, a middle and a last fragment that are empty", (
        frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT),
    ), ("refused 100", OPEN)  # fmt: skip
    yield "an empty fragment in the middle", (
        frame(TEXT, head, fin=False), frame(CONT, fin=False), frame(CONT, middle + tail),
    ), ("answer 1", OPEN)  # fmt: skip
    yield "a continuation of nothing", (frame(CONT, text),), BAD
    yield "a continuation of nothing that is not the last", (frame(CONT, text, fin=False), frame(TEXT, text)), BAD
    yield "a continuation after a whole message", (frame(TEXT, text), frame(CONT, text)), ("answer 1", *BAD)
    yield "a text inside of a text", (frame(TEXT, head, fin=False), frame(TEXT, text)), BAD
    yield "a binary inside of a text", (frame(TEXT, head, fin=False), frame(BINARY, text)), BAD
    yield "a fragmented binary on the JSON subprotocol", (frame(BINARY, head, fin=False), frame(CONT, tail)), (
        "refused 100", OPEN,
    )  # fmt: skip
    yield "two fragmented messages, one after the other", (
        frame(TEXT, head, fin=False), frame(CONT, middle + tail), frame(TEXT, head, fin=False),
        frame(CONT, middle + tail),
    ), ("answer 1", "answer 1", OPEN)  # fmt: skip


# Texts that are UTF-8 and texts that are not, after the tables of Markus Kuhn's stress test.
_GOOD_TEXTS = {
    "Greek": "κόσμε", "Chinese": "直播购物", "French": "Où est l’été ?", "beyond the basic plane": "🛍️𝒜",
    "the last of one byte": "\x7f", "the first of two": "\x80", "the last of two": "\u07ff",
    "the first of three": "\u0800", "before the surrogates": "\ud7ff", "after the surrogates": "\ue000",
    "the last of three": "\uffff", "the first of four": "\U00010000", "the last there is": "\U0010ffff",
    "a non-character": "\ufffe",
}  # fmt: skip
_BAD_TEXTS = {
    "a continuation byte alone": b"\x80", "the last continuation byte": b"\xbf", "two continuations": b"\x80\xbf",
    "a lead of two alone": b"\xc0 ", "a lead of three alone": b"\xe0 ", "a lead of four alone": b"\xf0 ",
    "two of three bytes": b"\xe2\x82", "three of four bytes": b"\xf0\x9f\x9b", "byte fe": b"\xfe", "byte ff": b"\xff",
    "a slash in two bytes": b"\xc0\xaf", "a slash in three": b"\xe0\x80\xaf", "a slash in four": b"\xf0\x80\x80\xaf",
    "a zero in two bytes": b"\xc0\x80", "a high surrogate": b"\xed\xa0\x80", "a low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80", "beyond the last": b"\xf4\x90\x80\x80",
    "a lead of five": b"\xf8\x88\x80\x80\x80", "a lead of six": b"\xfc\x84\x80\x80\x80\x80",
}  # fmt: skip


def _texts() -> Iterator[Row]:
    """6 UTF-8"""
    for name, text in _GOOD_TEXTS.items():
        if text == "\x7f":
            yield f"UTF-8: {name}", (frame(TEXT, ask(1, text)),), ("answer 1", OPEN)
            continue
        data = ask(1, text)
        yield f"UTF-8: {name}", (frame(TEXT, data),), ("answer 1", OPEN)
        at = len(ask(1)) - 2 + 1  # inside of the text's first letter
        yield f"UTF-8: {name}, cut inside a letter", (
            frame(TEXT, data[:at], fin=False), frame(CONT, data[at:]),
        ), ("answer 1", OPEN)  # fmt: skip
    for name, bad in _BAD_TEXTS.items():
        data = ask(1, "?").replace(b"?", bad)
        yield f"not UTF-8: {name}", (frame(TEXT, data),), TEXT_BAD
    yield "not UTF-8: fails at the fragment in which it stands, before the last", (
        frame(TEXT, b"\xce\xba\xf4", fin=False), frame(CONT, b"\x90", fin=False),
    ), TEXT_BAD  # fmt: skip
    yield "not UTF-8: the text ends inside a letter", (frame(TEXT, b"{\xe2", fin=False), frame(CONT, b"\x82")), TEXT_BAD
    yield "not UTF-8: what stands behind it in the segment is not read", (
        frame(TEXT, b"\xff") + frame(TEXT, ask(2)),
    ), TEXT_BAD  # fmt: skip
    yield "a binary message need not be UTF-8", (frame(BINARY, b"\xff\xfe"),), ("refused 100", OPEN)


def _closes() -> Iterator[Row]:
    """7 Close handling"""
    yield "a close without code", (frame(CLOSE),), ("close none", END)
    yield "a close with half a code", (frame(CLOSE, b"\x03"),), BAD
    yield "a close with a reason", (close(1000, b"done"),), ("close 1000", END)
    yield "a close with the longest reason", (close(1000, b"r" * 123),), ("close 1000", END)
    yield "a close with a longer reason", (close(1000, b"r" * 124),), BAD
    yield "a close with a reason in Chinese", (close(1000, "再见".encode()),), ("close 1000", END)
    yield "a close whose reason is not UTF-8", (close(1000, b"\xce\xba\xff"),), TEXT_BAD
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        yield f"a close with code {code}", (close(code),), (f"close {code}", END)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"a close with code {code}", (close(code),), BAD
    yield "two closes in one segment", (close(1000) + close(1001),), ("close 1000", END)
    yield "a message after the close", (close(1000) + frame(TEXT, ask(1)),), ("close 1000", END)
    yield "a ping after the close", (close(1000) + frame(PING),), ("close 1000", END)
    yield "a message before the close", (frame(TEXT, ask(1)) + close(1000),), ("answer 1", "close 1000", END)
    yield "256 KiB after the close", (close(1000) + b"\xff" * 262_144,), ("close 1000", END)


def _masks() -> Iterator[Row]:
    """8 Masks"""
    yield "a text without a mask", (frame(TEXT, ask(1), mask=None),), BAD
    yield "a ping without a mask", (frame(PING, mask=None),), BAD
    yield "a close without a mask", (frame(CLOSE, b"\x03\xe8", mask=None),), BAD
    yield "a mask of zeros", (frame(TEXT, ask(1), mask=bytes(4)),), ("answer 1", OPEN)
    yield "a mask of ones", (frame(TEXT, ask(1), mask=b"\xff" * 4),), ("answer 1", OPEN)
    yield "another mask for each frame", (
        frame(TEXT, ask(1)[:7], fin=False, mask=b"abcd"), frame(CONT, ask(1)[7:], mask=b"wxyz"),
    ), ("answer 1", OPEN)  # fmt: skip
    yield "a frame without a mask after good ones", (frame(TEXT, ask(1)), frame(TEXT, ask(2), mask=None)), (
        "answer 1", *BAD,
    )  # fmt: skip


def _sizes() -> Iterator[Row]:
    """9 Sizes and limits"""
    yield "the largest message, 4096 bytes", (frame(TEXT, sized(4096)),), ("answer 1", OPEN)
    yield "4097 bytes", (frame(TEXT, sized(4097)),), TOO_BIG
    yield "4097 bytes, judged by their header alone", (frame(TEXT, sized(4097))[:4],), TOO_BIG
    yield "64 KiB", (frame(TEXT, sized(65_536)),), TOO_BIG
    yield "a length of 2^62, judged by its header alone", (b"\x81\xff" + (2**62).to_bytes(8, "big"),), TOO_BIG
    yield "a length with its highest bit set", (b"\x81\xff" + (2**63).to_bytes(8, "big"),), BAD
    half = sized(4096)
    yield "4096 bytes in two fragments", (frame(TEXT, half[:2048], fin=False), frame(CONT, half[2048:])), (
        "answer 1", OPEN,
    )  # fmt: skip
    yield "4097 bytes in two fragments", (frame(TEXT, b"x" * 2048, fin=False), frame(CONT, b"x" * 2049)), TOO_BIG
    yield "a length of 125 in two bytes", (frame(TEXT, sized(125), width=2),), BAD
    yield "a length of 126 in eight bytes", (frame(TEXT, sized(126), width=8),), BAD
    yield "a length of 0 in two bytes", (frame(TEXT, b"", width=2),), BAD
    yield "a ping whose length stands in two bytes", (frame(PING, b"x", width=2),), BAD
    text = ask(1)
    parts = [text[n : n + 1] for n in range(len(text))]
    yield "one byte in each fragment", (
        frame(TEXT, parts[0], fin=False) + b"".join(frame(CONT, part, fin=False) for part in parts[1:]) + frame(CONT),
    ), ("answer 1", OPEN)  # fmt: skip
    yield "128 fragments", (
        frame(TEXT, text, fin=False) + frame(CONT, fin=False) * 126 + frame(CONT),
    ), ("answer 1", OPEN)  # fmt: skip
    yield "129 fragments", (frame(TEXT, text, fin=False) + frame(CONT, fin=False) * 127 + frame(CONT),), TOO_BIG
    yield "empty fragments without end", (frame(TEXT, fin=False) + frame(CONT, fin=False) * 20_000,), TOO_BIG
    yield "pings without end", (frame(PING, b"!") * 2_000,), (*["pong 21"] * 40, "close 4505", END)
    yield "pongs without end", (frame(PONG) * 2_000,), ("close 4505", END)


def _cuts() -> Iterator[Row]:
    """10 Cuts of the network"""
    both = frame(TEXT, ask(1)) + frame(PING, b"p") + frame(TEXT, sized(200))
    for size in (1, 2, 3, 5, 7, 64):
        pieces = tuple(both[at : at + size] for at in range(0, len(both), size))
        yield (
            f"three frames, {size} byte{'s' * (size > 1)} at a time",
            pieces,
            ("answer 1", "pong 70", "answer 1", OPEN),
        )
    in_parts = frame(TEXT, ask(1)[:9], fin=False) + frame(PING, b"p") + frame(CONT, ask(1)[9:])
    yield "fragments with a ping between, byte by byte", tuple(bytes([byte]) for byte in in_parts), (
        "pong 70", "answer 1", OPEN,
    )  # fmt: skip
    yield "a close, byte by byte", tuple(bytes([byte]) for byte in close(1000, b"bye")), ("close 1000", END)
    whole = frame(TEXT, ask(1))
    yield "a frame and the beginning of the next", (whole + whole[:3], whole[3:]), ("answer 1", "answer 1", OPEN)
    yield "half a frame, then nothing", (whole[:9],), ("silent",)


_KEY = base64.b64encode(b"0123456789abcdef").decode()
_HEAD = {
    "Host": "shop", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": _KEY,
    "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "livecommerce.v1.json",
}  # fmt: skip


def request(line: str = "GET /live/shw_1 HTTP/1.1", without: str = "", **changed: str) -> bytes:
    """A handshake; names of headers with `_` for `-`."""
    rows = {name: value for name, value in _HEAD.items() if name != without}
    rows |= {name.replace("_", "-"): value for name, value in changed.items()}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in rows.items()), "", ""]).encode("latin-1")


HANDSHAKES = "11 Handshakes"


def _handshakes() -> Iterator[Row]:
    """11 Handshakes"""
    yield "as the standard has it", (request(),), ("101",)
    yield "byte by byte", tuple(bytes([byte]) for byte in request()), ("101",)
    yield "names and words in another case", (request(Upgrade="WebSocket", Connection="keep-alive, UPGRADE"),), ("101",)
    yield "further subprotocols", (request(Sec_WebSocket_Protocol="chat, livecommerce.v1.json"),), ("101",)
    yield "no subprotocol", (request(without="Sec-WebSocket-Protocol"),), ("101",)
    yield "an extension that we do not have", (request(Sec_WebSocket_Extensions="permessage-deflate"),), ("101",)
    yield "a query behind the address", (request("GET /live/shw_1?x=1 HTTP/1.1"),), ("101",)
    yield "only subprotocols that we do not speak", (request(Sec_WebSocket_Protocol="soap"),), ("400",)
    yield "no key", (request(without="Sec-WebSocket-Key"),), ("400",)
    yield "a key of 15 bytes", (request(Sec_WebSocket_Key=base64.b64encode(b"x" * 15).decode()),), ("400",)
    yield "a key that is no base64", (request(Sec_WebSocket_Key="?" * 24),), ("400",)
    yield "two keys", (request().replace(b"\r\n\r\n", f"\r\nSec-WebSocket-Key: {_KEY}\r\n\r\n".encode()),), ("400",)
    yield "no version", (request(without="Sec-WebSocket-Version"),), ("400",)
    yield "version 8", (request(Sec_WebSocket_Version="8"),), ("400",)
    yield "version 14", (request(Sec_WebSocket_Version="14"),), ("400",)
    yield "no Upgrade", (request(without="Upgrade"),), ("404",)
    yield "no Connection", (request(without="Connection"),), ("404",)
    yield "another upgrade", (request(Upgrade="h2c"),), ("404",)
    yield "two upgrades at once", (request(Upgrade="websocket, h2c"),), ("404",)
    yield "a POST", (request("POST /live/shw_1 HTTP/1.1"),), ("405",)
    yield "HTTP/1.0", (request("GET /live/shw_1 HTTP/1.0"),), ("404",)
    yield "a body", (request(Content_Length="5") + b"hello",), ("400",)
    yield "a body of unknown length", (request(Transfer_Encoding="chunked") + b"0\r\n\r\n",), ("400",)
    yield "two Origins", (request(Origin="https://a.example").replace(b"\r\n\r\n", b"\r\nOrigin: b\r\n\r\n"),), ("400",)
    yield "a cookie of 9 KiB", (request(Origin="http://127.0.0.1", Cookie="c=" + "x" * 9_000),), ("431",)
    yield "two hundred headers", (request(**{f"X_{n}": "x" for n in range(200)}),), ("431",)
    yield "a head of 40 KiB", (request(**{f"X_{n}": "x" * 1000 for n in range(40)}),), ("431",)
    yield "a header without end", (request()[:-4] + b"\r\nX: " + b"x" * 100_000,), ("431",)
    yield "an address of 100 KiB", (request("GET /live/" + "x" * 100_000 + " HTTP/1.1"),), ("431",)
    yield "headers without end", (request()[:-2] + b"X: x\r\n" * 20_000,), ("431",)
    yield "a name with a space", (request().replace(b"Host:", b"Ho st:"),), ("400",)
    yield "no HTTP at all", (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), ("400",)
    yield "the first frame behind the request in its segment", (request() + frame(TEXT, ask(1)),), (
        "101", "answer 1",
    )  # fmt: skip
    yield "half of the first frame behind the request", (
        request() + frame(PING, b"early")[:4], frame(PING, b"early")[4:],
    ), ("101", "pong " + b"early".hex())  # fmt: skip
    yield "a close behind the request", (request() + close(1000),), ("101", "close 1000", END)
    yield "a broken frame behind the request", (request() + frame(3),), ("101", *BAD)
    yield "an unknown address", (request("GET /nowhere HTTP/1.1"),), ("403",)
