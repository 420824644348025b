"""What the standing audit found at its last look, and how a web process shows it in `/metrics`.

What arrives: a worker's `Verdict`. What leaves: the same in Redis under one key, and gauges. The worker answers no
HTTP, so whoever scrapes meets the audit through the web processes. It judges nothing.
"""

import asyncio
import math
from typing import Literal

import msgspec
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.reservations import keys

DriftKind = Literal[
    "impossible", "log", "ledger", "over", "sold_ahead", "under", "sold_behind", "books_missing", "witnesses"
]
# In the order in which somebody who is woken at night should read them.
DRIFT: dict[DriftKind, str] = {
    "impossible": "movements that cannot have happened",
    "log": "units that Redis counts otherwise than its own movements",
    "ledger": "rows of SQL that are not what their movements add up to",
    "over": "units that Redis could give out and SQL does not have",
    "sold_ahead": "units sold in Redis and not in SQL",
    "under": "units that SQL has and nobody can take",
    "sold_behind": "units sold in SQL and not in Redis yet",
    "books_missing": "deals that are not closed, of shows whose books are not in Redis",
    "witnesses": "witnesses of holds that have ended",
}
FIRST_MAX = 10
# Whoever scrapes us waits for this, and most scrapers wait ten seconds at most.
_REDIS_SECONDS_MAX = 0.25

DRIFT_UNITS = Gauge("livecommerce_audit_drift", "What the audit found at its last look, by kind", ["kind"])
BREACHES = Gauge("livecommerce_audit_breaches", "Promises that the audit found broken at its last look")
LAST_RUN = Gauge("livecommerce_audit_last_run_timestamp_seconds", "When the audit last looked; NaN while unknown")
SECONDS = Gauge("livecommerce_audit_seconds", "How long its last look took")
SHOWS = Gauge("livecommerce_audit_shows", "Shows it looks at")
BEHIND = Gauge("livecommerce_audit_shows_behind", "Shows whose log it has not read to its end yet")


class Verdict(msgspec.Struct, frozen=True):
    """One look at all shows that are watched. `first` are sentences, the first of many."""

    at_ms: int
    seconds: float
    shows: int
    behind: int
    breaches: int
    drift: dict[DriftKind, int]
    first: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Verdict).decode


async def leave(redis: Redis, verdict: Verdict) -> None:
    """Raises `RedisError` where it is away: the next look leaves a newer one."""
    await redis.set(keys.AUDIT, _encode(verdict))


async def last(redis: Redis) -> Verdict | None:
    """The last one, or None where none was left, or one that another version wrote."""
    raw = await redis.get(keys.AUDIT)
    try:
        return None if raw is None else _decode(raw)
    except msgspec.DecodeError:
        return None


async def measure_audit(redis: Redis) -> None:
    """Set the gauges for the answer that is about to be written. Raises nothing for a Redis that is away."""
    try:
        async with asyncio.timeout(_REDIS_SECONDS_MAX):
            verdict = await last(redis)
    except (TimeoutError, RedisError, OSError):
        verdict = None
    if verdict is None:
        for kind in DRIFT:
            DRIFT_UNITS.labels(kind).set(math.nan)
        for gauge in (BREACHES, LAST_RUN, SECONDS, SHOWS, BEHIND):
            gauge.set(math.nan)
        return
    for kind in DRIFT:
        DRIFT_UNITS.labels(kind).set(verdict.drift.get(kind, 0))
    BREACHES.set(verdict.breaches)
    LAST_RUN.set(verdict.at_ms / 1000)
    SECONDS.set(verdict.seconds)
    SHOWS.set(verdict.shows)
    BEHIND.set(verdict.behind)
