"""The web application: pages, static files, the API's tables and what wraps them all. `build_app` is the whole of it.

What arrives: the parts of the process. What leaves: a Starlette application. The hub's socket does not pass here: the
socket class takes it before. It knows which page stands at which address, and nothing of what pages do.
"""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan, Scope

from livecommerce.errors import R, Refused
from livecommerce.gateway import http as http_tables
from livecommerce.gateway.access import AccessLog
from livecommerce.gateway.api import Endpoint, Table, error_body, json_response, refusal_response, routes_of
from livecommerce.gateway.publish import publish_endpoint
from livecommerce.gateway.security import SecurityHeaders, policy_for
from livecommerce.ids import is_id
from livecommerce.ledger.tables import invitations
from livecommerce.pages import pages_folder

if TYPE_CHECKING:
    from livecommerce.app import Parts

# Which built page answers where. A page reads the rest of its address by itself.
PAGES: dict[str, str] = {
    "/": "shop.html",
    "/shows": "shop.html",
    "/p/{handle}": "shop.html",
    "/bag": "shop.html",
    "/basket/{word}": "shop.html",
    "/watch/{show_id}": "watch.html",
    "/console": "console.html",
    "/console/{rest:path}": "console.html",
    "/camera/{show_id}": "camera.html",
    "/replay/{show_id}": "replay.html",
    "/login": "login.html",
    "/pay/test/{ref}": "pay.html",
    "/demo": "demo.html",
}
_GZIP_BYTES_MIN = 1024
_FOREVER = "public, max-age=31536000, immutable"
Page = Callable[[Request], Awaitable[Response]]


def endpoints_of_the_house() -> list[Endpoint]:
    """The rows of every table in `gateway/http/`, module by module."""
    rows: list[Endpoint] = []
    for module in sorted(pkgutil.iter_modules(http_tables.__path__), key=lambda found: found.name):
        table = getattr(importlib.import_module(f"{http_tables.__name__}.{module.name}"), "table", None)
        if isinstance(table, Table):
            rows += table.endpoints
    return rows


def build_app(parts: "Parts", lifespan: "Lifespan[Starlette] | None" = None) -> Starlette:
    """The application over these parts; `lifespan` starts and stops them where the caller wants that done here."""
    endpoints = endpoints_of_the_house()
    routes: list[BaseRoute] = [
        *routes_of(endpoints, parts),
        Route("/s/{link_id}", _follow_link(parts), name="share_link_page"),
        Route("/i/{invitation_id}", _follow_invitation(parts), name="invitation_page"),
        WebSocketRoute("/publish/{show_id}", publish_endpoint(parts), name="publish"),
        *(
            Mount(f"/adapters/{adapter.name}", webhook, name=f"adapter {adapter.name}")
            for adapter in parts.adapters
            if (webhook := adapter.webhook()) is not None
        ),
        *_pages(parts),
    ]
    app = Starlette(
        routes=routes,
        middleware=_middleware(parts),
        exception_handlers={HTTPException: _http_failure, Refused: _refused_page, Exception: _our_failure},
        lifespan=lifespan,
    )
    app.state.endpoints = endpoints
    return app


def _middleware(parts: "Parts") -> list[Middleware]:
    settings = parts.settings
    middleware = [Middleware(AccessLog), Middleware(SecurityHeaders, settings=settings)]
    if settings.allowed_origins:
        # Bearer tokens only: without credentials no cookie of ours ever answers to a foreign page.
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.allowed_origins),
                allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
                allow_headers=["authorization", "content-type", "x-request-id"],
                expose_headers=["x-request-id", "retry-after"],
            )
        )
    # Level 6 is where text stops getting much smaller; pictures and video are left as they are.
    middleware.append(Middleware(GZipMiddleware, minimum_size=_GZIP_BYTES_MIN, compresslevel=6))
    return middleware


# --- pages and their files ------------------------------------------------------------------------------------------


def _pages(parts: "Parts") -> list[BaseRoute]:
    folder = pages_folder()
    routes: list[BaseRoute] = [
        Route(path, _page(parts, folder, name), name=f"page {path}") for path, name in PAGES.items()
    ]
    if folder is not None:
        routes.append(Mount("/static", _BuiltFiles(directory=folder), name="static"))
    return routes


def _page(parts: "Parts", folder: Path | None, name: str) -> Page:
    async def serve(request: Request) -> Response:
        if folder is None:
            return HTMLResponse(_NOT_BUILT, 503, {"cache-control": "no-store"})
        headers = {"cache-control": "no-cache"}
        if policy := await _policy(parts, _show_of(request)):
            headers["content-security-policy"] = policy
        return HTMLResponse((folder / name).read_bytes(), headers=headers)

    return serve


def _show_of(request: Request) -> str:
    """The show whose picture this page plays, "" for none."""
    rest = request.path_params.get("rest", "")
    show_id = request.path_params.get("show_id") or (rest.split("/")[1] if rest.startswith("shows/") else "")
    return show_id if is_id(show_id) else ""


async def _policy(parts: "Parts", show_id: str) -> str:
    """The policy of a show's page; "" where the usual one does, and where nobody knows the show now."""
    if not show_id:
        return ""
    try:
        return policy_for(parts.settings, (await parts.shows.facts(show_id)).video)
    except (Refused, SQLAlchemyError, OSError):
        return ""


class _BuiltFiles(StaticFiles):
    """Built files carry a hash of their content in their name: what was fetched once is never asked for again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code in (200, 304):
            response.headers["cache-control"] = _FOREVER if path.startswith("assets/") else "no-cache"
        return response


def _plain_page(title: str, text: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="stylesheet" href="/docs/api.css"></head>'
        f'<body><main><h1>{title}</h1><p>{text}</p><p><a href="/">To the shop</a></p></main></body></html>'
    )


_NOT_BUILT = _plain_page(
    "The pages were not built yet",
    "The server runs, but its pages are not there. In the project's folder, run <code>make web</code>, then start the "
    "server again. The API answers meanwhile: see <a href='/docs/api'>its document</a>.",
)
_MISSING = _plain_page("There is nothing here", "The address may have a typing mistake, or the page has moved.")
_FAILED = _plain_page(
    "Something went wrong on our side", "It was noted. Nothing you reserved or paid is lost; please try again."
)


# --- ways in --------------------------------------------------------------------------------------------------------


def _follow_link(parts: "Parts") -> Page:
    async def follow(request: Request) -> Response:
        try:
            link = await parts.people.links.find(request.path_params["link_id"])
        except Refused:
            return _redirect("/")
        target = f"/watch/{link.show_id}" if link.show_id else "/"
        if link.invitation_id:
            target += f"?invitation={link.invitation_id}"
        response = _redirect(target)
        parts.door.remember_link(response, link.link_id)
        return response

    return follow


def _follow_invitation(parts: "Parts") -> Page:
    async def follow(request: Request) -> Response:
        invitation_id = request.path_params["invitation_id"]
        if not is_id(invitation_id):
            return _redirect("/")
        query = select(invitations.c.show_id).where(invitations.c.id == invitation_id)
        async with parts.database.read() as connection:
            show_id = (await connection.execute(query)).scalar_one_or_none()
        return _redirect(f"/watch/{show_id}?invitation={invitation_id}" if show_id else "/")

    return follow


def _redirect(target: str) -> Response:
    return RedirectResponse(target, 303, {"cache-control": "no-store"})


# --- failures outside the API's own frame ---------------------------------------------------------------------------


async def _http_failure(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith("/api/"):
        return HTMLResponse(_MISSING, error.status_code, error.headers)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        response = json_response(error_body(Refused(R.MALFORMED, expected=f"method {allowed}")), 405)
        response.headers["allow"] = allowed
        return response
    return refusal_response(Refused(R.NOT_FOUND, what="address"))


async def _refused_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal_response(error)


async def _our_failure(request: Request, error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return refusal_response(Refused(R.INTERNAL))
    return HTMLResponse(_FAILED, 500, {"cache-control": "no-store"})
