"""A crowd of buyers in a process of its own: they come in, all tap one deal at the same instant, and leave.

What arrives: arguments, and passes on standard input, a line each. What leaves: on standard output a line of JSON for
every step of the way, the last one whole: who joined, who holds, who read "sold out", the slowest answer. What they
held they give back a moment later, so that the next visitor finds stock.
"""

import asyncio
import sys

import click
import msgspec
import uvloop

from livecommerce.demo.players import Pass, Player
from livecommerce.errors import R

_CONNECT_AT_ONCE = 25
_KEEP_SECONDS = 8.0
_REPORTS = 20


class Progress(msgspec.Struct, frozen=True):
    """How far the crowd is; `done` are those who have an answer or gave up asking."""

    total: int
    joined: int = 0
    done: int = 0
    held: int = 0
    sold_out: int = 0
    slowest_ms: int = 0


@click.command()
@click.option("--url", required=True)
@click.option("--show", "show_id", required=True)
@click.option("--deal", "deal_id", required=True)
def main(url: str, show_id: str, deal_id: str) -> None:
    """Send the crowd."""
    passes = [line.strip() for line in sys.stdin if line.strip()]
    uvloop.run(crowd(url, show_id, deal_id, passes))


async def crowd(url: str, show_id: str, deal_id: str, passes: list[str]) -> None:
    """Join, tap, report, give back, leave."""
    players = [Player(url, show_id, f"buyer {number}", _always(token)) for number, token in enumerate(passes)]
    await _join(players)
    await _tap(players, deal_id)
    await asyncio.sleep(_KEEP_SECONDS)
    await asyncio.gather(*(player.let_go_of_all() for player in players))
    await asyncio.gather(*(player.aclose() for player in players))


async def _join(players: list[Player]) -> None:
    for start in range(0, len(players), _CONNECT_AT_ONCE):
        batch = players[start : start + _CONNECT_AT_ONCE]
        for player in batch:
            player.start()
        await asyncio.gather(*(player.ready() for player in batch))
        _report(Progress(len(players), joined=start + len(batch)))


async def _tap(players: list[Player], deal_id: str) -> None:
    total = len(players)
    held = sold_out = done = 0

    async def tap(player: Player) -> None:
        nonlocal held, sold_out, done
        hold = await player.tap(deal_id)
        held += hold is not None
        sold_out += player.refused is R.SOLD_OUT
        done += 1
        if done % max(1, total // _REPORTS) == 0 or done == total:
            slowest_ms = max(one.slowest_ms for one in players)
            _report(Progress(total, total, done, held, sold_out, slowest_ms))

    await asyncio.gather(*(tap(player) for player in players))


def _always(token: str) -> Pass:
    async def give() -> str:
        return token

    return give


def _report(progress: Progress) -> None:
    print(msgspec.json.encode(progress).decode(), flush=True)


if __name__ == "__main__":
    main()
