"""The HTTP API from Python: typed bodies and answers, refusals as `Refused`, one connection pool.

What arrives: a path of the API, a body and the type of its answer. What leaves: that answer, or `Refused`. A browser's
rules are kept: cookies of the server are sent back with our own Origin, and a staff session's CSRF word as a header.
It knows no endpoint by name; the OpenAPI document lists them.
"""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, TypeVar, cast

import httpx
import msgspec

from livecommerce.client.refusals import refused
from livecommerce.errors import R, Refused

T = TypeVar("T")
TIMEOUT_SECONDS = 15.0
_CSRF_COOKIE, _CSRF_HEADER = "lc_csrf", "x-csrf-token"


class _Error(msgspec.Struct):
    number: int
    text: str
    after_ms: int | None = None
    facts: dict[str, Any] = {}


class Api:
    """One caller of one server. `token` is a viewer's or a staff member's pass; without it cookies speak.

    Use as `async with Api(url) as api`, or end it with `aclose`. Cancelling a call leaves its outcome unknown; what
    carries an id of its own may simply be sent again.
    """

    def __init__(
        self, base_url: str, token: str = "", *, verify: bool = True, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._http = httpx.AsyncClient(
            base_url=self.base_url, timeout=TIMEOUT_SECONDS, verify=verify, transport=transport
        )

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._http.cookies

    async def get(self, path: str, answer: type[T] | Any = Any, **query: str) -> T:
        """The answer of `GET path`, as `answer`. Raises `Refused`; `UNAVAILABLE` where no answer came."""
        return await self.call("GET", path, None, answer, query)

    async def post(self, path: str, body: Any = None, answer: type[T] | Any = Any) -> T:
        return await self.call("POST", path, body, answer)

    async def patch(self, path: str, body: Any = None, answer: type[T] | Any = Any) -> T:
        return await self.call("PATCH", path, body, answer)

    async def put(self, path: str, body: Any = None, answer: type[T] | Any = Any) -> T:
        return await self.call("PUT", path, body, answer)

    async def delete(self, path: str, answer: type[T] | Any = Any) -> T:
        return await self.call("DELETE", path, None, answer)

    async def call(
        self, method: str, path: str, body: Any, answer: type[T] | Any = Any, query: dict[str, str] | None = None
    ) -> T:
        """One call. A body that is bytes goes as it is; anything else as JSON."""
        content = body if isinstance(body, bytes) else None if body is None else msgspec.json.encode(body)
        try:
            response = await self._http.request(
                method, path, content=content, params=query or None, headers=self._headers(method, body)
            )
        except httpx.HTTPError as error:
            raise Refused(R.UNAVAILABLE, after_ms=1000) from error
        if response.is_error:
            raise _refusal(response)
        if not response.content:
            return cast("T", None)
        return cast("T", msgspec.json.decode(response.content, type=answer))

    async def pieces(self, path: str) -> AsyncGenerator[bytes, None]:
        """The answer of `GET path` as it comes, for what is too long to be held at once. Raises `Refused` as `call`,
        at any time; end it with `aclose` where it is not read to its end."""
        # Not compressed: on the way to a program beside it that would only cost both sides their time.
        headers = self._headers("GET", None) | {"accept-encoding": "identity"}
        try:
            async with self._http.stream("GET", path, headers=headers) as response:
                if response.is_error:
                    await response.aread()
                    raise _refusal(response)
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.HTTPError as error:
            raise Refused(R.UNAVAILABLE, after_ms=1000) from error

    def _headers(self, method: str, body: Any) -> dict[str, str]:
        headers = {"origin": self.base_url} if method != "GET" else {}
        if body is not None and not isinstance(body, bytes):
            headers["content-type"] = "application/json"
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if csrf := self._http.cookies.get(_CSRF_COOKIE):
            headers[_CSRF_HEADER] = csrf
        return headers


def _refusal(response: httpx.Response) -> Refused:
    try:
        error = msgspec.json.decode(response.content, type=_Error)
    except msgspec.DecodeError:
        return Refused(R.UNAVAILABLE if response.status_code >= 500 else R.NOT_FOUND, what="page", after_ms=1000)
    return refused(error.number, error.text, error.after_ms, error.facts)
