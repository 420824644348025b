"""Endpoints for machines that watch over us, and the shop's own facts for pages: health, readiness, measures, shop.

What leaves: yes or no with the part that does not answer; Prometheus text; name, currency and clock of the shop.
"""

import asyncio
import hmac
from collections.abc import Awaitable
from typing import Literal

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.responses import Response

from livecommerce import __version__
from livecommerce.audit.verdict import measure_audit
from livecommerce.catalogue.money import minor_digits
from livecommerce.errors import R, Refused
from livecommerce.gateway.addresses import is_loopback, was_forwarded
from livecommerce.gateway.api import Call, Nothing, Table, json_response
from livecommerce.gateway.door import bearer_of
from livecommerce.gateway.measures import PROCESSES, measure_redis
from livecommerce.host_measures import measures_of_host
from livecommerce.settings import Mode

log = structlog.get_logger(__name__)
table = Table()

# A balancer asks every few seconds and gives up after a few; a part that is slower than this is not ready.
ANSWER_SECONDS_MAX = 2.0


class Ready(msgspec.Struct, frozen=True):
    """`ok` only where every part answers. The status is 503 where one does not."""

    ok: bool
    redis: Literal["ok", "away"]
    database: Literal["ok", "away"]


class ShopFacts(msgspec.Struct, frozen=True):
    """What a page needs before it can show a price or a time."""

    name: str
    currency: str
    minor_digits: int
    locale: str
    time_zone: str
    mode: Mode
    insecure: bool
    demo: bool
    now_ms: int
    version: str


@table.get("/healthz")
async def healthz(call: Call) -> Nothing:
    """This process is alive. It says nothing of Redis or the database: a restart would not bring those back."""
    return Nothing()


@table.get("/readyz", answer=Ready)
async def readyz(call: Call) -> Response:
    """Redis and the database answer this process; with status 503 where one does not, and which."""
    redis, database = await asyncio.gather(_answers("redis", _ask_redis(call)), _answers("database", _ask_ledger(call)))
    ready = Ready(redis == "ok" and database == "ok", redis, database)
    return json_response(ready, 200 if ready.ok else 503)


@table.get("/metrics", answer=Response, refuses=(R.SIGN_IN, R.FORBIDDEN))
async def metrics(call: Call) -> Response:
    """Measures of every process of this host in Prometheus' text format, for this machine or for the bearer of
    METRICS_TOKEN. With `?of=process`, of the one that answers alone."""
    settings = call.parts.settings
    expected = settings.metrics_token
    if expected:
        if not hmac.compare_digest(bearer_of(call.request).encode(), expected.encode()):
            raise Refused(R.SIGN_IN)
    elif was_forwarded(call.request.scope) or not is_loopback(call.parts.door.address(call.request)):
        raise Refused(R.FORBIDDEN)
    PROCESSES.set(settings.web_processes)
    await measure_redis(call.parts.redis)
    await measure_audit(call.parts.redis)
    alone = call.query("of") == "process"
    return Response(
        generate_latest() if alone else await measures_of_host(settings.data), media_type=CONTENT_TYPE_LATEST
    )


@table.get("/api/shop", answer=ShopFacts)
async def shop(call: Call) -> ShopFacts:
    """The shop: name, currency, time zone, and the server's clock."""
    settings = call.parts.settings
    return ShopFacts(
        name=settings.shop_name,
        currency=settings.currency,
        minor_digits=minor_digits(settings.currency),
        locale=settings.locale,
        time_zone=settings.time_zone,
        mode=settings.mode,
        insecure=settings.insecure,
        demo=settings.mode == "demo",
        now_ms=call.parts.clock.now_ms(),
        version=__version__,
    )


async def _answers(part: str, question: Awaitable[None]) -> Literal["ok", "away"]:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await question
    except Exception as error:
        # Whatever a driver raises, the answer for the balancer is the same.
        log.warning("part_away", part=part, error=type(error).__name__)
        return "away"
    return "ok"


async def _ask_redis(call: Call) -> None:
    await call.parts.redis.ping()


async def _ask_ledger(call: Call) -> None:
    async with call.parts.database.read() as connection:
        await connection.execute(text("SELECT 1"))
