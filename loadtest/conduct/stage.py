"""The verbs a scenario is written in.

What arrives: a scenario's calls. What leaves: orders to the crowd, commands of the host, faults of the server, and a
sentence of each to whoever watches. Whatever arrives openly (cards, chat, taps, cuts) has its instants planned before
it begins and counts from them, however late something is. It judges nothing and writes nothing.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from livecommerce.client.socket import DELAY_SECONDS_MAX
from livecommerce.errors import Refused
from livecommerce.protocol.facts import CardShown, CornerName
from loadtest.conduct.conductor import BrokenOff, Conductor
from loadtest.conduct.facts import OF_THE_RUN, Place, derive
from loadtest.conduct.own_server import OwnServer, ServerFailed
from loadtest.conduct.target import CardHandle, ShowHandle, Target, Witness
from loadtest.crowd import arrivals
from loadtest.generate.lines import OPEN_SECONDS_MAX, WELCOME_SECONDS_MAX
from loadtest.marks import marked, planned_us_of
from loadtest.measure.histogram import Histogram
from loadtest.measure.suspect import UNSENT_SHARE_MAX, crowd_short_share, is_conclusive, suspect
from loadtest.measure.tally import Totals
from loadtest.measure.thresholds import Threshold, judge
from loadtest.orders import After, Chat, Cut, Join, Leave, Rush, Sampled, Tap
from loadtest.result import Phase, SampleRow, Stop
from loadtest.scenario import Value

Say = Callable[[str], None]
T = TypeVar("T")

# From an order to its first instant: the order reaches every generator before it.
LEAD_US = 300_000
LATE_US = 10_000
# Beyond its own planned length an order may take so long: a server under load.
ORDER_GRACE_SECONDS = 60.0
# The longest that one try to come in may take, with the pause before it.
TRY_SECONDS_MAX = OPEN_SECONDS_MAX + WELCOME_SECONDS_MAX + DELAY_SECONDS_MAX
# A card is shown again after at least so long: between two shows of one card its line must be written anew.
_LANE_SECONDS = 0.25
_CARD_LINE = "Velvet matte, eight hours"
QUIET_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Slow:
    """How slowly a viewer reads. The small receive buffer matters: else the kernel reads on her behalf."""

    bytes_per_second: int = 1024
    receive_buffer_bytes: int = 4096


@dataclass(slots=True)
class Window:
    """What was measured between its beginning and its end. `rows` are the seconds that ended in it."""

    from_us: int
    totals: Totals = field(default_factory=Totals)
    rows: list[SampleRow] = field(default_factory=list)
    to_us: int = 0
    cards: int = 0  # shown in it, with their marks
    tap_seconds: float = 0.0
    loaded_from_us: int | None = None  # the first card, tap or line of chat in it

    @property
    def seconds(self) -> float:
        return (self.to_us - self.from_us) / 1e6

    def facts(self) -> dict[str, float]:
        """What thresholds may name of a stretch by itself."""
        late = self.totals.histograms.get("late")
        return derive(
            counters=self.totals.counters,
            rows=self.rows,
            sends=late.count if late is not None else 0,
            expected=self.cards * round(max((row.gauges.get("in", 0.0) for row in self.rows), default=0.0)),
            tap_seconds=self.tap_seconds,
            check=None,
        )


def judged_from_us(thresholds: Sequence[Threshold], loaded_from_us: int | None, from_us: int = 0) -> int:
    """From when on the generators are judged: from the first card, tap or line of chat on. Entries are bursts of work
    on both sides; where it is them that thresholds are about, nothing is left out."""
    if loaded_from_us is None or any(threshold.name.startswith("join_") for threshold in thresholds):
        return from_us
    return loaded_from_us


class Stage:
    """One per run. Every verb returns once what it stands for is over, and raises `BrokenOff` where it cannot be done.
    Cancelling one leaves what was ordered to go on to its planned end."""

    def __init__(
        self,
        conductor: Conductor,
        target: Target,
        values: dict[str, Value],
        *,
        server: OwnServer | None,
        thresholds: Sequence[Threshold],
        asked: Collection[str],
        seed: int,
        patience_seconds: float,
        portable: bool,
        pass_minutes: int,
        say: Say,
        on_phase: Callable[[str, float | None], None],
    ) -> None:
        self.values = values
        self.target = target
        self.thresholds = tuple(thresholds)
        self._asked = frozenset(asked)
        self.findings: dict[str, Any] = {}
        self.facts: dict[str, float] = {}
        self.judged: Window | None = None  # where a scenario says so, thresholds are judged by this window alone
        self.cuts_expected = False
        self.handle: ShowHandle | None = None
        self.witness: Witness | None = None
        self.joins_planned = 0
        self.tap_seconds = 0.0
        self.loaded_from_us: int | None = None  # the first card, tap or line of chat
        self._on_air = ""
        self._conductor = conductor
        self._server = server
        self._seed = seed
        self._patience_seconds = patience_seconds
        self._portable = portable
        self._pass_minutes = pass_minutes
        self._settled = 0  # who came in or failed to, as the generators told
        self._say = say
        self._on_phase = on_phase
        self._phases: list[tuple[str, int]] = []
        self._late = Histogram()
        self._late_sends = 0
        self._windows: list[Window] = []

    # --- what a scenario asks -----------------------------------------------------------------------------------------

    def number(self, name: str) -> float:
        return float(self.values[name])

    def whole(self, name: str) -> int:
        return int(self.values[name])

    def text(self, name: str) -> str:
        return str(self.values[name])

    @property
    def owns_server(self) -> bool:
        """True where the server is the run's own and may be killed."""
        return self._server is not None

    @property
    def generators(self) -> int:
        return len(self._conductor.members)

    @property
    def show_handle(self) -> ShowHandle:
        assert self.handle is not None, "a scenario begins with `await stage.show(…)`"
        return self.handle

    def number_of(self, card_id: str) -> int:
        """Which card of the rundown it is, from 1."""
        return [card.card_id for card in self.show_handle.cards].index(card_id) + 1

    def deal_ids(self) -> tuple[str, ...]:
        """All deals of the show, in the order of its cards."""
        return tuple(deal_id for card in self.show_handle.cards for deal_id in card.deal_ids)

    def say(self, text: str) -> None:
        self._say(text)

    # --- the show -----------------------------------------------------------------------------------------------------

    async def show(
        self,
        title: str = "Rehearsal",
        *,
        cards: int = 2,
        deals: int = 1,
        quota: int = 10_000,
        hold_seconds: int = 120,
        limit: int = 1,
        corner: CornerName = "open_house",
    ) -> ShowHandle:
        """A show of its own on air, `cards` cards with `deals` deals of `quota` units each, nothing shown yet; and the
        generators know where it is. Once per run."""
        assert self.handle is None, "a run plays one show"
        handle = await self.target.create_show(
            title, corner=corner, cards=cards, deals_per_card=deals, quota=quota, hold_seconds=hold_seconds, limit=limit
        )
        await self._allowed(self.target.go_live(handle.show_id))
        await self.play_on(handle)
        return handle

    async def play_on(self, handle: ShowHandle) -> None:
        """Play on a show that is on air already."""
        self.handle = handle
        (own_pass,) = await self.target.passes(handle.show_id, 1, self._pass_minutes, "Witness")
        self.witness = await self.target.witness(handle.show_id, own_pass).__aenter__()
        self._say("The show is on air. The generators get ready …")
        await self._conductor.prepare(
            self.target.url,
            handle.show_id,
            seed=self._seed,
            patience_seconds=self._patience_seconds,
            portable=self._portable,
        )

    async def command(self, **command: Any) -> None:
        """A command of the host; a server that is being restarted is waited for. Raises `BrokenOff`."""
        await self._allowed(self.target.command(self.show_handle.show_id, **command))

    async def open_deal(self, deal_id: str, *, in_seconds: int = 0, for_seconds: int | None = None) -> None:
        await self.command(do="open_deal", deal_id=deal_id, in_seconds=in_seconds, for_seconds=for_seconds)

    async def open_deals(self) -> None:
        """Open every deal of the show now, and return once the room was told."""
        for deal_id in self.deal_ids():
            await self.open_deal(deal_id)
        if self.witness is not None:
            await self.witness.until_deals(self.deal_ids(), "open")
        self._say(f"{len(self.deal_ids())} deals are open.")

    async def close_deal(self, deal_id: str) -> None:
        await self.command(do="close_deal", deal_id=deal_id)

    async def cards(
        self,
        per_second: float,
        seconds: float,
        *,
        kind: Literal["even", "poisson"] = "even",
        on: Sequence[CardHandle] | None = None,
    ) -> int:
        """Cards at an open rate; how many. Each one's line is marked ahead with its planned instant, then it is shown
        at this instant, and every viewer's delivery counts from it, however late the command got through. It takes
        turns between the show's cards."""
        self._begins(seconds)
        table = self._table(on or self.show_handle.cards)
        start_us = self.soon_us()
        instants = [start_us + round(offset * 1e6) for offset in self._arrivals(kind, per_second, seconds)]
        lanes = min(len(table), len(instants), max(2, math.ceil(per_second * _LANE_SECONDS)))
        self._say(f"{len(instants)} cards, {per_second:g} a second.")
        shown = [asyncio.Event() for _ in instants]
        async with asyncio.TaskGroup() as group:
            for lane in range(lanes):
                group.create_task(self._lane(table[lane], lane, lanes, instants, shown))
        return len(instants)

    def _table(self, cards: Sequence[CardHandle]) -> list[CardHandle]:
        """The cards in turn, beginning after the one on the picture: to show that one again would be no event."""
        table = list(cards)
        last = next((place for place, card in enumerate(table) if card.card_id == self._on_air), -1)
        return table[last + 1 :] + table[: last + 1]

    async def _lane(
        self, card: CardHandle, lane: int, lanes: int, instants: Sequence[int], shown: Sequence[asyncio.Event]
    ) -> None:
        """One card, again and again. Its line may only change once it was shown, so a lane goes one after the other;
        where the server is slow, a lane falls behind its plan, and the deliveries count from the plan."""
        for number in range(lane, len(instants), lanes):
            another = number - lanes + 1
            if number >= lanes > 1:
                await shown[another].wait()  # else the card might still be on the picture from its own last turn
            await self.show_card(card.card_id, at_us=instants[number])
            shown[number].set()

    async def show_card(self, card_id: str, *, at_us: int | None = None, open_in_seconds: int | None = None) -> int:
        """A card on the picture at its planned instant, marked with it ahead; its deals that are drafts open with it,
        or so much later. The instant, of the run's clock."""
        self._begins()
        planned_us = at_us if at_us is not None else self.soon_us()
        if self._on_air == card_id:
            await self.command(do="hide_card", card_id=card_id)
        line = marked(_CARD_LINE, planned_us)
        await self._allowed(self.target.set_line(self.show_handle.show_id, card_id, line))
        # Where the server took so long over the line, the delivery tells; late is only what we are late by ourselves.
        free_us = max(planned_us, self._conductor.now_us())
        await self._conductor.sleep_until(planned_us)
        self._count_late(free_us)
        await self.command(do="show_card", card_id=card_id, open_in_seconds=open_in_seconds)
        for window in self._windows:
            window.cards += 1
        self._on_air = card_id
        return planned_us

    # --- the crowd ----------------------------------------------------------------------------------------------------

    async def join(
        self,
        count: int,
        per_second: float,
        *,
        group: str = "all",
        slow: Slow | None = None,
        arrivals: Literal["even", "poisson"] = "even",
        device: Literal["phone", "desk"] = "phone",
        tries_max: int = 3,
    ) -> None:
        """So many viewers come in at an open rate. Who fails stays in the denominator: it is counted, not replaced. Who
        is neither in nor refused once every try should be over has failed too (`join_failed.unsettled`)."""
        if self.joins_planned + count > self.viewers_max:
            raise BrokenOff(
                f"{self.joins_planned + count:,} viewers are more than the generators may hold: {self.viewers_max:,}, "
                "by the descriptors of the one that has the fewest. Raise `ulimit -n` there, or use more hosts."
            )
        passes = await self.target.passes(self.show_handle.show_id, count, self._pass_minutes)
        self.joins_planned += count
        how = f", reading {slow.bytes_per_second} bytes a second" if slow else ""
        self._say(f"{count:,} viewers come in, {per_second:g} a second{how}.")
        start_us = self.soon_us() + count * 20  # passes are long: more of them travel longer

        def part(order_id: int, index: int, of: int) -> Join:
            return Join(
                order_id,
                group,
                tuple(passes[index::of]),
                # Every generator's stream is its share of the even stream of all.
                start_us + (round(index / per_second * 1e6) if arrivals == "even" else 0),
                per_second / of,
                arrivals,
                device,
                slow.bytes_per_second if slow else 0,
                slow.receive_buffer_bytes if slow else 0,
                tries_max,
            )

        if not await self._conductor.tried(
            part, count / per_second + ORDER_GRACE_SECONDS + tries_max * TRY_SECONDS_MAX
        ):
            unsettled = max(0, self.joins_planned - self._settled)
            self._say(f"{unsettled:,} viewers are neither in nor refused after all their tries: they count as failed.")
            self._settled += unsettled
            failed = {"join_failed": unsettled, "join_failed.unsettled": unsettled}
            self._conductor.note(Sampled(self._conductor.now_us(), failed, {}, {}))

    @property
    def viewers_max(self) -> int:
        """How many viewers the generators may hold together."""
        return self._conductor.viewers_max()

    def _begins(self, seconds: float = 0.0) -> None:
        """An open load of so many seconds begins now. Raises `BrokenOff` where the viewers' passes end before it."""
        now_us = self._conductor.now_us()
        if self.loaded_from_us is None:
            self.loaded_from_us = now_us
        for window in self._windows:
            window.loaded_from_us = window.loaded_from_us or now_us
        if now_us / 1e6 + seconds > self._pass_minutes * 60:
            raise BrokenOff(
                f"The viewers' passes are good for {self._pass_minutes} minutes from the run's beginning, and this "
                "would take longer."
            )

    async def chat(
        self,
        per_second: float,
        seconds: float,
        *,
        group: str = "all",
        question_share: float = 0.0,
        arrivals: Literal["even", "poisson"] = "poisson",
    ) -> None:
        """Lines of chat at an open rate, each by a viewer drawn."""
        if per_second <= 0:
            return
        self._begins(seconds)
        at_us = self.soon_us()
        self._say(f"Chat: {per_second:g} lines a second for {seconds:g} s.")
        await self._conductor.order(
            lambda order_id, index, of: Chat(order_id, group, at_us, seconds, per_second, question_share, arrivals),
            seconds + ORDER_GRACE_SECONDS,
        )

    async def tap(
        self,
        per_second: float,
        seconds: float,
        *,
        deal_ids: Sequence[str] | None = None,
        group: str = "all",
        qty: int = 1,
        release_after_ms: int | None = None,
        arrivals: Literal["even", "poisson"] = "even",
    ) -> None:
        """Reservations at an open rate, by one viewer after the other."""
        self._begins(seconds)
        deals = tuple(deal_ids or self.deal_ids())
        at_us = self.soon_us()
        self.tap_seconds += seconds
        for window in self._windows:
            window.tap_seconds += seconds
        self._say(f"Taps: {per_second:g} a second for {seconds:g} s, on {len(deals)} deals.")
        await self._conductor.order(
            lambda order_id, index, of: Tap(
                order_id, group, at_us, seconds, per_second, deals, qty, release_after_ms, arrivals
            ),
            seconds + ORDER_GRACE_SECONDS,
        )

    async def rush(
        self,
        deal_ids: Sequence[str],
        *,
        group: str = "all",
        share: float = 1.0,
        reaction_median_ms: float = 900.0,
        reaction_sigma: float = 0.5,
        qty: int = 1,
        wait: bool = False,
        after: After | None = None,
        at_us: int | None = None,
    ) -> None:
        """Arm the group: `share` of it tap once a deal opens, or at `at_us`. Returns when they are armed."""
        self._say(f"{share:.0%} of the viewers will tap at the opening.")
        deals = tuple(deal_ids)
        await self._conductor.order(
            lambda order_id, index, of: Rush(
                order_id, group, deals, share, reaction_median_ms, reaction_sigma, qty, wait, after or After(), at_us
            ),
            ORDER_GRACE_SECONDS,
        )

    async def cut(
        self,
        *,
        group: str = "all",
        per_second: float = 0.0,
        seconds: float = 0.0,
        away_ms: tuple[int, int] = (0, 0),
    ) -> None:
        """Lines break, without a goodbye: at an open rate, or all at once where `per_second` is 0."""
        self.cuts_expected = True
        at_us = self.soon_us()
        self._say(f"Lines break: {per_second:g} a second." if per_second else "All lines break at once.")
        await self._conductor.order(
            lambda order_id, index, of: Cut(order_id, group, at_us, seconds, per_second, away_ms),
            seconds + ORDER_GRACE_SECONDS,
        )

    async def leave(self, group: str = "all") -> None:
        at_us = self._conductor.now_us()
        await self._conductor.order(lambda order_id, index, of: Leave(order_id, group, at_us), ORDER_GRACE_SECONDS)

    # --- faults of our own server -------------------------------------------------------------------------------------

    async def restart_web(self) -> None:
        """Replace every web process, one after the other, and the worker, as a deploy does."""
        server = self._own_server("its web processes can be replaced")
        self.cuts_expected = True
        self._say("Deploy: every web process is replaced, one after the other.")
        count = await self._of_server(server.restart_web())
        self._say(f"{count} web processes were replaced.")

    async def kill_web(self) -> None:
        """One web process dies, and all its lines with it; another is started in its place."""
        server = self._own_server("a web process can be killed")
        self.cuts_expected = True
        self._say("A web process is killed.")
        pid = await self._of_server(server.kill("web"))
        await self._of_server(server.until_back("web", pid))
        self._say("Another web process is there.")

    async def cut_redis(self, seconds: float = 0.0) -> None:
        """Redis dies and comes back with what it had written down; with `seconds` it is first frozen for so long, as a
        machine is that does not answer any more."""
        server = self._own_server("its Redis can be killed")
        if seconds > 0:
            self._say(f"Redis does not answer for {seconds:g} s.")
            await self._of_server(server.stall("redis", seconds))
        self._say("Redis is killed.")
        pid = await self._of_server(server.kill("redis"))
        await self._of_server(server.until_back("redis", pid))
        self._say("Redis is back.")

    def _own_server(self, what: str) -> OwnServer:
        if self._server is None:
            raise BrokenOff(f"Only where the run starts its own server {what}: leave --target out.")
        return self._server

    async def _of_server(self, doing: Awaitable[Any]) -> Any:
        try:
            return await doing
        except ServerFailed as failed:
            raise BrokenOff(str(failed)) from None

    # --- time ---------------------------------------------------------------------------------------------------------

    async def phase(self, name: str, seconds: float | None = None) -> None:
        """A new stretch of the run begins, the one before ends. `seconds` is what it is planned to take."""
        self._phases.append((name, self._conductor.now_us()))
        self._on_phase(name, seconds)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def soon_us(self) -> int:
        """The nearest instant of the run's clock that an order or a marked card can still be planned for."""
        return self._conductor.now_us() + LEAD_US

    async def until(self, at_us: int) -> None:
        """Return at that instant of the run's clock."""
        await self._conductor.sleep_until(at_us)

    async def together(self, *verbs: Awaitable[Any]) -> None:
        """Several verbs at the same time, until all are over. The first that fails ends the others."""
        async with asyncio.TaskGroup() as group:
            for verb in verbs:
                group.create_task(_awaited(verb))

    @contextlib.asynccontextmanager
    async def window(self) -> AsyncIterator[Window]:
        """Measure a stretch by itself. It waits for the second that is under way at its beginning and at its end, so
        that what generators tell once a second falls on its own side."""
        await asyncio.sleep(1.1)
        window = Window(self._conductor.now_us())
        self._windows.append(window)
        try:
            yield window
            await asyncio.sleep(1.3)
        finally:
            window.to_us = self._conductor.now_us()
            self._windows.remove(window)

    def suspect(self, window: Window) -> Stop:
        """Which part held this stretch back."""
        health = self._conductor.health(window.loaded_from_us or window.from_us, window.to_us)
        return suspect(window.rows, health, this_machine=self.owns_server)

    def doubts(self, window: Window) -> list[str]:
        """Why this stretch says nothing about the server, in sentences; none where it does."""
        from_us = judged_from_us(self.thresholds, window.loaded_from_us, window.from_us)
        rows = [row for row in window.rows if row.until_us > from_us]
        return is_conclusive(self._conductor.health(from_us, window.to_us), rows, window.rows)[1]

    def crowd_is_too_small(self, window: Window) -> bool:
        """True where taps or chat of this stretch were not sent, and it was not the server that held up who could."""
        return crowd_short_share(window.rows) > UNSENT_SHARE_MAX

    def leave_out(self, *names: str) -> None:
        """Thresholds of the scenario's own on what it does not do with these parameters; the caller's stay."""
        self.thresholds = tuple(
            threshold for threshold in self.thresholds if threshold.name not in names or threshold.name in self._asked
        )

    async def aclose(self) -> None:
        """The witness leaves."""
        if self.witness is not None:
            await self.witness.aclose()

    def broken(self, window: Window) -> list[str]:
        """The run's thresholds that this stretch breaks, as they were written. What should have been measured in it and
        was not is broken; what only the whole run can tell is not asked here."""
        totals, facts = window.totals, window.facts()
        asked = [threshold for threshold in self.thresholds if threshold.name not in OF_THE_RUN]
        verdicts = [judge(threshold, totals.latencies(), totals.counters, facts) for threshold in asked]
        return [verdict.text for verdict in verdicts if not verdict.ok]

    async def finish(self) -> None:
        """Nothing further is sent; the show's last event is on its way to everybody. Returns once the witness, a
        viewer of our own, has heard nothing new for a moment."""
        await self.phase("settling")
        await self.quiet()

    async def quiet(self) -> None:
        """Return once no event has come for half a second."""
        if self.witness is None:
            return
        deadline = self._conductor.now_us() + int(QUIET_SECONDS_MAX * 1e6)
        before = self.witness.position
        while self._conductor.now_us() < deadline:
            await asyncio.sleep(0.5)
            if self.witness.position == before:
                return
            before = self.witness.position

    # --- what the run reads -------------------------------------------------------------------------------------------

    def heard_last(self) -> Place | None:
        """The place of the last event that the witness heard."""
        return self.witness.position if self.witness is not None and self.witness.position[0] else None

    def stock(self) -> dict[str, tuple[int, int, int, int, int]]:
        return self.witness.stock if self.witness is not None else {}

    def cards_heard(self, *, marked: bool) -> list[Place]:
        """The place of every card that the witness saw shown with a mark of this run, or without one."""
        if self.witness is None:
            return []
        return [
            (epoch, stamped.offset)
            for epoch, stamped in self.witness.events
            if isinstance(stamped.event, CardShown) and (planned_us_of(stamped.event.card.line) is not None) == marked
        ]

    def phases(self) -> tuple[Phase, ...]:
        ends = [*(at_us for _, at_us in self._phases[1:]), self._conductor.now_us()]
        return tuple(Phase(name, at_us, end_us) for (name, at_us), end_us in zip(self._phases, ends, strict=False))

    def hear(self, sampled: Sampled) -> None:
        """A generator's second, for the windows that are open."""
        self._settled += sampled.counters.get("joined", 0)
        if "join_failed.unsettled" not in sampled.counters:  # those are our own
            self._settled += sampled.counters.get("join_failed", 0)
        for window in self._windows:
            counters = dict(sampled.counters)
            if window.loaded_from_us is None or sampled.until_us <= window.loaded_from_us:
                # With her snapshot a newcomer gets cards from before: none of those that this stretch shows.
                counters.pop("state_received", None)
            window.totals.counters.update(counters)
            for name, encoded in sampled.histograms.items():
                window.totals.histograms.setdefault(name, Histogram()).merge_encoded(encoded)

    def see(self, row: SampleRow) -> None:
        for window in self._windows:
            window.rows.append(row)

    def take_own_sample(self) -> Sampled:
        """What the stage itself sent openly since the last time: cards."""
        late, self._late = self._late, Histogram()
        sends, self._late_sends = self._late_sends, 0
        histograms = {} if late.is_empty else {"late": late.encode()}
        return Sampled(self._conductor.now_us(), {"late_sends": sends} if sends else {}, {}, histograms)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _arrivals(self, kind: Literal["even", "poisson"], per_second: float, seconds: float) -> list[float]:
        if kind == "even":
            return list(arrivals.even(per_second, seconds))
        return list(arrivals.poisson(arrivals.seeded(self._seed, "cards"), per_second, seconds))

    def _count_late(self, planned_us: int) -> None:
        late_us = max(0, self._conductor.now_us() - planned_us)
        self._late.record(late_us)
        self._late_sends += late_us > LATE_US

    async def _allowed(self, call: Awaitable[T]) -> T:
        """What the server says to its host. The target has asked again already where that could help."""
        try:
            return await call
        except Refused as refused:
            raise BrokenOff(f"The server refused its host: {refused.why.value.number} {refused.text}") from None


async def _awaited(verb: Awaitable[Any]) -> None:
    await verb
