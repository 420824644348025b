"""What a server says of itself at /metrics, process by process: for one that runs where we cannot look into /proc.

What arrives: an address and its METRICS_TOKEN. What leaves: numbers of the time since the last look. A request meets
whichever process takes its connection, so there is one kept connection for each process, and a number that would need
a process not met is absent.
"""

import asyncio
import math
import ssl
import time
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

# A server that is busy to the brim answers late; a second without its numbers is better than a run that waits.
ANSWER_SECONDS_MAX = 0.8
_LINES_MAX = 64
# Two processes are both met after two or three dials; of many, the rest is met while the run goes on.
_MEETINGS_MAX = 12

_CPU, _RSS, _STARTED = "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"
_PID, _PROCESSES = "livecommerce_process_id", "livecommerce_web_processes"
_SOCKETS = "livecommerce_hub_sockets"
_LAG = "livecommerce_hub_loop_lag_seconds"
_REDIS_CPU, _REDIS_RSS = "livecommerce_redis_cpu_seconds", "livecommerce_redis_resident_bytes"
# Beyond the last bucket nothing is told but that it was more.
_LAG_MS_BEYOND = 5000.0

Identity = tuple[float, float]  # process id and start: the id alone comes again on another host, or later


@dataclass(frozen=True, slots=True)
class Page:
    """One process's /metrics at one moment of our clock, in seconds."""

    at: float
    values: dict[str, float]
    lag_buckets: dict[float, float] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        return self.values.get(_PID, 0.0), self.values.get(_STARTED, 0.0)

    @property
    def processes(self) -> int:
        return max(1, int(self.values.get(_PROCESSES, 1.0)))


class Scrape:
    """Reads /metrics of every web process. `why_not` says in words why there is nothing, "" where there is."""

    def __init__(self, url: str, token: str, verify: bool) -> None:
        self.why_not = ""
        self.web_cpu_seconds: float | None = 0.0
        self.redis_cpu_seconds: float | None = None
        self._url = f"{url.rstrip('/')}/metrics?of=process"
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        # One for all lines: to read the machine's authorities takes longer than a whole look.
        secure = url.startswith("https:") and verify
        self._trust: ssl.SSLContext | bool = ssl.create_default_context() if secure else False
        self._lines: list[httpx.AsyncClient] = [self._new_line()]
        self._before: dict[Identity, Page] = {}
        self._met_all = False
        self._redis_before: tuple[float, float] | None = None

    async def begin(self) -> None:
        """The first look, from which the first `sample` counts: at every process, as far as chance lets us meet it."""
        for _ in range(_MEETINGS_MAX):
            await self.sample()
            if self._met_all or self.why_not:
                break
        self.web_cpu_seconds = 0.0
        self.redis_cpu_seconds = None if self._redis_before is None else 0.0

    async def aclose(self) -> None:
        await asyncio.gather(*(line.aclose() for line in self._lines))

    async def sample(self) -> dict[str, float]:
        """Numbers since the last look, by the probe's names. Empty where nothing answered in time."""
        read = await asyncio.gather(*(self._read(line) for line in self._lines))
        pages: dict[Identity, Page] = {}
        surplus: list[int] = []
        for number, page in enumerate(read):
            if page is None or page.identity in pages:
                surplus.append(number)
            else:
                pages[page.identity] = page
        found = self._numbers(list(pages.values()))
        await self._meet_others(surplus, max((page.processes for page in pages.values()), default=1))
        self._before |= pages
        return found

    # --- numbers ----------------------------------------------------------------------------------------------------

    def _numbers(self, pages: list[Page]) -> dict[str, float]:
        if not pages:
            return {}
        self._met_all = len(pages) >= max(page.processes for page in pages)
        found = {"web_processes": float(max(page.processes for page in pages))}
        found |= self._redis_numbers(pages[0])
        found |= self._lag_numbers(pages)
        shares = self._cpu_shares(pages)
        if shares:
            found["web_cpu_max"] = max(shares)
        if self._met_all:
            if len(shares) == len(pages):
                found["web_cpu"] = sum(shares)
            found["sockets"] = sum(page.values.get(_SOCKETS, 0.0) for page in pages)
            found["web_rss_mib"] = sum(page.values.get(_RSS, 0.0) for page in pages) / 2**20
        else:
            self.web_cpu_seconds = None  # a sum with a hole in it is no sum
        return found

    def _cpu_shares(self, pages: list[Page]) -> list[float]:
        shares = []
        for page in pages:
            before = self._before.get(page.identity)
            if before is None or _CPU not in page.values or _CPU not in before.values:
                continue
            used = max(0.0, page.values[_CPU] - before.values[_CPU])
            shares.append(used / max(1e-6, page.at - before.at))
            if self.web_cpu_seconds is not None:
                self.web_cpu_seconds += used
        return shares

    def _redis_numbers(self, page: Page) -> dict[str, float]:
        found = {}
        if (rss := page.values.get(_REDIS_RSS)) is not None:
            found["redis_rss_mib"] = rss / 2**20
        used = page.values.get(_REDIS_CPU)
        if used is not None:
            before, self._redis_before = self._redis_before, (page.at, used)
            if before is not None:
                # A Redis that was started again counts from nought.
                more = used - before[1] if used >= before[1] else used
                found["redis_cpu"] = more / max(1e-6, page.at - before[0])
                self.redis_cpu_seconds = (self.redis_cpu_seconds or 0.0) + more
        return found

    def _lag_numbers(self, pages: list[Page]) -> dict[str, float]:
        """The mean of the time's lags, and the bound that the worst of them stayed under."""
        seconds = count = worst = 0.0
        for page in pages:
            before = self._before.get(page.identity)
            if before is None:
                continue
            seconds += page.values.get(f"{_LAG}_sum", 0.0) - before.values.get(f"{_LAG}_sum", 0.0)
            count += page.values.get(f"{_LAG}_count", 0.0) - before.values.get(f"{_LAG}_count", 0.0)
            worst = max(worst, _worst_ms(page.lag_buckets, before.lag_buckets))
        if count <= 0:
            return {}
        return {"loop_lag_ms": seconds / count * 1000, "loop_lag_ms_max": worst}

    # --- lines ------------------------------------------------------------------------------------------------------

    def _new_line(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self._trust, headers=self._headers, timeout=ANSWER_SECONDS_MAX)

    async def _meet_others(self, surplus: list[int], processes: int) -> None:
        """A line that met a process another line has already, or nobody, dials anew: chance brings it to the rest."""
        for number in surplus:
            await self._lines[number].aclose()
            self._lines[number] = self._new_line()
        while len(self._lines) < min(processes, _LINES_MAX):
            self._lines.append(self._new_line())

    async def _read(self, line: httpx.AsyncClient) -> Page | None:
        try:
            response = await line.get(self._url)
        except httpx.HTTPError as error:
            self.why_not = f"/metrics did not answer ({type(error).__name__})"
            return None
        if response.status_code in (401, 403):
            self.why_not = "/metrics is closed to us: give the server's METRICS_TOKEN as --metrics-token"
            return None
        if response.status_code != 200:
            self.why_not = f"/metrics answered with status {response.status_code}"
            return None
        self.why_not = ""
        return page_of(response.text, time.monotonic())


def page_of(text: str, at: float) -> Page:
    """The numbers of a page in Prometheus' text format; what is not a number (a part that was away) is left out."""
    values: dict[str, float] = {}
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{_LAG}_bucket":
                buckets[float(sample.labels["le"])] = sample.value
            elif not sample.labels and not math.isnan(sample.value):
                values[sample.name] = sample.value
    return Page(at, values, buckets)


def _worst_ms(now: dict[float, float], before: dict[float, float]) -> float:
    """The upper bound of the highest bucket into which something fell since; buckets are cumulative."""
    below = 0.0
    worst = 0.0
    for bound in sorted(now):
        more = now[bound] - before.get(bound, 0.0)
        if more > below:
            worst = _LAG_MS_BEYOND if math.isinf(bound) else bound * 1000
        below = more
    return worst
