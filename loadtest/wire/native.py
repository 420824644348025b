"""The native receiver: `native.c`, compiled on first use and called through ctypes.

What arrives: plugs, and the calls of `receiver.Receiver`. What leaves: singles and tallies. It holds no line's state;
that is all in C. It needs Linux and a C compiler once; without them `CannotBuild` says which is missing.
"""

import ctypes
import functools
import os
import platform
import socket
import struct
import sys
from pathlib import Path
from typing import Any, Literal

from livecommerce.compiled import CannotBuild, compiled
from loadtest.wire import receiver
from loadtest.wire.receiver import ERROR, WRONG_WORDS, Epochs, FrameFacts, OnShared, Single, Taken, Wrong

_SOURCE = Path(__file__).with_name("native.c")
_SINGLE = struct.Struct("7q")
_PAIR = struct.Struct("2q")
_BUCKETS = 23 * 1024
# What both sides must mean by the same number, in the order of `wire_abi`.
_ABI = (
    len(receiver.COUNTERS), len(receiver.LANE_WORDS), receiver.ERROR, max(Wrong), receiver.FRAME_BYTES_MAX,
    receiver.READ_BYTES, receiver.KNOWN_MAX, receiver.KNOWN_BYTES_MAX, receiver.SINGLES_BYTES_MAX,
    receiver.LATENCY_US_MAX, _BUCKETS,
)  # fmt: skip

_Ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_BYTES, _I32, _I64, _SIZE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_size_t
_WIRE = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "wire_abi": (ctypes.c_int, (_BYTES,)),
    "wire_new": (_WIRE, (_Ask,)),
    "wire_free": (None, (_WIRE,)),
    "wire_descriptor": (ctypes.c_int, (_WIRE,)),
    "wire_set_clock": (None, (_WIRE, _I64, _I64)),
    "wire_add": (_I64, (_WIRE, _I64, ctypes.c_int, ctypes.c_char_p, _SIZE, ctypes.c_int, _I64)),
    "wire_remove": (None, (_WIRE, _I64)),
    "wire_pump": (ctypes.c_int, (_WIRE, _I64)),
    "wire_failed": (ctypes.c_int, (_WIRE,)),
    "wire_position": (None, (_WIRE, _I64, _I32, _I64, _I64)),
    "wire_read_some": (None, (_WIRE, _I64, _SIZE)),
    "wire_offset": (None, (_WIRE, _I64, _BYTES)),
    "wire_singles": (_SIZE, (_WIRE, _BYTES, _BYTES, _BYTES)),
    "wire_clear": (None, (_WIRE,)),
    "wire_learn": (ctypes.c_int, (_WIRE, _I32, _I32, _I64, _I64, _BYTES, _BYTES, _SIZE)),
    "wire_take_counters": (None, (_WIRE, _BYTES)),
    "wire_take_latencies": (_SIZE, (_WIRE, ctypes.c_int, _BYTES)),
}


class NativeReceiver:
    """See `receiver.Receiver`. Raises `CannotBuild`."""

    name: Literal["native", "portable"] = "native"

    def __init__(self, on_shared: OnShared) -> None:
        self._on_shared = on_shared
        self._library = library()
        self._epochs = Epochs()
        self._slots: dict[int, int] = {}
        self._error: BaseException | None = None
        self._ask = _Ask(self._asked)  # held here: C keeps only its address
        self._wire: int | None = self._library.wire_new(self._ask)
        if not self._wire:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._rows, self._payloads, self._payload_bytes = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_size_t()
        self._where_singles = tuple(map(ctypes.byref, (self._rows, self._payloads, self._payload_bytes)))
        self._pairs = (ctypes.c_int64 * (2 * _BUCKETS))()

    @property
    def _here(self) -> int:
        """C's part, which a closed receiver has no more: C itself would read what is freed."""
        if self._wire is None:
            raise ValueError("this receiver is closed")
        return self._wire

    def fileno(self) -> int:
        return int(self._library.wire_descriptor(self._here))

    def epoch_number(self, text: str) -> int:
        return self._epochs.number(text)

    def set_clock(self, offset_ns: int, apart_us: int = 0) -> None:
        self._library.wire_set_clock(self._here, offset_ns, apart_us)

    def add(self, viewer: int, plug: socket.socket, rest: bytes, *, slow: bool = False, since_us: int = 0) -> None:
        if viewer in self._slots:
            raise ValueError(f"viewer {viewer} is here already")
        slot = self._library.wire_add(self._here, viewer, plug.fileno(), rest, len(rest), slow, since_us)
        if slot < 0:
            raise OSError(-slot, os.strerror(-slot))
        self._slots[viewer] = slot
        self._raise_if_failed(self._library.wire_failed(self._here))

    def remove(self, viewer: int) -> None:
        slot = self._slots.pop(viewer, None)
        if slot is not None:
            self._library.wire_remove(self._here, slot)

    def pump(self, budget_ms: float = 5.0) -> list[Single]:
        self._raise_if_failed(self._library.wire_pump(self._here, int(budget_ms * 1e6)))
        return self._singles()

    def position(self, viewer: int, epoch: int, offset: int, target: int) -> None:
        self._library.wire_position(self._here, self._slots[viewer], epoch, offset, target)
        self._raise_if_failed(self._library.wire_failed(self._here))

    def read_some(self, viewer: int, most: int) -> list[Single]:
        self._library.wire_read_some(self._here, self._slots[viewer], most)
        self._raise_if_failed(self._library.wire_failed(self._here))
        return self._singles()

    def offset_of(self, viewer: int) -> tuple[int, int]:
        numbers = (ctypes.c_int64 * 2)()
        self._library.wire_offset(self._here, self._slots[viewer], numbers)
        return numbers[0], numbers[1]

    def take(self) -> Taken:
        counters = (ctypes.c_uint64 * len(receiver.COUNTERS))()
        self._library.wire_take_counters(self._here, counters)
        latencies = {
            "state": self._take_latencies(receiver.STATE),
            "talk": self._take_latencies(receiver.TALK),
        }
        return Taken(dict(zip(receiver.COUNTERS, counters, strict=True)), latencies)

    def close(self) -> None:
        if self._wire:
            self._library.wire_free(self._wire)
            self._wire = None
            self._slots.clear()

    def __del__(self) -> None:
        # A receiver that nobody closed would leak its two descriptors; tests and broken runs make many.
        if getattr(self, "_wire", None):
            self.close()

    # --- between Python and C ---------------------------------------------------------------------------------------

    def _singles(self) -> list[Single]:
        count = self._library.wire_singles(self._here, *self._where_singles)
        if not count:
            return []
        rows = ctypes.string_at(self._rows.value or 0, count * _SINGLE.size)
        size = self._payload_bytes.value
        payloads = ctypes.string_at(self._payloads.value or 0, size) if size else b""
        self._library.wire_clear(self._here)
        return [
            Single(
                viewer, at_ns, kind, WRONG_WORDS[Wrong(a)].encode() if kind == ERROR else payloads[at : at + long], a, b
            )
            for viewer, at_ns, kind, a, b, at, long in _SINGLE.iter_unpack(rows)
        ]

    def _take_latencies(self, lane: int) -> list[tuple[int, int]]:
        found = self._library.wire_take_latencies(self._here, lane, self._pairs)
        return [(us, count) for us, count in _PAIR.iter_unpack(ctypes.string_at(self._pairs, found * _PAIR.size))]

    def _asked(self, payload: int, size: int) -> int:
        # What is raised inside a callback of C goes nowhere; it is kept and raised once C has returned.
        try:
            return self._learn(self._on_shared(ctypes.string_at(payload, size)))
        except BaseException as error:
            self._error = self._error or error
            return -1

    def _learn(self, facts: FrameFacts) -> int:
        marks = len(facts.planned)
        assert not facts.marked or len(facts.marked) == marks, "each mark belongs to one event"
        numbers = ctypes.c_int64 * marks
        marked = numbers(*facts.marked) if facts.marked else None
        return int(
            self._library.wire_learn(
                self._wire, facts.lane, facts.epoch, facts.first, facts.last, numbers(*facts.planned), marked, marks
            )
        )

    def _raise_if_failed(self, failed: int) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if failed < 0:
            raise OSError(-failed, os.strerror(-failed))


# --- building -------------------------------------------------------------------------------------------------------


@functools.cache
def library() -> Any:
    """The compiled receiver, built now where no earlier run left it. Raises `CannotBuild`."""
    if not sys.platform.startswith("linux"):
        raise CannotBuild(f"the native receiver needs epoll, which {platform.system()} does not have")
    loaded = compiled(_SOURCE, "receiver")
    for function, (answer, arguments) in _SIGNATURES.items():
        entry = getattr(loaded, function)
        entry.restype, entry.argtypes = answer, arguments
    numbers = (ctypes.c_int64 * 64)()
    count = loaded.wire_abi(numbers)
    assert tuple(numbers[:count]) == _ABI, "native.c and receiver.py differ in a constant"
    return loaded
