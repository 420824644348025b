"""Everything one run found, as one record: what the report, the JSON file and the verdict are made from.

Made by the conductor, written by `loadtest.report`. Instants are microseconds of the run's clock, latencies
microseconds, unless a name says otherwise.
"""

from typing import Any, Literal

import msgspec


class Phase(msgspec.Struct, frozen=True):
    """A named stretch of the run, as the scenario called it."""

    name: str
    from_us: int
    to_us: int


class Percentiles(msgspec.Struct, frozen=True):
    count: int
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    max: float


class SampleRow(msgspec.Struct, frozen=True):
    """One second of the whole run: all generators merged. Counters are of this second."""

    until_us: int
    counters: dict[str, int]
    gauges: dict[str, float]
    latencies: dict[str, Percentiles]
    server: dict[str, float]  # by the probe: web_cpu, worker_cpu, redis_cpu (cores), sockets, loop_lag_ms …
    stock: dict[str, tuple[int, int, int, int, int]] = {}  # deal → available, held, paying, sold, waiting


class ThresholdVerdict(msgspec.Struct, frozen=True):
    text: str  # as it was written
    value: float | None  # in the threshold's unit; None where nothing was measured, which is a breach
    ok: bool
    why: str = ""


class Breach(msgspec.Struct, frozen=True):
    """One thing that does not add up: its kind, a sentence, and the history that shows it."""

    kind: str
    sentence: str
    history: tuple[str, ...] = ()


class CheckResult(msgspec.Struct, frozen=True):
    """What the checker proved. `counts` has every kind of breach, 0 included; `checked` says how much was looked at."""

    checked: dict[str, int]
    counts: dict[str, int]
    breaches: tuple[Breach, ...]  # the first few of each kind
    complete: bool  # all records and the books could be read
    note: str = ""


class Stop(msgspec.Struct, frozen=True):
    """What held the run back, most suspicious first."""

    part: Literal["nothing", "server", "worker", "redis", "network", "generator", "ledger"]
    sentence: str
    evidence: tuple[str, ...] = ()


class GeneratorHealth(msgspec.Struct, frozen=True):
    host: str
    pid: int
    receiver: str
    clock_offset_us: float
    clock_error_us: float
    cpu_share_max: float
    cpu_seconds: float
    loop_lag_p99_us: float
    late_sends: int
    frames: int
    descriptors_used: int
    descriptors_max: int


class Result(msgspec.Struct, frozen=True):
    scenario: str
    about: str
    load: dict[str, str]
    parameters: dict[str, Any]
    target: str
    own_server: bool
    server_version: str
    machine: tuple[str, ...]
    started_at: str  # ISO 8601, UTC
    seconds: float
    phases: tuple[Phase, ...]
    samples: tuple[SampleRow, ...]
    histograms: dict[str, str]  # name → encoded HDR histogram of the whole run
    latencies: dict[str, Percentiles]
    counters: dict[str, int]
    facts: dict[str, float]  # derived: what thresholds may name beside counters and percentiles
    thresholds: tuple[ThresholdVerdict, ...]
    check: CheckResult | None
    stop: Stop
    generators: tuple[GeneratorHealth, ...]
    warnings: tuple[str, ...]
    conclusive: bool  # false: the generator was the bottleneck, or the run broke off; no figure is to be quoted
    complete: bool  # false: the run broke off, and `warnings` says why
    findings: dict[str, Any] = {}  # what a scenario has to say of its own: find-limit's steps
