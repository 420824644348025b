"""The house's adapters over a resolver of our own: tests ask no name server."""

from collections.abc import Awaitable, Callable
from typing import Any

from livecommerce.clock import Clock
from livecommerce.protocol.facts import ShowFacts
from livecommerce.settings import Settings
from livecommerce.video.adapters.contract import Foundation
from livecommerce.video.adapters.registry import Adapters, adapters_for
from livecommerce.video.keys import Keys

PUBLIC = "93.184.216.34"
NAMES = {
    "media.example.com": [PUBLIC],
    "cdn.example.com": ["2606:2800:220:1::1"],
    "inside.example.com": ["10.0.0.5"],
    "both.example.com": [PUBLIC, "192.168.1.7"],
    "metadata.example.com": ["169.254.169.254"],
    "v6.example.com": ["fd00::7"],
    "link.example.com": ["fe80::1%eth0"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "me.example.com": ["127.0.0.1"],
}


async def resolve(host: str, port: int) -> list[str]:
    if host not in NAMES:
        raise OSError("no such name")
    return NAMES[host]


async def nobody(show_id: str) -> Any:
    raise AssertionError(f"nobody asks for {show_id}")


def foundation(settings: Settings, clock: Clock, show: Callable[[str], Awaitable[ShowFacts]] = nobody) -> Foundation:
    return Foundation(settings, clock, Keys(settings, clock), show, resolve)


def adapters(settings: Settings, clock: Clock, show: Callable[[str], Awaitable[ShowFacts]] = nobody) -> Adapters:
    return adapters_for(foundation(settings, clock, show))
