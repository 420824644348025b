"""One measure and one line of log for each answered request: method, route, status, time. No address, no query, no
name: the route is the table's template, so that neither labels nor lines grow with what strangers type.
"""

import time

import structlog
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecommerce.ids import is_id

log = structlog.get_logger(__name__)

SECONDS = Histogram(
    "livecommerce_http_seconds",
    "From a request's arrival to the start of its answer",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AccessLog:
    """ASGI middleware; the outermost, so that it sees what really goes out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note(scope, message, time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, watch)


def seconds_of(scope: Scope, status: int) -> Histogram:
    """The measure of a request that went through the application, and of others that got the same answer."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return SECONDS.labels(method, _route(scope), str(status))


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))


def _note(scope: Scope, start: Message, seconds: float) -> None:
    status: int = start["status"]
    route = _route(scope)
    method = scope["method"] if scope["method"] in _METHODS else "other"
    seconds_of(scope, status).observe(seconds)
    write = log.warning if status >= 500 else log.debug
    # What the endpoint bound for its own lines is gone by now; the answer and the path still tell it.
    ids = {}
    if request_id := dict(start.get("headers", ())).get(b"x-request-id"):
        ids["request_id"] = request_id.decode("latin-1")
    if is_id(show_id := str(scope.get("path_params", {}).get("show_id", ""))):
        ids["show_id"] = show_id
    write("answered", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **ids)
