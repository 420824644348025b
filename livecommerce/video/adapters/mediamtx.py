"""MediaMTX beside this server: encoders send to it, viewers fetch from it, and it asks us who may.

What arrives: its questions, as its page "Authentication, external HTTP server" describes them. What leaves: 204 or 401.
A path of MediaMTX is a show's id. Whoever sends gives the show's stream key as password or token; whoever watches a
show that is not for everybody has a signed word in the address. See `docs/mediamtx.md`.
"""

from typing import Annotated, Literal
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from livecommerce.errors import Refused
from livecommerce.ids import is_id
from livecommerce.protocol.facts import VideoFacts
from livecommerce.video.adapters.contract import Asks, Foundation, Ingest, MediaRequest, Playback, Wish, clock_of

USER = "host"  # MediaMTX wants a name beside a password; any is taken
_BODY_BYTES_MAX = 16_384
_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class Question(msgspec.Struct, frozen=True):
    """What MediaMTX posts. Newer versions may say more; that is left out."""

    action: Annotated[str, msgspec.Meta(max_length=40)]
    path: Annotated[str, msgspec.Meta(max_length=400)] = ""
    user: _Text = ""
    password: _Text = ""
    token: _Text = ""
    ip: _Text = ""
    protocol: _Text = ""
    id: _Text | None = None
    query: _Text = ""


_decode = msgspec.json.Decoder(Question).decode
_ACTIONS: dict[str, Literal["publish", "read"]] = {"publish": "publish", "read": "read"}


class MediaMtx:
    """There where MEDIAMTX_URL is set."""

    name = "mediamtx"
    asks: Asks = "nothing"

    def __init__(self, foundation: Foundation) -> None:
        self._settings = foundation.settings
        self._keys = foundation.keys
        self._show = foundation.show

    async def playback(self, wish: Wish) -> Playback:
        clock, delay_ms = clock_of(wish, "pdt")
        # The path is the show's id, which a show that is being made has not got yet: `address` adds it.
        return Playback("hls", self._settings.mediamtx_url, clock, delay_ms, signed=True)

    def address(self, show_id: str, video: VideoFacts, word: str) -> str:
        address = f"{self._settings.mediamtx_url.rstrip('/')}/{show_id}/index.m3u8"
        return f"{address}?word={word}" if word else address

    def ingest(self, show_id: str) -> tuple[Ingest, ...]:
        key = self._keys.stream_key(show_id)
        ways = []
        for base in self._settings.mediamtx_ingest:
            scheme = urlsplit(base).scheme
            base = base.rstrip("/")
            if scheme in ("rtmp", "rtmps"):
                ways.append(Ingest("rtmp", f"{base}/{show_id}?user={USER}&pass={quote(key)}"))
            elif scheme == "srt":
                ways.append(Ingest("srt", f"{base}?streamid=publish:{show_id}:{USER}:{quote(key)}&pkt_size=1316"))
            else:
                ways.append(Ingest("whip", f"{base}/{show_id}/whip", key))
        return tuple(ways)

    async def authorize(self, request: MediaRequest) -> bool:
        """To send: by the show's key, while it is not over. To watch: a show for everybody, or a word that opens it."""
        if not is_id(request.show_id):
            return False
        if request.action == "publish" and self._keys.show_of_key(request.secret) != request.show_id:
            return False
        try:
            facts = await self._show(request.show_id)
        except Refused:
            return False
        if facts.video.source != self.name or facts.status in ("ended", "cancelled"):
            return False
        if request.action == "publish" or (facts.access == "public" and facts.status != "draft"):
            return True
        return self._keys.opens(request.secret, request.show_id)

    def webhook(self) -> ASGIApp | None:
        return Starlette(routes=[Route("/auth", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        """204 yes, 401 no: MediaMTX's clients that said no name yet then say one."""
        question = await _question(request)
        action = _ACTIONS.get(question.action) if question else None
        if question is None or action is None:
            return Response(status_code=401)  # its own programming interface is no business of a show
        secrets = [question.password, question.token, question.token.partition(":")[2]]
        if action == "read":
            secrets += parse_qs(question.query).get("word", [])
        for secret in secrets:
            if await self.authorize(MediaRequest(action, question.path, secret)):
                return Response(status_code=204)
        return Response(status_code=401)


async def _question(request: Request) -> Question | None:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_BYTES_MAX:
                return None
        return _decode(bytes(body))
    except (ClientDisconnect, msgspec.DecodeError, UnicodeError):
        return None
