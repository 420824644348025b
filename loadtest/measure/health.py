"""The generator's own health: how late its loop wakes, what it uses, and whether its limits carry the crowd at all.

What arrives: nothing but this process. What leaves: gauges of the last interval, loop lags into a histogram, and
`LimitError` in words before a crowd is begun that cannot end well. It knows no viewer and no order.
"""

import asyncio
import contextlib
import errno
import ipaddress
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.measure.addresses import is_ipv4_loopback

# Fine enough to see what 25 ms of lag would do to a 100 ms threshold, and 100 wake-ups a second cost below 0.1 %.
TICK_SECONDS = 0.01
# One stop of the loop hides the ticks that were due in it: they are counted too, up to a stop of ten seconds.
_HIDDEN_TICKS_MAX = 1000
# What a process needs beside its viewers: its own files, libraries, the link, requests over HTTP.
DESCRIPTORS_SPARE = 256
# The kernel tries ports one after the other; the last tenth of them is slow to find, and others use some.
_PORTS_USABLE = 0.9
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class LimitError(Exception):
    """A limit of this machine or process stands against the run; the text says which, and what to do."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class Health:
    """Measures this process from `start` to `stop`. `record_lag` gets microseconds, each tick of the loop."""

    def __init__(self, record_lag: Callable[[int], None]) -> None:
        self._record_lag = record_lag
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._since = _Reading.now()

    def start(self) -> None:
        """Begin, in the running loop."""
        self._loop = asyncio.get_running_loop()
        self._since = _Reading.now()
        self._due = self._loop.time() + TICK_SECONDS
        self._timer = self._loop.call_at(self._due, self._tick)

    def stop(self) -> None:
        """No more ticks. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def interval(self) -> dict[str, float]:
        """Gauges since the last call: `cpu` (share of one core; a process of several threads may pass 1), `cpu_wait`
        (share of the time in which it was ready to run and had no core), `descriptors`, `rss_mib`."""
        now = _Reading.now()
        seconds = max(1e-6, now.at - self._since.at)
        used, waited = now.cpu - self._since.cpu, now.waited - self._since.waited
        self._since = now
        return {
            "cpu": used / seconds, "cpu_wait": max(0.0, waited) / seconds,
            "descriptors": float(descriptors_used()), "rss_mib": _rss_mib(),
        }  # fmt: skip

    def _tick(self) -> None:
        assert self._loop is not None
        lag = max(0.0, self._loop.time() - self._due)
        hidden = min(int(lag / TICK_SECONDS), _HIDDEN_TICKS_MAX)
        for number in range(hidden + 1):
            self._record_lag(int((lag - number * TICK_SECONDS) * 1e6))
        self._due = self._loop.time() + TICK_SECONDS
        self._timer = self._loop.call_at(self._due, self._tick)


class _Reading:
    """What the process has used up to one moment, in seconds."""

    __slots__ = ("at", "cpu", "waited")

    def __init__(self, at: float, cpu: float, waited: float) -> None:
        self.at, self.cpu, self.waited = at, cpu, waited

    @classmethod
    def now(cls) -> "_Reading":
        return cls(time.monotonic(), time.process_time(), _waited_seconds())


def _waited_seconds() -> float:
    """How long our main thread stood in the queue for a core."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _rss_mib() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * resource.getpagesize() / 2**20


# --- limits -----------------------------------------------------------------------------------------------------------


def descriptors_used() -> int:
    try:
        if counted := os.stat("/proc/self/fd").st_size:
            return counted
        # Kernels before 6.2 tell no size there. Listing costs milliseconds where a process has thousands.
        return len(os.listdir("/proc/self/fd")) - 1  # one of them is the listing's own
    except OSError:
        return 0


def descriptors_max() -> int:
    """How many this process may have, after its own limit was raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # The kernel's own ceiling may lie below an endless hard limit; then the soft one stays.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft


def need_descriptors(viewers: int, *, spare: int = DESCRIPTORS_SPARE) -> int:
    """How many descriptors this process may have, once that is enough for so many viewers. Raises `LimitError`."""
    most = descriptors_max()
    if viewers + spare > most:
        raise LimitError(
            f"{viewers} viewers need {viewers + spare} descriptors, and this process may have {most}. Allow more: "
            f"`ulimit -n {viewers + spare}` in the shell that starts it (as root where the hard limit is lower), "
            "`LimitNOFILE=` for a systemd service, `--ulimit nofile=` for a container; or spread the viewers with "
            "--workers or over more hosts."
        )
    return most


def connections_per_address() -> int:
    """How many connections to one (address, port) one source address can have: the kernel's range of ports, less what
    it finds slowly."""
    try:
        first, last = (int(word) for word in _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        first, last = 32_768, 60_999  # Linux's own default
    return int((last - first + 1) * _PORTS_USABLE)


def source_addresses(viewers: int, url: str, *, place: int = 0) -> list[str]:
    """Where so many viewers of one generator connect from, in turn; empty: wherever the kernel chooses.

    To a server on IPv4 loopback there are as many addresses as it takes, 127.0.0.1 and on; `place` is which of this
    host's generators asks (from 0), so that they do not share ports. Elsewhere one source address must carry all.
    Raises `LimitError` where it cannot.
    """
    each = connections_per_address()
    if is_ipv4_loopback(urlsplit(url).hostname or ""):
        count = max(1, -(-viewers // each))
        first = int(ipaddress.IPv4Address("127.0.0.1")) + place * count
        return [str(ipaddress.IPv4Address(first + number)) for number in range(count)]
    if viewers > each:
        raise LimitError(
            f"{viewers} connections to one address and port need more source ports than the {each} this host gives. "
            "Spread the viewers over more hosts with --expect-generators, or widen the range as root: "
            "`sysctl net.ipv4.ip_local_port_range='1024 65000'`."
        )
    return []


def why_not_connected(error: OSError) -> str:
    """The word after `join_failed.` for a connection that did not come about: what a person can act on."""
    return _WHY.get(error.errno or 0, "connection")


_WHY = {
    errno.EMFILE: "descriptors",
    errno.ENFILE: "descriptors",
    errno.EADDRNOTAVAIL: "ports",
    errno.EADDRINUSE: "ports",
    errno.ENOBUFS: "memory",
    errno.ENOMEM: "memory",
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
}
