"""Changes of known inputs, where no fuzzer that sees coverage is at hand: by a seed, so they can be made again."""

import random

_WORDS = (
    b"\x00", b"\xff", b"\x80", b"\x7f", b"\r\n", b"\r\n\r\n", b'"', b"{", b"[", b"\x91", b"\x81", b"\xc1",
    b"\xdf\xff\xff\xff\xff",
    b"\xfe\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"-1", b"1e999", b"\\u0000", b"\xed\xa0\x80", b'"t":"hello"',
    b"Content-Length: ", b"Transfer-Encoding: chunked\r\n",
)  # fmt: skip


def changed(data: bytes, chance: random.Random, size_max: int = 8192) -> bytes:
    """`data` with some of it flipped, cut, doubled or replaced."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0 if out:
                out[at % len(out)] ^= 1 << chance.randrange(8)
            case 1 if out:
                out[at % len(out)] = chance.randrange(256)
            case 2:
                out[at:at] = chance.choice(_WORDS)
            case 3:
                del out[at : at + chance.choice((1, 2, 4, 16))]
            case 4:
                out[at:at] = out[at : at + chance.randrange(1, 64)] * chance.choice((1, 1, 2, 30))
            case _:
                out[at : at + 1] = chance.randbytes(chance.choice((1, 2, 8)))
    return bytes(out[:size_max])
