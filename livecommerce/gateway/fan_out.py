"""The loop over everybody's sockets: in C where the machine could compile it, else in Python, with the same results.

What arrives: descriptors and one frame. What leaves: who did not take all of it. It knows no outboxes.
The C loop saves what the interpreter costs beside the system call: a third of a frame's CPU at 10,000 viewers.
"""

import ctypes
import os
from array import array
from collections.abc import Callable
from pathlib import Path

from livecommerce.compiled import CannotBuild, compiled

HELD = -1  # of a descriptor: the viewer's line is not free. Of a note: nothing was tried
NOBODY = -2  # of a descriptor: an empty seat. It is passed over
BROKEN = -3  # of a note: the other side is gone

# (place, bytes taken, or HELD or BROKEN) of each who did not take the whole frame.
Notes = list[tuple[int, int]]
# The descriptors, the frame, and the place that is served first; the one before it is the last.
Loop = Callable[["array[int]", bytes, int], Notes]

_SOURCE = Path(__file__).with_name("fan_out.c")


def write_one(descriptor: int, frame: bytes) -> int:
    """The bytes that the socket took, 0 where it is full; or BROKEN."""
    try:
        return os.write(descriptor, frame)
    except BlockingIOError:
        return 0
    except OSError:
        return BROKEN


def in_python(descriptors: "array[int]", frame: bytes, first: int) -> Notes:
    """One `write` per descriptor."""
    notes: Notes = []
    size = len(frame)
    for place in (*range(first, len(descriptors)), *range(first)):
        descriptor = descriptors[place]
        if descriptor == NOBODY:
            continue
        taken = write_one(descriptor, frame) if descriptor != HELD else HELD
        if taken != size:
            notes.append((place, taken))
    return notes


def in_c() -> Loop:
    """The compiled loop. Raises `CannotBuild`."""
    function = compiled(_SOURCE, "fan-out").fan_out
    function.restype = ctypes.c_int
    numbers, number = ctypes.c_void_p, ctypes.c_int
    function.argtypes = (numbers, number, number, ctypes.c_char_p, ctypes.c_size_t, numbers)

    def loop(descriptors: "array[int]", frame: bytes, first: int) -> Notes:
        address, count = descriptors.buffer_info()
        notes = array("i", bytes(2 * descriptors.itemsize * count))
        noted = function(address, count, first, frame, len(frame), notes.buffer_info()[0])
        return list(zip(notes[: 2 * noted : 2], notes[1 : 2 * noted : 2], strict=True)) if noted else []

    return loop


def best() -> tuple[Loop, str]:
    """The loop of this machine; and, where that is the one in Python, why."""
    try:
        return in_c(), ""
    except CannotBuild as error:
        return in_python, str(error)
