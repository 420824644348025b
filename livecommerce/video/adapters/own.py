"""What this server films itself: a camera page, a phone, OBS by RTMP, a phone's encoder by SRT, an uploaded film.

What arrives: stream keys. What leaves: how to send here. The picture is ours, with our clock; see `docs/video.md`.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp

from livecommerce.protocol.facts import VideoFacts
from livecommerce.video.adapters.contract import Asks, Foundation, Ingest, MediaRequest, Playback, Wish


class Own:
    """A camera of the host's. `Film` is the same picture from a file."""

    name = "own"
    asks: Asks = "nothing"

    def __init__(self, foundation: Foundation) -> None:
        self._settings = foundation.settings
        self._keys = foundation.keys

    async def playback(self, wish: Wish) -> Playback:
        return Playback("own", clock="pdt")

    def address(self, show_id: str, video: VideoFacts, word: str) -> str:
        return f"/video/{show_id}/{word or 'open'}/live.m3u8"

    def ingest(self, show_id: str) -> tuple[Ingest, ...]:
        ways = [Ingest("page", f"{self._settings.base_url}/camera/{show_id}")]
        if self._settings.rtmp_port:
            host = urlsplit(self._settings.base_url).hostname
            ways.append(
                Ingest("rtmp", f"rtmp://{host}:{self._settings.rtmp_port}/live", self._keys.stream_key(show_id))
            )
        return tuple(ways)

    async def authorize(self, request: MediaRequest) -> bool:
        """By the show's stream key, or to watch by a signed word."""
        if request.action == "publish":
            return self._keys.show_of_key(request.secret) == request.show_id != ""
        return self._keys.opens(request.secret, request.show_id)

    def webhook(self) -> ASGIApp | None:
        return None


class Film(Own):
    """A film that the host uploaded goes out as if it were live. Nobody sends anything meanwhile."""

    name = "film"
    asks: Asks = "film"

    def ingest(self, show_id: str) -> tuple[Ingest, ...]:
        return ()
