"""A viewer in a process of her own, so that all of her can be stopped: prints each event's offset as she sees it."""

import asyncio
import sys

from livecommerce.client import ShowSocket
from livecommerce.protocol.to_viewer import State, Welcome


async def main(url: str, token: str) -> None:
    async with ShowSocket(url, token) as socket:
        async for message in socket:
            match message:
                case Welcome():
                    print("welcome", "again" if message.recovered else message.offset, flush=True)
                case State(events=events):
                    for stamped in events:
                        print("event", stamped.offset, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
