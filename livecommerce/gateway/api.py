"""The HTTP API's frame: a table of endpoints, each with its types; from it come the routes and the OpenAPI document.

What arrives: Starlette requests. What leaves: JSON of a declared type, or a refusal of the closed list as JSON with
its HTTP status. Credentials, CSRF, body size and shape are settled here, so that an endpoint starts with a typed body
and a proved identity. It does not know what any endpoint does.
"""

import inspect
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from livecommerce.errors import R, Refused
from livecommerce.people.identity import StaffIdentity, StaffRole, ViewerIdentity

if TYPE_CHECKING:
    from livecommerce.app import Parts

log = structlog.get_logger(__name__)

Auth = Literal["nobody", "viewer", "staff", "either"]
BODY_BYTES_MAX = 262_144
Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)


class ErrorBody(msgspec.Struct, frozen=True):
    """How a refusal looks over HTTP."""

    number: int
    word: str
    text: str
    again: bool
    after_ms: int | None = None
    facts: dict[str, Any] = {}


class Nothing(msgspec.Struct, frozen=True):
    """An answer that only says "done"."""

    ok: bool = True


@dataclass(slots=True)
class Call:
    """One request as an endpoint sees it."""

    request: Request
    parts: "Parts"
    viewer: ViewerIdentity | None = None
    staff: StaffIdentity | None = None
    # Set by an endpoint: cookies and headers of the answer.
    on_answer: list[Callable[[Response], None]] = field(default_factory=list)

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def the_viewer(self) -> ViewerIdentity:
        if self.viewer is None:
            raise Refused(R.SIGN_IN)
        return self.viewer

    def the_staff(self) -> StaffIdentity:
        if self.staff is None:
            raise Refused(R.SIGN_IN)
        return self.staff


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table. `body` None: no body is read. `answer` `Response`: the endpoint answers by itself."""

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    summary: str
    handler: Handler
    auth: Auth = "nobody"
    roles: tuple[StaffRole, ...] = ()
    body: Any = None
    answer: Any = Nothing
    refuses: tuple[R, ...] = ()
    # Endpoints that other machines call with their own proof (webhooks) or that a form-less page uses before any
    # cookie exists do not ask for the CSRF header.
    csrf: bool = True
    about: str = ""


class Table:
    """Collects the endpoints of one module: `table = Table()`, then `@table.get("/api/…", answer=…)`."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []

    def _add(self, method: Any, path: str, **row: Any) -> Callable[[H], H]:
        def register(handler: H) -> H:
            lines = inspect.cleandoc(handler.__doc__ or handler.__name__).splitlines()
            self.endpoints.append(Endpoint(method, path, lines[0], handler, about="\n".join(lines[1:]).strip(), **row))
            return handler

        return register

    def get(self, path: str, **row: Any) -> Callable[[H], H]:
        return self._add("GET", path, **row)

    def post(self, path: str, **row: Any) -> Callable[[H], H]:
        return self._add("POST", path, **row)

    def patch(self, path: str, **row: Any) -> Callable[[H], H]:
        return self._add("PATCH", path, **row)

    def put(self, path: str, **row: Any) -> Callable[[H], H]:
        return self._add("PUT", path, **row)

    def delete(self, path: str, **row: Any) -> Callable[[H], H]:
        return self._add("DELETE", path, **row)


def routes_of(endpoints: Iterable[Endpoint], parts: "Parts") -> list[Route]:
    """Starlette routes for the table's rows."""
    return [Route(row.path, _asgi(row, parts), methods=[row.method], name=row.handler.__name__) for row in endpoints]


def _asgi(row: Endpoint, parts: "Parts") -> Callable[[Request], Awaitable[Response]]:
    decoder = msgspec.json.Decoder(row.body) if row.body is not None else None

    async def serve(request: Request) -> Response:
        request_id = request.headers.get("x-request-id", "")[:64] or uuid.uuid4().hex[:16]
        with structlog.contextvars.bound_contextvars(request_id=request_id, endpoint=row.path):
            try:
                response = await _answer(row, decoder, request, parts)
            except Refused as refused:
                response = refusal_response(refused)
            except Exception:
                log.exception("endpoint_failed")
                response = refusal_response(Refused(R.INTERNAL))
            response.headers["x-request-id"] = request_id
            response.headers.setdefault("cache-control", "no-store")
            return response

    return serve


async def _answer(
    row: Endpoint, decoder: "msgspec.json.Decoder[Any] | None", request: Request, parts: "Parts"
) -> Response:
    call = Call(request, parts)
    await parts.door.identify(call, row.auth, row.roles, csrf=row.csrf and row.method != "GET")
    if decoder is None:
        answer = await row.handler(call)
    else:
        answer = await row.handler(call, _decoded(decoder, await read_body(request, BODY_BYTES_MAX)))
    response = answer if isinstance(answer, Response) else json_response(answer)
    for change in call.on_answer:
        change(response)
    return response


async def read_body(request: Request, limit: int) -> bytes:
    """The body, or `Refused(TOO_LARGE)` as soon as it is known to be larger than `limit` bytes, or `MALFORMED` where
    the line ended before it did: nobody hears that any more, but it is no failure of ours."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise Refused(R.TOO_LARGE, limit=f"{limit // 1024} KiB")
    except ClientDisconnect:
        raise Refused(R.MALFORMED, expected="the whole body") from None
    return bytes(body)


def _decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refused(R.MALFORMED, expected=str(error)[:300]) from None


def json_response(answer: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")


def error_body(refused: Refused) -> ErrorBody:
    row = refused.why.value
    return ErrorBody(row.number, row.word, refused.text, row.again, refused.after_ms, refused.facts)


def refusal_response(refused: Refused) -> Response:
    """A refusal as HTTP: its own status, the closed list's fields, and Retry-After where waiting helps."""
    response = json_response(error_body(refused), refused.why.value.status)
    if refused.after_ms is not None:
        response.headers["retry-after"] = str(max(1, -(-refused.after_ms // 1000)))
    return response
