"""What a source of pictures is to this server: the contract that our own ways keep, and a shop's.

What arrives: what a host wishes, and who asks to send or to watch. What leaves: what the page plays and by whose clock,
instructions for the encoder, and yes or no. An adapter knows no rooms, no cards and no requests of ours; it may bring
an ASGI application (`webhook`) for a media server that calls us.

A shop adds its own by an entry point of the group `livecommerce.video`: a function that takes a `Foundation` and
returns a `VideoAdapter`; its name there is the name hosts choose it by.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import msgspec
from starlette.types import ASGIApp

from livecommerce.clock import Clock
from livecommerce.protocol.facts import PictureClock, PictureKind, ShowFacts, VideoFacts
from livecommerce.settings import Settings
from livecommerce.video.keys import Keys

# A picture that is further behind than this waits for nothing: the page takes it for lost (`web/src/watch/room.ts`).
DELAY_MS_MAX = 30_000
Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Foundation:
    """What an adapter may build on. `show` gives a show's facts and refuses NOT_FOUND; `resolve` gives the addresses of
    a name and raises `OSError`."""

    settings: Settings
    clock: Clock
    keys: Keys
    show: Callable[[str], Awaitable[ShowFacts]]
    resolve: Resolve


@dataclass(frozen=True, slots=True)
class Wish:
    """What a host asks for. `clock` and `delay_ms` are hers where she knows better than the adapter."""

    url: str = ""
    clock: Literal["", PictureClock] = ""
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Playback:
    """What stands in the show's facts and every page plays. `signed`: a viewer's address carries a word of her own, so
    the page asks for it at `/api/shows/{show_id}/picture`, and `address` makes it."""

    kind: PictureKind
    url: str = ""
    clock: PictureClock = "none"
    delay_ms: int = 0
    signed: bool = False


class Ingest(msgspec.Struct, frozen=True):
    """One way to send: what an encoder's form asks for. `key` is a secret: whoever has it films this show."""

    protocol: Literal["page", "rtmp", "srt", "whip"]
    server: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """Somebody at a media server, by its word. `secret`: a password, a token, or a signed word."""

    action: Literal["publish", "read"]
    show_id: str
    secret: str


Asks = Literal["nothing", "address", "film"]


class VideoAdapter(Protocol):
    """One way a picture comes. Made once a process; all methods are called from its event loop."""

    @property
    def name(self) -> str:
        """What it is chosen by, and what `VideoFacts.source` says."""
        ...

    @property
    def asks(self) -> Asks:
        """What a host has to give."""
        ...

    async def playback(self, wish: Wish) -> Playback:
        """Decided when a show is planned. Refuses VIDEO_ADDRESS for what must not stand in a page."""
        ...

    def address(self, show_id: str, video: VideoFacts, word: str) -> str:
        """Where a viewer finds a `signed` picture. `word` opens the show for some hours, "" where it is open to all."""
        ...

    def ingest(self, show_id: str) -> tuple[Ingest, ...]:
        """The ways to send to it; none where it is sent to elsewhere."""
        ...

    async def authorize(self, request: MediaRequest) -> bool:
        """Whether this may be sent or watched: asked by our own listeners and by the adapter's own webhook."""
        ...

    def webhook(self) -> ASGIApp | None:
        """What answers below `/adapters/NAME/`, for a server that calls us."""
        ...


DelayMs = Annotated[int, msgspec.Meta(ge=0, le=DELAY_MS_MAX)]


def clock_of(wish: Wish, usual: PictureClock) -> tuple[PictureClock, int]:
    """The clock that a host's wish leads to: a delay that she measured is a fixed one."""
    if wish.clock:
        return wish.clock, wish.delay_ms if wish.clock in ("fixed", "latency") else 0
    return ("fixed", wish.delay_ms) if wish.delay_ms else (usual, 0)
