"""Prepares what is measured, with a version's own parts: the ledger, shows on air with an open deal, viewers' tokens.

`python -P stagehand.py CORE`, with that version's tree on PYTHONPATH and its settings in the environment. What arrives:
questions on standard input, a JSON object a line. What leaves: an answer for each on standard output, in order;
`{"error": …}` where it could not be done. It imports nothing of the load tester: in a comparison of two versions the
tree beside it is another one.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from livecommerce.app import Parts, open_parts
from livecommerce.ledger.migrate import migrate
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import CardFacts, CardShown, DealFacts
from livecommerce.protocol.from_host import GoLive
from livecommerce.reservations.engine import DealStock
from livecommerce.reservations.store import RESERVE
from livecommerce.settings import read_settings, with_secrets
from livecommerce.shows.plans import NewShow

DEAL = "dl_bench"
LIMIT = 1000  # of the deal: out of the way; what bounds a viewer is the number of her live holds


def deal_name(number: int) -> str:
    """Of a show with several deals; the first is `DEAL`."""
    return f"{DEAL}_{number}" if number else DEAL


def card(text: str) -> CardFacts:
    """A card of ordinary size; `text` is its talking line, which carries the planned moment."""
    deal = DealFacts(DEAL, "var_rosewood", "Rosewood", "#aa3344", "", 1990, 2900, 1000, 2, 300, 600, "open")
    return CardFacts("crd_bench", "deal", "Velvet lip in Rosewood", text, "velvet-lip", "/media/v/640", (deal,))


class Stagehand:
    """Answers to the questions, each by the name that stands in `do`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._made = 0
        self._hosts: dict[str, str] = {}  # show → account

    async def show(self, quota: int, level: Any = "soft", deals: int = 1) -> dict[str, Any]:
        """A show on air with so many open deals of that many units, `DEAL` and then by number. What a level is called
        is the version's own business."""
        parts = self._parts
        self._made += 1
        email = f"host{self._made}@bench.example"
        staff = await parts.people.add_account(email, "Host", "admin", "", "a long bench password 7")
        new = NewShow("Bench", "open_house", scheduled_at_ms=parts.clock.now_ms())
        planning: Any = getattr(parts.shows, "planning", parts.shows)  # an older version's shows plan themselves
        show = await planning.create(staff, new)
        await parts.shows.command(staff, show.show_id, "bench-go-live", GoLive())
        self._hosts[show.show_id] = staff.account_id
        await parts.engine.open_show(show.show_id)
        for number in range(deals):
            deal = DealStock(deal_name(number), quota, LIMIT, 300_000, 600_000, status="open", level=level)
            await parts.engine.put_deal(show.show_id, deal)
        return {"show_id": show.show_id}

    async def camera(self, show_id: str) -> dict[str, Any]:
        """What opens a show to the camera page of its host, and to an encoder."""
        token = self._parts.people.tokens.for_staff(self._hosts[show_id], 1).token
        return {"token": token, "key": self._parts.studio.keys.stream_key(show_id)}

    async def small_shows(self, count: int, quota: int) -> dict[str, Any]:
        """So many shows in the engine's books alone: the ledger has no row of them, and at level `soft` none is asked
        for."""
        engine = self._parts.engine
        self._made += 1
        show_ids = [f"shw_small{self._made}x{number:05d}" for number in range(count)]
        for show_id in show_ids:
            await engine.open_show(show_id)
            await engine.put_deal(show_id, DealStock(DEAL, quota, LIMIT, 300_000, 600_000, status="open"))
        return {"show_ids": show_ids}

    async def hammer(self, show_ids: list[str], askers: int, each: int, core: int, together: int = 0) -> dict[str, Any]:
        """Engine calls without sockets: so many ask, over the shows in turn, each for one unit and then for the next,
        from that core; `together` at most in a call of the script, 0: as the engine has it. The seconds it took, and
        this process's own of them."""
        engine, before = self._parts.engine, os.sched_getaffinity(0)
        self._made += 1
        if together:
            engine._batcher.batch_max = together  # type: ignore[union-attr]  # one server: one batcher

        async def ask(number: int) -> None:
            viewer = ViewerIdentity(f"vwr_asks{self._made}x{number:05d}", "A viewer")
            for turn in range(each):
                await engine.reserve(show_ids[number % len(show_ids)], viewer, f"rid-asks-{turn:04d}", [(DEAL, 1)])

        os.sched_setaffinity(0, {core})
        try:
            cpu, began = time.process_time(), time.monotonic()
            await asyncio.gather(*(ask(number) for number in range(askers)))
            return {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
        finally:
            os.sched_setaffinity(0, before)

    async def script(self) -> dict[str, Any]:
        """The text of the script that reserves, as this version sends it."""
        return {"text": RESERVE.body.decode()}

    async def tokens(self, count: int) -> dict[str, Any]:
        """New viewers, as the site of a merchant would mint them."""
        self._made += 1
        viewers = [ViewerIdentity(f"vwr_bench{self._made}x{number:05d}", "A viewer") for number in range(count)]
        return {"tokens": [self._parts.people.tokens.for_viewer(viewer).token for viewer in viewers]}

    async def card(self, show_id: str, text: str) -> dict[str, Any]:
        """The card goes on the picture: the news' script, the relay, every process that has the room."""
        offset = await self._parts.news.publish(show_id, [CardShown(card(text))], self._parts.clock.now_ms())
        return {"offset": offset}


async def _main(answer: Callable[[dict[str, Any]], None]) -> None:
    settings = with_secrets(read_settings(os.environ))
    await migrate(settings.sql_url)
    async with open_parts(settings) as parts:
        stagehand = Stagehand(parts)
        questions: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "show": stagehand.show, "tokens": stagehand.tokens, "card": stagehand.card, "hammer": stagehand.hammer,
            "small_shows": stagehand.small_shows, "script": stagehand.script, "camera": stagehand.camera,
        }  # fmt: skip
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        answer({"ready": True})
        while line := await reader.readline():
            asked = json.loads(line)
            try:
                answer(await questions[asked.pop("do")](**asked))
            except Exception as error:
                answer({"error": f"{type(error).__name__}: {error}"})


def main(core: int) -> None:
    os.sched_setaffinity(0, {core})
    # What the parts log must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    uvloop.run(_main(lambda answer: print(json.dumps(answer), file=answers)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
