"""What the hub measures, for `/metrics`: histograms, so that processes can be added up; and what Redis says it uses."""

import asyncio
import math
import os

from prometheus_client import Counter, Gauge, Histogram
from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.gateway.tally import Tally
from livecommerce.hot_state import masters

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

SOCKETS = Gauge("livecommerce_hub_sockets", "Open sockets of this process")
ROOMS = Gauge("livecommerce_hub_rooms", "Shows with viewers in this process")
PUBLISH_TO_WRITE = Histogram(
    "livecommerce_hub_publish_to_write_seconds", "From an event's stamp to its last write here", buckets=_SECONDS
)
FAN_OUT = Histogram("livecommerce_hub_fan_out_seconds", "One frame to every viewer of a room", buckets=_SECONDS)
LOOP_LAG = Histogram("livecommerce_hub_loop_lag_seconds", "How late the event loop wakes", buckets=_SECONDS)
ANSWER = Tally(
    "livecommerce_hub_answer_seconds", "From a reserve, release or accept to its answer",
    "kind", ("reserve", "release", "accept"), _SECONDS,
)  # fmt: skip
DISCONNECTS = Counter("livecommerce_hub_disconnects", "Closed by us, by close code", ["code"])
REJECTED = Counter("livecommerce_hub_rejected", "Handshakes refused, by the word of the refusal", ["word"])
DROPPED = Counter("livecommerce_hub_dropped", "Frames not queued for a viewer", ["lane", "reason"])
OFFERS = Counter(
    "livecommerce_hub_offers", "Moments at which something could be offered, by what came of them", ["fate"]
)
TALK_REFUSED = Counter("livecommerce_hub_talk_refused", "Lines refused or held, by the word of the refusal", ["word"])
RECOVER = Counter("livecommerce_hub_recover", "Joins that asked to resume", ["recovered"])
RESUMED = Counter("livecommerce_hub_resumed_events", "State events told again to viewers who came back")
RESYNCS = Counter("livecommerce_hub_resyncs", "Rooms that began anew at a snapshot: a new epoch, or a hole left open")
HOLES = Counter("livecommerce_hub_holes", "Holes in a show's events that were read from the news", ["fate"])
QUEUE = Histogram(
    "livecommerce_hub_queue_bytes",
    "Bytes that wait for a viewer, looked at with each of her pings",
    buckets=(0, 1024, 4096, 16_384, 65_536, 131_072, 262_144, 1_048_576),
)
RELAY_LAG = Histogram(
    "livecommerce_hub_relay_lag_seconds",
    "From a ping on the relay's line to its answer, behind all news",
    buckets=_SECONDS,
)
RELAY_BREAKS = Counter("livecommerce_hub_relay_breaks", "Times that this process stopped to hear Redis")
RELAY_LOST = Counter("livecommerce_hub_relay_lost", "Talk and head-counts that Redis never got")
RELAY_UP = Gauge("livecommerce_hub_relay_up", "1 while this process hears Redis")
# A balancer gives each request to whichever process it likes: these say who answered, and how many there are to meet.
PROCESS = Gauge("livecommerce_process_id", "Process id of this web process")
PROCESS.set(os.getpid())
PROCESSES = Gauge("livecommerce_web_processes", "Web processes, as WEB_PROCESSES says")
REDIS_CPU = Gauge("livecommerce_redis_cpu_seconds", "CPU that Redis has used, all masters; NaN while it is away")
REDIS_RSS = Gauge("livecommerce_redis_resident_bytes", "Memory of Redis, all masters; NaN while it is away")
# Whoever scrapes us waits for this, and most scrapers wait ten seconds at most.
_REDIS_SECONDS_MAX = 0.25


async def measure_redis(redis: Redis) -> None:
    """Ask Redis what it uses, for the answer that is about to be written. Raises nothing for one that is away."""
    cpu = rss = math.nan
    try:
        async with asyncio.timeout(_REDIS_SECONDS_MAX):
            said = [(await server.info("cpu"), await server.info("memory")) for server in await masters(redis)]
        cpu = sum([each["used_cpu_sys"] + each["used_cpu_user"] for each, _ in said])
        rss = sum([each["used_memory_rss"] for _, each in said])
    except (TimeoutError, OSError, RedisError, KeyError):
        pass  # NaN says it
    REDIS_CPU.set(cpu)
    REDIS_RSS.set(rss)
