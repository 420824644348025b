"""What the server under test uses while it is tested: its processes' CPU and memory, its sockets, its loop's lag.

What arrives: its address, and its processes where we started them. What leaves: numbers of the time since the last
look; what cannot be known is absent. Where the processes run on this machine /proc tells, else /metrics does.
It knows nothing of what the server does meanwhile.
"""

import asyncio
import contextlib
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from loadtest.machine import cpu_seconds
from loadtest.measure.addresses import addresses_of, is_this_machine
from loadtest.measure.processes import (
    ROLES,
    children_of,
    family_of,
    holders_of,
    is_running,
    listening_inodes,
    role_of,
)
from loadtest.measure.scrape import Scrape

Pids = Mapping[str, list[int]]
Source = Literal["processes", "metrics", "nothing"]


class Probe:
    """Use `await Probe.of(…)`, then `sample` about once a second, then `aclose`.

    `source` says where CPU comes from; `note` why something is missing, in words, "" where nothing is.
    """

    def __init__(self, processes: "Callable[[], Pids] | None", scrape: Scrape) -> None:
        """Use `of`."""
        self._processes = processes
        self._scrape = scrape
        self._before: dict[int, _Used] = {}
        self._at = time.monotonic()
        self._seconds: dict[str, float] = {}

    @classmethod
    async def of(
        cls, url: str, metrics_token: str = "", pids: "Pids | Callable[[], Pids] | None" = None, *, verify: bool = True
    ) -> "Probe":
        """A probe of the server at `url`, which has looked once, so that the first sample counts from now.

        `pids` are its processes by role (web, worker, redis), or a function that tells them again at each look; without
        them they are looked for behind the listening socket, where that is on this machine.
        """
        processes: Callable[[], Pids] | None
        if pids is None:
            processes = await asyncio.to_thread(_behind, url)
        else:
            processes = pids if callable(pids) else _always(pids)
        probe = cls(processes, Scrape(url, metrics_token, verify))
        await probe._scrape.begin()
        if processes is not None:
            probe._look(processes())
        probe._at = time.monotonic()
        return probe

    async def __aenter__(self) -> "Probe":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._scrape.aclose()

    @property
    def source(self) -> Source:
        if self._processes is not None:
            return "processes"
        return "nothing" if self._scrape.why_not else "metrics"

    @property
    def note(self) -> str:
        """Why something about the server is missing from the report, for a person."""
        if self._processes is None and self._scrape.why_not:
            return f"Nothing is known of the server's CPU: its processes are not here, and {self._scrape.why_not}."
        if self._scrape.why_not:
            return f"The server's sockets and loop lag are not known: {self._scrape.why_not}."
        if self._processes is None:
            return "The worker's CPU is not known: /metrics tells of web processes and Redis only."
        return ""

    async def sample(self) -> dict[str, float]:
        """Since the last sample: `web_cpu`, `worker_cpu`, `redis_cpu` (cores), `web_cpu_max` (the busiest web process),
        `web_wait_max` (the share of time in which one of them was ready and had no core); and as they are now:
        `sockets`, `loop_lag_ms` (mean of the time), `loop_lag_ms_max`, `web_rss_mib`, `redis_rss_mib`,
        `web_processes`. Never raises for a server that is slow or away."""
        said = await self._scrape.sample()
        if self._processes is None:
            return said
        return said | self._look(self._processes())

    def totals(self) -> dict[str, float]:
        """CPU seconds by part since `of`: web, worker, redis; what cannot be known is absent."""
        if self._processes is not None:
            return dict(self._seconds)
        said = {"web": self._scrape.web_cpu_seconds, "redis": self._scrape.redis_cpu_seconds}
        return {} if self._scrape.why_not else {part: value for part, value in said.items() if value is not None}

    def _look(self, pids: Pids) -> dict[str, float]:
        """Read every process. One that was not there at the last look has done all it did since."""
        now = time.monotonic()
        seconds = max(1e-6, now - self._at)
        used = {pid: read for each in pids.values() for pid in each if (read := _used_by(pid)) is not None}
        spent = {pid: max(0.0, read.cpu - self._was(pid).cpu) for pid, read in used.items()}
        waits = [
            (read.waited - self._was(pid).waited) / seconds for pid, read in used.items() if pid in pids.get("web", ())
        ]
        found: dict[str, float] = {"web_processes": float(len(pids.get("web", ())))}
        for role in ROLES:
            mine = [pid for pid in pids.get(role, ()) if pid in used]
            if not mine and role not in self._seconds:
                continue
            self._seconds[role] = self._seconds.get(role, 0.0) + sum(spent[pid] for pid in mine)
            found[f"{role}_cpu"] = sum(spent[pid] for pid in mine) / seconds
            if role != "worker":
                found[f"{role}_rss_mib"] = sum(used[pid].rss_mib for pid in mine)
            if role == "web" and mine:
                found["web_cpu_max"] = max(spent[pid] for pid in mine) / seconds
                found["web_wait_max"] = max(0.0, *waits)
        if not self._before:  # the first look only lays the ground
            self._seconds = dict.fromkeys(self._seconds, 0.0)
        self._before = used
        self._at = now
        return found

    def _was(self, pid: int) -> "_Used":
        return self._before.get(pid, _NOTHING)


@dataclass(frozen=True, slots=True)
class _Used:
    """By one process so far, in seconds: on a core, and ready to run without one."""

    cpu: float
    waited: float
    rss_mib: float


_NOTHING = _Used(0.0, 0.0, 0.0)


def _used_by(pid: int) -> _Used | None:
    """None where it ended."""
    try:
        waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return _Used(cpu_seconds(pid), waited, pages * resource.getpagesize() / 2**20)
    except (OSError, IndexError, ValueError):
        return None


def _always(pids: Pids) -> Callable[[], Pids]:
    return lambda: pids


def _behind(url: str) -> "Callable[[], Pids] | None":
    """Who serves `url` on this machine; None where nobody here does, or nobody we may look into. Blocks."""
    parts = urlsplit(url)
    with contextlib.suppress(OSError, ValueError):
        addresses = addresses_of(parts.hostname or "")
        if not addresses or not all(is_this_machine(address) for address in addresses):
            return None
        port = parts.port or (443 if parts.scheme == "https" else 80)
        holders = holders_of(listening_inodes(port))
        supervisor = next((pid for pid in holders if set(children_of(pid)) & set(holders)), None)
        if supervisor is not None and family_of(supervisor)["web"]:
            return lambda: family_of(supervisor)
        web = [pid for pid in holders if role_of(pid) == "web"]
        if web:  # started one by one: what stands beside them cannot be told from other servers' processes
            return lambda: {"web": [pid for pid in web if is_running(pid)]}
    return None
