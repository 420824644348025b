"""A small evening on the real server, recorded as a generator records: nothing is wrong with it, and each of the things
planted into its records or books afterwards is found."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from livecommerce.audit.books import Books
from livecommerce.audit.digest import digest_of
from livecommerce.client.socket import new_rid
from livecommerce.clock import RealClock
from livecommerce.errors import Refused
from livecommerce.protocol.facts import Hold, OrderFacts
from livecommerce.protocol.to_viewer import Answer, AnyToViewer, Own, RefusedMessage, State, Welcome
from loadtest.check.books import books_from, fetch_books
from loadtest.check.checker import check
from loadtest.check.findings import KINDS
from loadtest.records import Answered, AnyRecord, Asked, EventSeen, Paid, RefusedTo, Segment, Told, encode, read
from loadtest.result import CheckResult
from tests.live_server import Deal, LiveServer, Show, Watcher, live_server, live_show, merchant_folder

__all__ = ["merchant_folder"]

VIEWERS, UNITS = 12, 5
PATIENCE_US = 20_000_000  # a loaded machine is no finding


class Recorder(Watcher):
    """A viewer whose questions, answers and stretches are written down."""

    tape: list[AnyRecord]
    clock = RealClock()
    _segment: tuple[str, int, str] | None = None
    _offset = 0

    def now_us(self) -> int:
        return int(self.clock.monotonic() * 1_000_000)

    async def ask(self, verb: str, rid: str, deal_id: str = "") -> Hold | Refused:
        now_us = self.now_us()
        lines = ((deal_id, 1),) if deal_id else ()
        self.tape.append(Asked(now_us, self.viewer_id, rid, verb, lines, now_us))  # type: ignore[arg-type]
        try:
            return await (self.tap(deal_id, rid=rid) if verb == "reserve" else self.socket.release(rid))
        except Refused as refused:
            return refused

    def end(self, closed: int) -> None:
        if self._segment is not None:
            epoch, begin, how = self._segment
            self.tape.append(Segment(self.viewer_id, epoch, begin, self._offset, how, closed))  # type: ignore[arg-type]

    def _fold(self, message: AnyToViewer) -> None:
        super()._fold(message)
        now_us, me = self.now_us(), self.viewer_id
        match message:
            case Welcome(epoch=epoch, offset=offset, recovered=recovered):
                self.end(0)
                self._segment = (epoch, offset, "resume" if recovered else "snapshot")
                self._offset = offset
                self.tape += [
                    Told(now_us, me, hold.rid, hold.state, _lines(hold), hold.due_at_ms or 0) for hold in message.holds
                ]
            case State(epoch, events):
                for stamped in events:
                    assert stamped.offset == self._offset + 1
                    self._offset = stamped.offset
                    self.tape.append(EventSeen(now_us, epoch, stamped.offset, digest_of(stamped)))
            case Answer(rid, hold):
                self.tape.append(Answered(now_us, me, rid, hold.state, hold.ticket, _lines(hold), hold.due_at_ms or 0))
            case RefusedMessage(re=rid):
                self.tape.append(RefusedTo(now_us, me, rid, message.number))
            case Own(hold=Hold() as hold):
                self.tape.append(Told(now_us, me, hold.rid, hold.state, _lines(hold), hold.due_at_ms or 0))
            case Own(order=OrderFacts() as order):
                self.tape.append(Paid(now_us, me, order.rid, order.order_id, order.status))


def _lines(hold: Hold) -> tuple[tuple[str, int], ...]:
    return tuple((line.deal_id, line.qty) for line in hold.lines)


@dataclass(frozen=True)
class Run:
    records: list[AnyRecord]
    books: Books
    deal: str
    kept: Path

    def judged(self, records: list[AnyRecord] | None = None, books: Books | None = None) -> CheckResult:
        return check([self.records if records is None else records], books or self.books, patience_us=PATIENCE_US)


@pytest.fixture(scope="module")
def run(merchant_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with live_server(merchant_folder) as server:
        yield asyncio.run(_evening(server, tmp_path_factory.mktemp("run") / "books.ndjson"))


async def _evening(server: LiveServer, kept: Path) -> Run:
    """Twelve tap for five units; two give theirs back, two more get those, one buys, one's line breaks meanwhile."""
    async with live_show(server, Deal(UNITS)) as show:
        (deal,) = show.deals
        path = f"/api/staff/shows/{show.show_id}/rehearsal-passes"
        passes = (await show.host.post(path, {"count": VIEWERS, "prefix": "Sim", "minutes": 5}))["passes"]
        tape: list[AnyRecord] = []
        crowd = [_recorder(show, one, tape) for one in passes]
        await asyncio.gather(*(each.__aenter__() for each in crowd))
        try:
            rids = {each: new_rid() for each in crowd}
            asked = {each: each.ask("reserve", rids[each], deal) for each in crowd}
            told = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
            holders = [each for each in crowd if isinstance(told[each], Hold)]
            late = [each for each in crowd if each not in holders]
            assert len(holders) == UNITS
            crowd[-1].socket._line.transport.abort()  # type: ignore[union-attr]
            await show.command(do="slow_mode", seconds=3)
            await asyncio.gather(*(each.ask("release", rids[each]) for each in holders[:2]))
            await asyncio.gather(*(each.ask("reserve", new_rid(), deal) for each in late[:3]))
            checkout = await holders[-1].check_out(rids[holders[-1]])
            await holders[-1].press(checkout["pay_url"], "pay")
            await holders[-1].until_state(rids[holders[-1]], "confirmed")
            await crowd[-1].until(lambda: len(crowd[-1].welcomes) == 2, "her return")
            await show.command(do="slow_mode", seconds=0)
            books = await fetch_books(show.host, show.show_id, keep=kept)
            last = books.events[-1].place
            await asyncio.gather(*(each.until(lambda each=each: each._offset == last, "the end") for each in crowd))
        finally:
            await asyncio.gather(*(each.__aexit__(None, None, None) for each in crowd))
        for each in crowd:
            each.end(-1)
        return Run(tape, books, deal, kept)


def _recorder(show: Show, one: dict[str, str], tape: list[AnyRecord]) -> Recorder:
    recorder = Recorder(show, one["viewer_id"], one["token"])
    recorder.tape = tape  # before it listens: that begins with the next turn of the loop
    return recorder


def test_a_real_evening_has_no_breach_at_all(run: Run) -> None:
    result = run.judged()

    assert result.breaches == ()
    assert result.counts == dict.fromkeys(KINDS, 0)
    assert (result.complete, result.note) == (True, "")
    assert (result.checked["viewers"], result.checked["requests"]) == (VIEWERS, VIEWERS + 3)
    assert (result.checked["answers"], result.checked["refusals"]) == (UNITS + 2 + 2, VIEWERS - UNITS + 1)
    assert result.checked["orders"] == 1
    assert result.checked["log_events"] >= 4


def test_a_planted_oversell_is_found(run: Run) -> None:
    """One more unit than there was is told to somebody, and the books know of her hold as if that were all right."""
    one = next(record for record in run.records if isinstance(record, RefusedTo))
    told = Answered(one.at_us, one.viewer, one.rid, "held", 99, ((run.deal, 1),))
    records = [told if record is one else record for record in run.records]
    given = next(iter(run.books.holds.values()))
    hold = replace(given, viewer_id=one.viewer, rid=one.rid, state="held", ticket=99)
    holds = run.books.holds | {(one.viewer, one.rid): hold}

    result = run.judged(records, replace(run.books, holds=holds))

    assert result.counts["oversold"] == 1
    assert result.breaches[0].kind == "oversold"
    assert f"{UNITS} were ever allotted" in result.breaches[0].sentence
    assert any(f"{one.viewer}/{one.rid}: 1 × {run.deal} told" in line for line in result.breaches[0].history)


def test_a_planted_lost_event_is_found(run: Run) -> None:
    """The last event never reached one of them."""
    place = next(place for place, each in enumerate(run.records) if isinstance(each, Segment) and each.closed == -1)
    stretch: Any = run.records[place]
    records = list(run.records)
    records[place] = replace(stretch, to_offset=stretch.to_offset - 1)

    result = run.judged(records)

    (breach,) = result.breaches
    last = stretch.to_offset
    assert breach.kind == "lost_state_events"
    assert breach.sentence.startswith(f"{stretch.viewer} was in to the end and never got events {last} to {last}")


def test_a_planted_late_answer_is_found(run: Run) -> None:
    place = next(place for place, each in enumerate(run.records) if isinstance(each, RefusedTo))
    answer: Any = run.records[place]
    records = list(run.records)
    records[place] = replace(answer, at_us=answer.at_us + PATIENCE_US)

    result = run.judged(records)

    (breach,) = result.breaches
    assert breach.kind == "late_answers"
    assert "20000.0 ms were allowed" in breach.sentence
    assert "asked: reserve" in breach.history[0]


def test_a_planted_double_effect_is_found(run: Run) -> None:
    key = next(key for key, moved in run.books.movements.items() if key[0] and moved)
    doubled = replace(run.books, movements=run.books.movements | {key: run.books.movements[key] * 2})

    assert run.judged(books=doubled).counts["double_effects"] >= 1


def test_a_run_is_judged_alike_from_its_files(run: Run) -> None:
    stream = b"".join(map(encode, run.records))

    assert run.judged(list(read(stream)), books_from(run.kept)) == run.judged()
