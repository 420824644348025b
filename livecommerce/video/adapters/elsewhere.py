"""A picture that is made and served somewhere else, and that viewers' browsers fetch there: HLS, a file, YouTube.

What arrives: an address that a host typed. What leaves: the one that stands in the page, or a refusal. Nothing is sent
to us, so there is nobody to authorize.
"""

import re
from urllib.parse import parse_qs, urlsplit

from starlette.types import ASGIApp

from livecommerce.protocol.facts import PictureClock, PictureKind, VideoFacts
from livecommerce.video.adapters.addresses import checked, not_taken
from livecommerce.video.adapters.contract import Asks, Foundation, Ingest, MediaRequest, Playback, Wish, clock_of


class _Elsewhere:
    asks: Asks = "address"

    def __init__(self, foundation: Foundation) -> None:
        self._settings = foundation.settings
        self._resolve = foundation.resolve

    def address(self, show_id: str, video: VideoFacts, word: str) -> str:
        return video.url

    def ingest(self, show_id: str) -> tuple[Ingest, ...]:
        return ()

    async def authorize(self, request: MediaRequest) -> bool:
        return False

    def webhook(self) -> ASGIApp | None:
        return None


class Hls(_Elsewhere):
    """Any HLS address. Its own programme time is believed, if it has one; a delay that the host measured wins."""

    name = "hls"
    _kind: PictureKind = "hls"
    _clock: PictureClock = "pdt"

    async def playback(self, wish: Wish) -> Playback:
        clock, delay_ms = clock_of(wish, self._clock)
        return Playback(self._kind, await self._checked(wish.url), clock, delay_ms)

    async def _checked(self, url: str) -> str:
        return await checked(url, self._settings, self._resolve)


class File(Hls):
    """A clip at an address, which every page shows at the same place. One of our own begins with a slash."""

    name = "file"
    _kind: PictureKind = "file"
    _clock: PictureClock = "none"

    async def _checked(self, url: str) -> str:
        own = re.fullmatch(r"/(?!/)[^\s\\]*", url)
        return url if own else await super()._checked(url)


_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_YOUTUBE = ("youtube.com", "youtube-nocookie.com", "youtu.be")
EMBED = "https://www.youtube-nocookie.com/embed/"


class YouTube(_Elsewhere):
    """By YouTube's player, from its address that sets no cookie before it plays. It tells no time: cards go by a fixed
    delay, or at once."""

    name = "youtube"

    async def playback(self, wish: Wish) -> Playback:
        clock, delay_ms = clock_of(wish, "none")
        return Playback("youtube", EMBED + video_id(wish.url), "none" if clock == "pdt" else clock, delay_ms)


def video_id(text: str) -> str:
    """The id in any form of link that YouTube hands out, or alone. Refuses VIDEO_ADDRESS."""
    text = text.strip()
    if _VIDEO_ID.fullmatch(text):
        return text
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = (parts.hostname or "").removeprefix("www.").removeprefix("m.").removeprefix("music.")
    if parts.scheme in ("http", "https") and host in _YOUTUBE:
        steps = [step for step in parts.path.split("/") if step]
        if host != "youtu.be" and steps[:1] == ["watch"]:
            steps = parse_qs(parts.query).get("v", [])
        elif host != "youtu.be":
            steps = steps[1:] if steps[:1] and steps[0] in ("live", "embed", "shorts", "v") else []
        if steps and _VIDEO_ID.fullmatch(steps[0]):
            return steps[0]
    raise not_taken("video_id")
