"""The offers of one room in this process: moments are noted as they happen, and answered together, off the hot path.

    sold out · given back · paid · about to close ──note──► queue ──many at a time──► decide ► one write ► tell each

What arrives: moments (a few words each) and what became of earlier offers. What leaves: `OfferMade` to single viewers.
The answer "sold out" never waits for this. Rules, goods and counters are read at most once for all who wait, and kept
for a moment; the options are worked out once per (moment, deals); what differs between people comes from their own
passes and from what this process saw them buy. Whatever the crowd, one write per `PASS_MAX` offers and a quarter of
the core. Where the ledger is away, nothing is offered. It decides nothing: `shows/offers.py` does.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import structlog

from livecommerce.errors import Refused
from livecommerce.gateway.measures import OFFERS
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import CounterFacts, Hold, OfferFacts, OfferMoment, OrderFacts
from livecommerce.protocol.to_viewer import OfferMade
from livecommerce.reservations.states import State
from livecommerce.shows.offer_books import Made, Mark, OfferBooks, offer_id_of
from livecommerce.shows.offers import HOUSE, Goods, OfferRule, Option, Person, Scene, choose, offer_facts, options_of

if TYPE_CHECKING:
    from livecommerce.gateway.hall import Hall
    from livecommerce.gateway.hub import Hub
    from livecommerce.reservations.batcher import Tell

log = structlog.get_logger(__name__)
K = TypeVar("K")
V = TypeVar("V")

PASS_MAX = 500  # moments answered in one pass, with one write
WAITING_MAX = 5000  # moments noted and not answered; more are let go: an offer that comes late is none
MARKS_MAX = 5000
REST_SHARE = 3.0  # a pass that took t is followed by 3 t of rest where more are waiting
RULES_SECONDS = 5.0  # how old rules may be
COUNTERS_SECONDS = 2.0  # how old a counter's number may be
CLOSING_SECONDS = 60  # before its closing a deal is "about to close"
SEEN_MAX = 20_000
GIVEN_MAX = 50_000
BUYERS_MAX = 20_000

# The ends of a hold that are a moment.
ENDS = frozenset((State.RELEASED, State.EXPIRED, State.CONFIRMED))


@dataclass(frozen=True, slots=True)
class _Moment:
    moment: OfferMoment
    viewer_id: str
    about: tuple[str, ...]


class OfferDesk:
    """One per room and process. Noting costs a look into a dict; everything else happens in a task of its own."""

    def __init__(self, hub: "Hub", hall: "Hall") -> None:
        self._hub = hub
        self._hall = hall
        self._waiting: deque[_Moment] = deque()
        self._marks: deque[Mark] = deque(maxlen=MARKS_MAX)
        self._working = False
        self._seen: OrderedDict[tuple[str, str, str], None] = OrderedDict()  # (moment, viewer, deal or rid)
        self._given: OrderedDict[tuple[str, str], int] = OrderedDict()  # (viewer, rule) → how often
        self._bought: OrderedDict[str, frozenset[str]] = OrderedDict()  # viewer → deals that are hers
        self._closing_told: set[tuple[str, int]] = set()
        self._rules: tuple[float, tuple[OfferRule, ...]] = (float("-inf"), ())
        self._goods: tuple[frozenset[str], dict[str, Goods]] = (frozenset(), {})
        self._counters: dict[str, tuple[float, dict[str, CounterFacts]]] = {}  # variant → when read, by shop

    @property
    def _books(self) -> OfferBooks | None:
        return self._hub.offer_books

    # --- noting; nothing here waits -----------------------------------------------------------------------------------

    def sold_out(self, viewer_id: str, refused: Refused) -> None:
        """She was told "sold out"; once per deal is enough."""
        deal_id = str(refused.facts.get("deal_id", ""))
        self._note("sold_out", viewer_id, (deal_id,), deal_id)

    def hold_ended(self, viewer_id: str, hold: Hold) -> None:
        """A hold of somebody who sits here came to one of `ENDS`."""
        about = tuple(line.deal_id for line in hold.lines)
        if hold.state == "confirmed":
            self._bought_too(viewer_id, about)
            self._note("paid", viewer_id, about, hold.rid)
        else:
            self._note("released", viewer_id, about, hold.rid)

    def knows(self, viewer: ViewerIdentity | None, orders: Iterable[OrderFacts]) -> None:
        """She came in with these orders."""
        about = tuple(line.deal_id for order in orders if order.status == "confirmed" for line in order.lines)
        if viewer is not None and about:
            self._bought_too(viewer.viewer_id, about)

    def second(self) -> None:
        """Once a second: which deals are about to close, for those here who have bought."""
        if self._books is None or not self._bought:
            return
        now_ms = self._hub.clock.now_ms()
        for deal_id, (_, deal) in self._hall.room.shelf.deals.items():
            closes = deal.closes_at_ms
            if deal.status != "open" or closes is None or not 0 < closes - now_ms <= CLOSING_SECONDS * 1000:
                continue
            if (deal_id, closes) not in self._closing_told:
                self._closing_told.add((deal_id, closes))
                for viewer_id in self._bought:
                    if self._hall.sockets_of(viewer_id):
                        self._note("closing_soon", viewer_id, (deal_id,), deal_id)

    def mark(self, viewer_id: str, offer_id: str, did: Literal["shown", "dismissed", "noted"]) -> None:
        """What her page says became of an offer."""
        self._mark(Mark(offer_id, viewer_id, did))

    def counting_taken(
        self, tell: "Tell[Hold]", viewer_id: str, offer_id: str, rid: str, lines: Sequence[tuple[str, int]]
    ) -> "Tell[Hold]":
        """`tell`, and the offer is counted as taken if the reservation that names it comes through."""
        deal_ids = tuple(deal_id for deal_id, _ in lines)

        def count(hold: Hold | None, error: Exception | None, version: int) -> None:
            tell(hold, error, version)
            if hold is not None:
                self._mark(Mark(offer_id, viewer_id, "taken", rid, deal_ids))

        return count

    def _note(self, moment: OfferMoment, viewer_id: str, about: tuple[str, ...], once: str) -> None:
        key = (moment, viewer_id, once)
        if self._books is None or key in self._seen:
            return
        if len(self._waiting) >= WAITING_MAX:
            OFFERS.labels("let_go").inc()
            return
        _keep(self._seen, key, None, SEEN_MAX)
        self._waiting.append(_Moment(moment, viewer_id, about))
        self._begin()

    def _mark(self, mark: Mark) -> None:
        if self._books is not None:
            self._marks.append(mark)
            self._begin()

    def _begin(self) -> None:
        if not self._working:
            self._working = True
            self._hub.in_background(self._work())

    def _bought_too(self, viewer_id: str, deal_ids: Iterable[str]) -> None:
        _keep(self._bought, viewer_id, self._bought.get(viewer_id, frozenset()).union(deal_ids), BUYERS_MAX)

    # --- answering ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        clock = self._hub.clock
        try:
            await asyncio.sleep(0)  # the answers go out first, and who is told at the same moment comes along
            while self._waiting or self._marks:
                started = clock.monotonic()
                await self._pass()
                if self._waiting and (took := clock.monotonic() - started) > 0:
                    await clock.sleep(REST_SHARE * took)
        finally:
            self._working = False

    async def _pass(self) -> None:
        """One batch of moments to its end. What the ledger cannot take now is let go."""
        assert self._books is not None
        moments = [self._waiting.popleft() for _ in range(min(PASS_MAX, len(self._waiting)))]
        marks = [self._marks.popleft() for _ in range(min(PASS_MAX, len(self._marks)))]
        try:
            offers = await self._decide(moments) if moments else []
            made = [row for row, _ in offers]
            new = await self._books.keep(self._hall.show_id, made, marks) if made or marks else set[str]()
        except Refused as refused:
            log.info("offers_let_go", show_id=self._hall.show_id, count=len(moments), why=refused.why.value.word)
            OFFERS.labels("let_go").inc(len(moments))
            return
        for row, facts in offers:
            if row.rule_id != HOUSE:
                key = (row.viewer_id, row.rule_id)
                _keep(self._given, key, self._given.get(key, 0) + 1, GIVEN_MAX)
            if row.offer_id in new:
                self._tell(row.viewer_id, facts)
        OFFERS.labels("made").inc(len(new))
        OFFERS.labels("nothing").inc(len(moments) - len(offers))

    async def _decide(self, moments: Sequence[_Moment]) -> list[tuple[Made, OfferFacts]]:
        rules = await self._rules_now()
        scene = await self._scene()
        await self._read_counters({each.about[0] for each in moments if each.moment == "sold_out"}, scene)
        # Nothing waits from here on: everybody in this pass is decided on the same numbers.
        options: dict[tuple[OfferMoment, tuple[str, ...]], tuple[Option, ...]] = {}
        offers: dict[str, tuple[Made, OfferFacts]] = {}
        for each in moments:
            key = (each.moment, each.about)
            if key not in options:
                options[key] = options_of(each.moment, each.about, rules, scene)
            if options[key] and (offer := self._offer(each, options[key], scene)) is not None:
                offers[offer[0].offer_id] = offer
        return list(offers.values())

    def _offer(self, each: _Moment, options: Sequence[Option], scene: Scene) -> tuple[Made, OfferFacts] | None:
        sockets = self._hall.sockets_of(each.viewer_id)
        if not sockets or sockets[0].identity is None:
            return None
        given = {option.rule_id: self._given.get((each.viewer_id, option.rule_id), 0) for option in options}
        _, deal = scene.deals[each.about[0]]
        counter = self._counters.get(deal.variant_id, (0.0, {}))[1].get(sockets[0].identity.shop_id)
        person = Person(self._bought.get(each.viewer_id, frozenset()), given, counter)
        option = choose(options, person)
        if option is None:
            return None
        reason, nth = option.reason(each.moment, each.about), str(given[option.rule_id])
        offer_id = offer_id_of(self._hall.show_id, each.viewer_id, reason, nth)
        facts = offer_facts(offer_id, each.moment, each.about, option, person)
        row = Made(offer_id, each.viewer_id, option.rule_id, each.moment, option.kind, each.about[0], option.deal_ids)
        return row, facts

    def _tell(self, viewer_id: str, facts: OfferFacts) -> None:
        for socket in self._hall.sockets_of(viewer_id):
            socket.tell(OfferMade(facts))

    # --- read once for all --------------------------------------------------------------------------------------------

    async def _rules_now(self) -> tuple[OfferRule, ...]:
        assert self._books is not None
        read_at, rules = self._rules
        if (now := self._hub.clock.monotonic()) - read_at >= RULES_SECONDS:
            rules = await self._books.rules(self._hall.show_id)
            self._rules = (now, rules)
        return rules

    async def _scene(self) -> Scene:
        assert self._books is not None
        room = self._hall.room
        if self._goods[0] != (deals := frozenset(room.shelf.deals)):
            self._goods = (deals, await self._books.goods(self._hall.show_id))
        return Scene(room.shelf.deals, room.levels, self._goods[1], self._hub.clock.now_ms())

    async def _read_counters(self, deal_ids: Iterable[str], scene: Scene) -> None:
        assert self._books is not None
        now = self._hub.clock.monotonic()
        wanted = {scene.deals[deal_id][1].variant_id for deal_id in deal_ids if deal_id in scene.deals}
        old = {each for each in wanted if now - self._counters.get(each, (float("-inf"), {}))[0] >= COUNTERS_SECONDS}
        if not old:
            return
        found = await self._books.counters(old)
        for variant_id in old:
            of_variant = {shop: counter for (variant, shop), counter in found.items() if variant == variant_id}
            self._counters[variant_id] = (now, of_variant)


def _keep(memory: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)
