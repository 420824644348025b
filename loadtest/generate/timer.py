"""One alarm of the event loop, finer than the loop's own: Linux' timerfd, read like a socket.

What arrives: microseconds from now. What leaves: one call. Loops count in milliseconds (libuv's timers are whole ones),
which would make every planned send up to 1 ms late, and that lateness would stand in every latency.
"""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Callable

_CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC


class _Spec(ctypes.Structure):
    """struct itimerspec: no interval, and the first time from now."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class KernelTimer:
    """Calls `alarm` once after each `set`, from the running loop. Raises `OSError` where the kernel has no timerfd."""

    def __init__(self, alarm: Callable[[], None]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._alarm = alarm
        self._spec = _Spec()
        self._pointer = ctypes.byref(self._spec)
        self._descriptor = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._ring)

    def set(self, after_us: int) -> None:
        after_ns = max(1, after_us * 1000)  # 0 would mean: never
        self._spec.value_s, self._spec.value_ns = divmod(after_ns, 1_000_000_000)
        self._settime(self._descriptor, 0, self._pointer, None)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it was moved after the loop had seen it
            os.read(self._descriptor, 8)
            self._alarm()

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class LoopTimer:
    """The same by the loop's own timers, for machines without timerfd."""

    def __init__(self, alarm: Callable[[], None]) -> None:
        self._alarm = alarm
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, after_us: int) -> None:
        self.close()
        self._handle = self._loop.call_later(after_us / 1e6, self._alarm)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def finest_timer(alarm: Callable[[], None]) -> KernelTimer | LoopTimer:
    try:
        return KernelTimer(alarm)
    except (OSError, AttributeError):  # AttributeError: a libc that has no such function
        return LoopTimer(alarm)
