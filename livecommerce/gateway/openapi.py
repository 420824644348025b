"""The OpenAPI 3.1 document, made from the endpoint table and the code's own types. No I/O.

What arrives: the table's rows. What leaves: a plain dict for JSON. Each refusal stands under its HTTP status with
number, word and text from the closed list, so that the document can be read instead of the code.
"""

import http
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.responses import Response

from livecommerce import __version__
from livecommerce.errors import R
from livecommerce.gateway.api import Auth, Endpoint, ErrorBody
from livecommerce.settings import Settings

_PLACE = re.compile(r"{(\w+)(?::\w+)?}")
_REF = "#/components/schemas/{name}"
# Every endpoint may answer these, whatever it does.
_ALWAYS = (R.INTERNAL, R.UNAVAILABLE)
_BY_AUTH: dict[Auth, tuple[R, ...]] = {
    "nobody": (),
    "viewer": (R.SIGN_IN, R.TOKEN_EXPIRED, R.TOKEN_INVALID, R.FORBIDDEN),
    "staff": (R.SIGN_IN, R.TOKEN_EXPIRED, R.TOKEN_INVALID, R.FORBIDDEN),
    "either": (R.SIGN_IN, R.TOKEN_EXPIRED, R.TOKEN_INVALID),
}
_SECURITY: dict[Auth, list[dict[str, list[str]]]] = {
    "nobody": [],
    "viewer": [{"viewerToken": []}, {"viewerCookie": []}],
    "staff": [{"staffToken": []}, {"sessionCookie": [], "csrfHeader": []}],
    "either": [{"viewerToken": []}, {"viewerCookie": []}, {"staffToken": []}, {"sessionCookie": [], "csrfHeader": []}],
}


def document(endpoints: Iterable[Endpoint], settings: Settings) -> dict[str, Any]:
    """The whole document. Two rows with the same method and path are a mistake of ours."""
    rows = sorted(endpoints, key=lambda row: (row.path, row.method))
    types = _types_of(rows)
    schemas, components = msgspec.json.schema_components(types, schema_hook=_anything, ref_template=_REF)
    schema_of = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        path, method = _PLACE.sub(r"{\1}", row.path), row.method.lower()
        assert method not in paths[path], f"{row.method} {path} stands in the table twice"
        paths[path][method] = _operation(row, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{settings.shop_name}: API",
            "version": __version__,
            "description": _ABOUT,
        },
        "servers": [{"url": settings.base_url}],
        "tags": [{"name": tag} for tag in sorted({_tag(row) for row in rows})],
        "paths": dict(paths),
        "components": {"schemas": components, "securitySchemes": _security_schemes(settings)},
        "x-refusals": [_refusal(row) for row in R],
    }


_ABOUT = (
    "Money is in minor units of the shop's currency, instants in UTC milliseconds of the server. Every failure is one "
    "of a closed list: `number` is stable, `text` is for people, `again` says whether the same request can help later, "
    "`after_ms` when. Unknown fields in a body are ignored; fields may be added to answers. The live part of a show "
    "(chat, cards, stock, reservations) travels over the WebSocket that docs/protocol.md describes."
)


def _types_of(rows: list[Endpoint]) -> list[Any]:
    bodies = [row.body for row in rows if row.body is not None]
    answers = [row.answer for row in rows if row.answer is not Response]
    return [ErrorBody, *bodies, *answers]


def _anything(kind: type) -> dict[str, Any]:
    """The schema of a field that may hold any JSON; a type we never meant to send is a mistake of ours."""
    assert kind is object, f"{kind} has no schema"
    return {"description": "Any JSON."}


def _operation(row: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(row),
        "tags": [_tag(row)],
        "summary": row.summary,
        "responses": _responses(row, schema_of),
        "security": _SECURITY[row.auth],
    }
    if row.about:
        operation["description"] = row.about
    if row.roles:
        operation["x-roles"] = list(row.roles)
        operation["description"] = f"{row.about}\n\nFor these roles: {', '.join(row.roles)}.".strip()
    if parameters := [_path_parameter(name) for name in _PLACE.findall(row.path)]:
        operation["parameters"] = parameters
    if row.body is not None:
        content = {"application/json": {"schema": schema_of[id(row.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def operation_id(row: Endpoint) -> str:
    """Module and function: stable as long as nobody renames either."""
    return f"{_tag(row)}.{row.handler.__name__}"


def _tag(row: Endpoint) -> str:
    return row.handler.__module__.rsplit(".", 1)[-1]


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _responses(row: Endpoint, schema_of: dict[int, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if row.answer is not Response:
        success["content"] = {"application/json": {"schema": schema_of[id(row.answer)]}}
    responses: dict[str, Any] = {"200": success}
    by_status: dict[int, list[R]] = defaultdict(list)
    for refusal in dict.fromkeys(_refusals_of(row)):
        by_status[refusal.value.status].append(refusal)
    for status, refusals in sorted(by_status.items()):
        if status == 200:
            continue
        lines = [f"{http.HTTPStatus(status).phrase}:"]
        lines += [f"- `{row.value.number}` {row.value.word}: {row.value.text}" for row in refusals]
        responses[str(status)] = {
            "description": "\n".join(lines),
            "content": {"application/json": {"schema": schema_of[id(ErrorBody)]}},
            "x-refusals": [row.value.number for row in refusals],
        }
    return responses


def _refusals_of(row: Endpoint) -> list[R]:
    refusals = [*row.refuses, *_BY_AUTH[row.auth]]
    if row.body is not None:
        refusals += [R.MALFORMED, R.TOO_LARGE]
    if row.csrf and row.method != "GET":
        refusals.append(R.ORIGIN)
        if row.auth in ("staff", "either"):
            refusals.append(R.CSRF)
    return [*refusals, *_ALWAYS]


def _refusal(refusal: R) -> dict[str, Any]:
    row = refusal.value
    return {"number": row.number, "word": row.word, "text": row.text, "again": row.again, "status": row.status}


def _security_schemes(settings: Settings) -> dict[str, Any]:
    prefix = "__Host-" if settings.secure else ""
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {
        "viewerToken": bearer | {"description": "A viewer's short pass (`POST /api/viewers`)."},
        "viewerCookie": {"type": "apiKey", "in": "cookie", "name": f"{prefix}lc_viewer"},
        "staffToken": bearer | {"description": "A short staff pass (`POST /api/staff/token`, `POST /api/enter`)."},
        "sessionCookie": {"type": "apiKey", "in": "cookie", "name": f"{prefix}lc_session"},
        "csrfHeader": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "The session's word (`POST /api/login`); asked for by every method but GET.",
        },
    }
