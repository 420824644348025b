"""The merchant's own judge of lines, asked behind our rules and before anybody hears a line: by HTTP or in-process.

What arrives: a line that passed every rule. What leaves, within the budget: a `Verdict` (allow, perhaps with other
words; hold for a moderator; refuse with a reason). Where the judge is late, broken or too busy, the stated fallback
answers, and after some failures in a row it is not asked for a while: a judge that is away costs one budget each ten
seconds, not one a line. Every line is a task of its own, so no line waits for another's verdict. It knows no rooms.
"""

import asyncio
import importlib
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol

import httpx
import msgspec
import structlog
from prometheus_client import Counter, Histogram

from livecommerce.clock import Clock
from livecommerce.orders.payments.signing import signed_headers
from livecommerce.public_address import addresses_of, is_public
from livecommerce.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

IN_FLIGHT_MAX = 128  # verdicts asked for at once; more lines get the fallback
ANSWER_BYTES_MAX = 16_384
FAILURES_MAX = 5  # in a row; then the circuit opens
OPEN_SECONDS = 10.0  # then one line tries again
THREADS = 4  # for a judge in this process that is not async

VERDICTS = Counter("livecommerce_judge_verdicts", "Verdicts of the merchant's judge of lines", ["did", "by"])
JUDGE_SECONDS = Histogram(
    "livecommerce_judge_seconds",
    "How long the judge took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0),
)


class JudgedLine(msgspec.Struct, frozen=True):
    """What the judge is told: as little as it needs."""

    message_id: str  # of this question to the judge; the line's own comes when it is shown
    show_id: str
    kind: Literal["chat", "question", "private"]
    text: str
    name: str
    viewer_id: str
    member: bool  # the merchant's own customer
    at_ms: int


class Verdict(msgspec.Struct, frozen=True):
    """`text`: other words for the line, where it is allowed. `reason`: for the viewer where it is refused, for the
    moderator where it is held."""

    verdict: Literal["allow", "hold", "refuse"]
    text: str | None = None
    reason: str = ""


class JudgeFailed(Exception):
    """No usable verdict: late, broken, or not what was agreed."""


class Judge(Protocol):
    """Asked once a line, within the budget. May raise anything; that counts as a failure."""

    async def __call__(self, line: JudgedLine) -> Verdict: ...


Status = Literal["off", "well", "failing", "open"]


class Judged:
    """The judge with its budget, its fallback and its circuit. `status` is what the console shows."""

    def __init__(self, judge: Judge | None, settings: Settings, clock: Clock) -> None:
        self._judge = judge
        self._budget_seconds = settings.moderation_hook_ms / 1000
        self._fallback = settings.moderation_hook_fallback
        self._clock = clock
        self._in_flight = 0
        self._failures = 0
        self._asked_again_at = 0.0
        self._trying = False
        self.last_failure = ""

    @property
    def is_on(self) -> bool:
        return self._judge is not None

    @property
    def status(self) -> Status:
        if self._judge is None:
            return "off"
        if self._failures >= FAILURES_MAX:
            return "open"
        return "failing" if self._failures else "well"

    async def __call__(self, line: JudgedLine) -> Verdict:
        """The verdict, or the fallback's. Never raises but for a cancellation, which leaves nothing behind."""
        if self._judge is None or not self._may_ask():
            return self._fall_back()
        self._in_flight += 1
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._budget_seconds):
                verdict = _checked(await self._judge(line))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the judge is not ours: whatever it raises, a line still gets its answer
            self._failed(error)
            return self._fall_back()
        finally:
            self._in_flight -= 1
            self._trying = False
            JUDGE_SECONDS.observe(self._clock.monotonic() - started)
        if self._failures >= FAILURES_MAX:
            log.info("judge_is_back")
        self._failures = 0
        VERDICTS.labels(verdict.verdict, "judge").inc()
        return verdict

    def _may_ask(self) -> bool:
        if self._in_flight >= IN_FLIGHT_MAX:
            return False
        if self._failures < FAILURES_MAX:
            return True
        if self._trying or self._clock.monotonic() < self._asked_again_at:
            return False
        self._trying = True
        return True

    def _failed(self, error: Exception) -> None:
        self.last_failure = (
            "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"[:200]
        )
        self._failures += 1
        self._asked_again_at = self._clock.monotonic() + OPEN_SECONDS
        if self._failures <= FAILURES_MAX:
            log.warning("judge_failed", failure=self.last_failure, in_a_row=self._failures)

    def _fall_back(self) -> Verdict:
        VERDICTS.labels(self._fallback, "fallback").inc()
        if self._fallback == "refuse":
            return Verdict("refuse", reason="lines cannot be checked right now, try again in a moment.")
        return Verdict(self._fallback, reason="it could not be checked in time" if self._fallback == "hold" else "")


def _checked(verdict: object) -> Verdict:
    """A judge in this process may answer with a word or a dict, as well as with a `Verdict`."""
    if isinstance(verdict, str):
        verdict = {"verdict": verdict}
    if not isinstance(verdict, Verdict):
        verdict = msgspec.convert(verdict, Verdict)
    if verdict.text is not None and not 1 <= len(verdict.text) <= 500:
        raise JudgeFailed("the text of a verdict has 1 to 500 characters")
    return verdict


# --- by HTTP ----------------------------------------------------------------------------------------------------------


class HttpJudge:
    """POST of the line as signed JSON (Standard Webhooks), on kept connections. Redirects are not followed."""

    def __init__(self, url: str, secret: str, clock: Clock, client: httpx.AsyncClient) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock
        self._client = client

    async def __call__(self, line: JudgedLine) -> Verdict:
        body = msgspec.json.encode(line)
        headers = signed_headers(self._secret, line.message_id, self._clock.now_ms(), body)
        async with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
            if answer.status_code != 200:
                raise JudgeFailed(f"it answered {answer.status_code}")
            came = b""
            async for part in answer.aiter_bytes():
                came += part
                if len(came) > ANSWER_BYTES_MAX:
                    raise JudgeFailed("its answer is too long")
        return msgspec.json.decode(came, type=Verdict)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to the address that was looked at, and to no private one: a name may mean another machine the second
    time it is asked for."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, private: bool) -> None:
        self._inner = inner
        self._private = private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if not self._private:
            address = await _public_address(host, request.url.port or (443 if request.url.scheme == "https" else 80))
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=address)  # the Host header was made from the name before
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _public_address(host: str, port: int) -> str:
    addresses = await addresses_of(host, port)
    if not addresses or not all(is_public(address) for address in addresses):
        raise JudgeFailed(f"{host} is a private address (MODERATION_HOOK_PRIVATE allows it)")
    return addresses[0]


# --- in this process --------------------------------------------------------------------------------------------------


class OwnJudge:
    """A function of the merchant's own Python: `module:function`, async or not. One that is not runs in a thread: late
    is late there too, but a thread cannot be stopped, so there are few."""

    def __init__(self, function: Callable[[JudgedLine], Any]) -> None:
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  an object may be async only there
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="judge")

    async def __call__(self, line: JudgedLine) -> Any:
        if self._is_async:
            return await self._function(line)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._function, line)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def function_named(name: str) -> Callable[[JudgedLine], Any]:
    """What `module:function` names. Raises `ValueError`, in words."""
    module, _, attribute = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"MODERATION_HOOK={name}: {error}") from error
    if not callable(found):
        raise ValueError(f"MODERATION_HOOK={name}: this is no function")
    return found  # type: ignore[no-any-return]


def refuse_unknown_judge(settings: Settings) -> None:
    """Raises `SettingsError` where MODERATION_HOOK names a function that is not installed."""
    if not settings.moderation_hook or "://" in settings.moderation_hook:
        return
    try:
        function_named(settings.moderation_hook)
    except ValueError as error:
        raise SettingsError([f"{error}. It must be installed beside the server, or stand on PYTHONPATH."]) from error


def judge_of(settings: Settings, clock: Clock) -> tuple[Judged, Callable[[], Awaitable[None]]]:
    """The judge that the settings name, and how it is closed. Raises `ValueError` for a function that is not there."""
    hook = settings.moderation_hook
    if not hook:
        return Judged(None, settings, clock), _nothing
    if not hook.startswith(("http://", "https://")):
        own = OwnJudge(function_named(hook))

        async def close() -> None:
            own.close()

        return Judged(own, settings, clock), close
    transport = GuardedTransport(
        httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=IN_FLIGHT_MAX, max_keepalive_connections=32)),
        private=settings.moderation_hook_private,
    )
    client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=settings.moderation_hook_ms / 1000)
    return Judged(HttpJudge(hook, settings.moderation_hook_secret, clock, client), settings, clock), client.aclose


async def _nothing() -> None:
    return None
