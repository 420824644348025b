"""All shows' pictures in this process: who publishes, what is fetched, and by which word in an address.

What arrives: show ids. What leaves: the publisher and the screen of each, made when first asked for and let go when
nobody has for a while. Addresses of shows that are not for everybody carry a signed word with its own end (`keys.py`),
since a player sends no header: `open` stands for everybody. It does not know sockets, requests, or what a show is.
"""

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import is_id
from livecommerce.settings import Settings
from livecommerce.video.cut import Cut, cut_file
from livecommerce.video.film import Films
from livecommerce.video.keys import Keys
from livecommerce.video.publisher import Limits, Picture, Publisher, Transcodes, open_publisher
from livecommerce.video.recording import Used, is_recorded, used_by
from livecommerce.video.screen import Screen
from livecommerce.video.srt import Ports

OPEN = "open"
# A player asks again long before; proxies wait a minute.
_WAIT_SECONDS_MAX = 20.0
_UNUSED_SECONDS_MAX = 120.0
_NONE = Picture()


class Studio:
    """One a process. `aclose` ends what is being published here."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._folder = settings.data / "video"
        self._clock = clock
        self.keys = Keys(settings, clock)
        self.films = Films(self._folder, settings.film_mb_max * 1_000_000, settings.video_hours_max)
        self.srt_ports = Ports(settings.data / "srt", settings.srt_port_range())
        self._limits = Limits(
            part_ms=settings.video_part_ms,
            keep_seconds=settings.video_keep_seconds,
            hours_max=settings.video_hours_max,
            stall_seconds=settings.video_stall_seconds,
            show_bytes_max=settings.video_show_gib_max << 30,
            transcodes_max=settings.video_transcodes_max,
        )
        self.transcodes = Transcodes(settings.video_transcodes_max)
        self._pictures: dict[str, Picture] = {}
        self._told: dict[str, Picture] = {}  # as they were when they were last told
        self._publishers: dict[str, Publisher] = {}
        self._opening = asyncio.Lock()
        self._screens: dict[str, Screen] = {}
        self._cutting = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self._forgetting: asyncio.Task[None] | None = None

    # --- publishing -------------------------------------------------------------------------------------------------

    async def publisher(self, show_id: str) -> Publisher:
        """The show's one publisher. Refuses VIDEO_TAKEN where it is another process's."""
        async with self._opening:
            found = self._publishers.get(show_id)
            if found is None or found.state == "over":
                found = await open_publisher(
                    show_id,
                    self.folder_of(show_id),
                    self._limits,
                    self.transcodes,
                    self._clock,
                    functools.partial(self._changed, show_id),
                    self._pictures.setdefault(show_id, Picture()),
                )
                self._publishers[show_id] = found
            return found

    def publishing(self, show_id: str) -> Publisher | None:
        """Who publishes here, if anybody does."""
        found = self._publishers.get(show_id)
        return found if found is not None and found.state != "over" else None

    def news_of_pictures(self) -> dict[str, tuple[bool, Picture]]:
        """Show → whether pieces came since `pictures_told`, and how its picture does; of those that changed."""
        return {
            show_id: (picture.pieces != self._told.get(show_id, _NONE).pieces, replace(picture))
            for show_id, picture in self._pictures.items()
            if picture != self._told.get(show_id, _NONE)
        }

    def pictures_told(self, told: Mapping[str, Picture]) -> None:
        """These were told. What nobody films here any more is forgotten with it."""
        self._told |= told
        for show_id in told.keys() - self._publishers.keys():
            if self._pictures[show_id] == told[show_id]:
                del self._pictures[show_id], self._told[show_id]

    async def let_go(self, show_id: str) -> None:
        """Whoever publishes this show leaves it to others, where no camera is there or about to come back."""
        async with self._opening:
            found = self._publishers.get(show_id)
            if found is not None and not found.has_line and found.state == "idle":
                del self._publishers[show_id]
                await found.aclose()

    def _changed(self, show_id: str) -> None:
        found = self._publishers.get(show_id)
        if found is not None and found.state == "idle" and not found.has_line:
            task = asyncio.create_task(self.let_go(show_id))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    # --- watching ---------------------------------------------------------------------------------------------------

    async def screen(self, show_id: str) -> Screen:
        """What players fetch of this show. Refuses NOT_FOUND where it never had a picture of ours."""
        found = self._screens.get(show_id)
        if found is None:
            if not is_id(show_id) or not is_recorded(self.folder_of(show_id)):
                raise Refused(R.NOT_FOUND, what="picture")
            opened = Screen(self.folder_of(show_id), self._clock, _WAIT_SECONDS_MAX)
            await opened.open()
            found = self._screens.setdefault(show_id, opened)
            if found is not opened:
                opened.close()
            if self._forgetting is None or self._forgetting.done():
                self._forgetting = asyncio.create_task(self._forget_unused(), name="screens")
        return found

    async def used(self, show_id: str) -> Used:
        """What the show's recording takes; nothing where there is none."""
        folder = self.folder_of(show_id)
        return await asyncio.to_thread(used_by, folder) if is_recorded(folder) else Used()

    def file(self, show_id: str, epoch: int) -> Path | None:
        """The file of one epoch; None where it is not there."""
        path = self.folder_of(show_id) / f"{epoch}.mp4" if is_id(show_id) else None
        return path if path is not None and path.exists() else None

    async def cut(self, show_id: str, cut: Cut) -> BinaryIO:
        """A stretch of the show's recording as an open file, one after the other: each takes the disk's whole breath.
        Refuses as `cut_file`."""
        async with self._cutting:
            return await cut_file(self.folder_of(show_id), cut)

    async def aclose(self) -> None:
        publishers, self._publishers = list(self._publishers.values()), {}
        for publisher in publishers:
            await publisher.aclose()
        if self._forgetting is not None:
            self._forgetting.cancel()
        ending = [*self._leaving, self._forgetting] if self._forgetting is not None else self._leaving
        await asyncio.gather(*ending, return_exceptions=True)
        for screen in self._screens.values():
            screen.close()
        self._screens.clear()

    def folder_of(self, show_id: str) -> Path:
        """Where everything of this show's picture lies."""
        assert is_id(show_id), "a show's id names its folder"
        return self._folder / show_id

    async def _forget_unused(self) -> None:
        """As long as there are any: each goes when nobody has looked for a while."""
        while self._screens:
            longest_unused = min(screen.used_at for screen in self._screens.values())
            await self._clock.sleep(longest_unused + _UNUSED_SECONDS_MAX - self._clock.monotonic())
            since = self._clock.monotonic() - _UNUSED_SECONDS_MAX
            for show_id in [each for each, screen in self._screens.items() if screen.used_at <= since]:
                self._screens.pop(show_id).close()
