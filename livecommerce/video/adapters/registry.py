"""Which sources of pictures this server has: ours, and those that a shop installed beside it.

What arrives: what adapters build on. What leaves: `Adapters`, by name. Entry points of the group `livecommerce.video`
are loaded once, at the start; one that fails is left out, and the log says why: a broken plug-in is no reason to serve
no shop.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points

import structlog

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import VideoFacts
from livecommerce.video.adapters.contract import Foundation, Playback, VideoAdapter, Wish
from livecommerce.video.adapters.elsewhere import File, Hls, YouTube
from livecommerce.video.adapters.mediamtx import MediaMtx
from livecommerce.video.adapters.own import Film, Own

log = structlog.get_logger(__name__)

GROUP = "livecommerce.video"
NONE = "none"


class Adapters:
    """All of a process."""

    def __init__(self, by_name: Mapping[str, VideoAdapter]) -> None:
        self._by_name = dict(by_name)

    def __iter__(self) -> Iterator[VideoAdapter]:
        return iter(self._by_name.values())

    def named(self, name: str) -> VideoAdapter:
        """Refuses NOT_FOUND."""
        found = self._by_name.get(name)
        if found is None:
            raise Refused(R.NOT_FOUND, what=f"source of pictures; there are: {', '.join(sorted(self._by_name))}")
        return found

    def of(self, video: VideoFacts) -> VideoAdapter | None:
        """Whose picture a show has; None for none, and where a shop took its plug-in away."""
        return self._by_name.get(video.source or video.kind)

    async def playback(self, name: str, wish: Wish) -> Playback:
        """What a page plays. Refuses NOT_FOUND, and as the adapter does."""
        return Playback("none") if name == NONE else await self.named(name).playback(wish)


def adapters_for(foundation: Foundation) -> Adapters:
    """Ours first: a plug-in takes no name of ours."""
    ours: list[VideoAdapter] = [
        Own(foundation),
        Film(foundation),
        Hls(foundation),
        File(foundation),
        YouTube(foundation),
    ]
    if foundation.settings.mediamtx_url:
        ours.append(MediaMtx(foundation))
    found = {adapter.name: adapter for adapter in ours}
    for point in entry_points(group=GROUP):
        if point.name in found or point.name == NONE:
            log.error("video_adapter_left_out", adapter=point.name, why="its name is taken")
            continue
        try:
            found[point.name] = point.load()(foundation)
        except Exception as error:  # not ours: whatever it raises, the shop opens
            log.error("video_adapter_left_out", adapter=point.name, why=f"{type(error).__name__}: {error}"[:300])
    return Adapters(found)
