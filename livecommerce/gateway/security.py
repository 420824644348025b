"""The headers that tell browsers what our pages may do. What arrives: settings. What leaves: headers on every answer.

Scripts come from this server alone, and so does everything that is fetched and played. The pages of a show whose
picture is somewhere else may fetch it from there, and from nowhere else: so an address that leads on to another server,
or to a machine of the viewer's own network, leads nowhere. Images may come from any https address (a merchant's
catalogue).
"""

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecommerce.protocol.facts import VideoFacts
from livecommerce.settings import Settings
from livecommerce.video.adapters.addresses import origin_of


def content_security_policy(settings: Settings, media: Sequence[str] = (), frames: Sequence[str] = ()) -> str:
    """The policy as one header line. `media`: further origins of pictures; `frames`: of players in frames."""
    images = "https:" if settings.mode == "production" else "https: http:"
    further = "".join(f" {origin}" for origin in media)
    # 'self' covers our sockets too, but not in Safari before 15.4.
    hub = "wss:" if settings.secure else "ws: wss:"
    rules = {
        "default-src": "'self'",
        "script-src": "'self'",
        "worker-src": "'self' blob:",
        # Style elements only from files; attributes may set a shade's colour or a bar's width.
        "style-src": "'self'",
        "style-src-attr": "'unsafe-inline'",
        "img-src": f"'self' data: blob: {images}",
        "media-src": f"'self' blob:{further}",
        "connect-src": f"'self' {hub}{further}",
        "font-src": "'self'",
        "frame-src": " ".join(("'self'", *frames)),
        "frame-ancestors": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def policy_for(settings: Settings, video: VideoFacts) -> str:
    """The policy of a page that plays this picture."""
    if video.kind == "youtube":
        return content_security_policy(settings, frames=(origin_of(video.url),))
    origins = [origin_of(url) for url in (video.url, *video.alternates) if origin_of(url)]
    # Pieces of a picture from elsewhere may lie on a third server: then the operator has named it.
    named = settings.video_origins if origins else ()
    return content_security_policy(settings, tuple(dict.fromkeys((*origins, *named))))


def security_headers(settings: Settings) -> dict[str, str]:
    headers = {
        "content-security-policy": content_security_policy(settings),
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        # Codes travel in fragments, which no Referer carries; links and ids of shows need not leave either.
        "referrer-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(self), geolocation=(), payment=(self)",
        "cross-origin-opener-policy": "same-origin",
    }
    if settings.secure and settings.mode == "production":
        # Not elsewhere: a demo's certificate of our own must not lock a browser to https for this name.
        headers["strict-transport-security"] = "max-age=31536000"
    return headers


class SecurityHeaders:
    """ASGI middleware; a header that an endpoint has set itself stays."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._headers = security_headers(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
