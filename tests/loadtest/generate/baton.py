"""A conductor of one generator, as small as can be: gives orders, keeps every report, and hears a host's cards."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from loadtest.check.books import fetch_books
from loadtest.check.checker import check
from loadtest.generate.generator import Generator
from loadtest.generate.link import GeneratorLink, Link, Links, connect_generator, listen
from loadtest.marks import marked
from loadtest.measure.histogram import Histogram
from loadtest.orders import (
    AnyOrder,
    Done,
    Failed,
    Finish,
    Join,
    Prepare,
    Prepared,
    Ready,
    Recorded,
    Sampled,
    ViewerPass,
)
from loadtest.records import AnyRecord, Record, read
from tests.live_server import WAIT_SECONDS, Show, until

KEY = "the key of this run"
PATIENCE_SECONDS = 20.0
R = TypeVar("R", bound=Record)


class Baton:
    """`async with Baton(show) as baton`: a generator in this very process has joined and prepared."""

    def __init__(
        self, show: Show, *, portable: bool = False, share: tuple[int, int] = (0, 1), boot_id: str = ""
    ) -> None:
        self.show = show
        self.counters: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.histograms: defaultdict[str, Histogram] = defaultdict(Histogram)
        self.records: list[AnyRecord] = []
        self.failures: list[Failed] = []
        self.prepared: Prepared | None = None
        self.is_done = False
        self.samples = 0
        self._portable = portable
        self._share = share
        self._boot_id = boot_id
        self._stream = b""
        self._ready: set[int] = set()
        self._orders = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self._links: Links
        self._link: Link
        self._joined: GeneratorLink

    async def __aenter__(self) -> "Baton":
        self._links = await listen("127.0.0.1", 0, KEY)
        self._joined = await connect_generator("127.0.0.1", self._links.port, KEY)
        self._tasks.append(asyncio.create_task(Generator(self._joined).run()))
        self._link = await self._links.next()
        self._tasks.append(asyncio.create_task(self._listen()))
        await self.send(
            Prepare(
                self.show.server.base_url,
                self.show.show_id,
                7,
                self._share,
                PATIENCE_SECONDS,
                self._portable,
                self._boot_id,
            )
        )
        await self.until(lambda: self.prepared or self.failures, "prepared")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._joined.aclose()
        await self._link.aclose()
        await self._links.aclose()

    def now_us(self) -> int:
        return self._joined.clock.now_us()

    async def send(self, order: AnyOrder) -> None:
        await self._link.send(order)

    async def order(self, make: Callable[[int], AnyOrder]) -> None:
        """Give the order and return once the generator is ready with it."""
        self._orders += 1
        number = self._orders
        await self.send(make(number))
        await self.until(lambda: number in self._ready, f"ready with {type(make(number)).__name__}")

    async def join(self, count: int, *, group: str = "all", **further: Any) -> list[str]:
        """So many newcomers come in quickly; their ids."""
        passes = tuple(ViewerPass(*each) for each in self.show.server.crowd(count))
        at_us = self.now_us()
        await self.order(lambda number: Join(number, group, passes, at_us, 500.0, **further))
        return [each.viewer_id for each in passes]

    async def finish(self, final: tuple[str, int] | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        await self.send(Finish(patience_seconds, final))
        await self.until(lambda: self.is_done, "done")

    async def until(self, true: Callable[[], Any], what: str) -> None:
        def look() -> Any:
            if found := true():
                return found
            for task in self._tasks:
                if task.done() and not self.is_done:
                    task.result()
            return None

        await until(look, f"{what}; failures: {self.failures}; counters: {dict(self.counters)}", WAIT_SECONDS)

    async def prove(self) -> None:
        """The checker finds nothing wrong with these records, and has looked at everything."""
        books = await fetch_books(self.show.host, self.show.show_id)
        result = check([self.records], books, patience_us=int(PATIENCE_SECONDS * 1e6))
        assert not any(result.counts.values()), result.breaches
        assert result.complete, result.note

    def recorded(self, kind: type[R]) -> list[R]:
        return [each for each in self.records if isinstance(each, kind)]

    async def _listen(self) -> None:
        async for report in self._link:
            match report:
                case Prepared():
                    self.prepared = report
                case Ready(order_id):
                    assert order_id not in self._ready, "an order is ready once"
                    self._ready.add(order_id)
                case Sampled():
                    self.samples += 1
                    self.counters.update(report.counters)
                    self.gauges = report.gauges
                    for name, encoded in report.histograms.items():
                        self.histograms[name].merge_encoded(encoded)
                case Recorded(chunk):
                    self._stream += chunk
                case Failed():
                    self.failures.append(report)
                case Done():
                    self.records = list(read(self._stream))
                    self.is_done = True


async def final_of(show: Show) -> tuple[str, int]:
    """(epoch, offset) of the last event in the show log."""
    await show.server.settled(show.show_id)
    query = 'SELECT epoch, max("offset") AS place FROM show_log WHERE show_id = ? AND epoch <> ? GROUP BY epoch'
    rows = show.server.rows(query, show.show_id, "")
    assert len(rows) == 1, "these tests have one epoch"
    return str(rows[0]["epoch"]), int(rows[0]["place"])


async def show_marked_card(show: Show, planned_us: int) -> None:
    """Put the show's card on the picture again, with the moment it was planned for in its line: two events."""
    await show.command(do="hide_card", card_id=show.card_id)
    path = f"/api/staff/shows/{show.show_id}/cards/{show.card_id}"
    await show.host.patch(path, {"line": marked("Soft all day", planned_us)})
    await show.command(do="show_card", card_id=show.card_id)
