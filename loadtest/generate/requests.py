"""What the viewers ask for, and what becomes of it: taps, holds, payments, lines of chat.

What arrives: planned moments to tap or speak, and every message that is one viewer's own. What leaves: requests on her
line, again under the same rid after a break; records of every word about them; latencies from the planned moment. Once
she holds something, her errand says what follows. It does not know why a moment was planned, or how lines come back.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple

import structlog

from livecommerce.errors import R, Refused
from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.facts import Hold, OrderFacts
from livecommerce.protocol.from_viewer import Accept, FromViewer, Release, Reserve, Say, WantLine
from livecommerce.protocol.to_viewer import Answer, AnyToViewer, Own, RefusedMessage, Said
from loadtest.crowd.behaviour import accepts_offer, decide_after_hold
from loadtest.generate.checkout import Begun, Checkout
from loadtest.generate.lines import Lines, Welcome
from loadtest.generate.link import RunClock
from loadtest.generate.measured import Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.viewer import Errand, Request, Verb, Viewer
from loadtest.records import Answered, Asked, Paid, RefusedTo, Told
from loadtest.wire.frames import masked

log = structlog.get_logger(__name__)

# After these whether it happened is not known: the same is asked again under the same rid, as a page does.
UNKNOWN_OUTCOME = frozenset(each.value.number for each in (R.BUSY, R.REBUILDING, R.UNAVAILABLE))
AGAIN_MS = 250  # where the refusal does not say
# What the server allows one socket: 1 line of chat a second and 5 at once. One less at once, because what we send
# evenly arrives unevenly.
SAY_EVERY_US, SAY_AT_ONCE = 1_000_000, 4
_LIVE = ("entered", "waiting", "offered", "held", "paying")
_UNPAID = ("declined", "expired", "cancelled", "refund_due", "refunded")  # how an order ends that was paid for in vain


class _Retry(NamedTuple):
    """A request between a refusal that is not final and its next try; `number` is the refusal's."""

    viewer: Viewer
    request: Request
    number: int


class _Payment(NamedTuple):
    """`since_us` is when the checkout was planned, then when "pay" was pressed."""

    viewer: Viewer
    since_us: int


class Requests:
    """Plays all viewers of a generator. `stop` ends new errands; what is unanswered then can still be waited for, until
    `end`. `on_free` is called with a viewer who may tap again."""

    def __init__(
        self,
        clock: RunClock,
        pacer: Pacer,
        measured: Measured,
        lines: Lines,
        checkout: Checkout,
        rng: random.Random,
        rid_prefix: str,
        patience_us: int,
    ) -> None:
        self.outstanding = 0  # sent and without final answer
        self.on_free: Callable[[Viewer], None] = _nothing
        self._clock, self._pacer, self._measured = clock, pacer, measured
        self._lines, self._checkout, self._rng = lines, checkout, rng
        self._rid_prefix = rid_prefix
        self._patience_us = patience_us
        self._numbered = 0
        self._stopped = False
        self._paying: set[asyncio.Task[None]] = set()
        self._retrying: dict[str, _Retry] = {}
        self._checkouts: dict[str, _Payment] = {}  # by rid: begun, no link yet
        self._pressed: dict[str, _Payment] = {}  # by order: what was paid and is not confirmed
        self._orders: dict[str, str] = {}

    @property
    def is_settled(self) -> bool:
        """Everything that was asked has its final answer, everything that was paid is confirmed."""
        return not (self.outstanding or self._paying or self._pressed)

    def stop(self) -> None:
        """From now on nobody taps or decides; what was asked is asked again until its outcome is known."""
        self._stopped = True

    async def end(self, viewers: Iterable[Viewer]) -> None:
        """Nothing is waited for any more: what has no outcome is counted, and timed at its age."""
        now_us = self._clock.now_us()
        for rid, retry in list(self._retrying.items()):
            del self._retrying[rid]
            self._refused_for_good(retry, rid, now_us)
        for viewer in viewers:
            for request in viewer.requests.values():
                self._count_unanswered(request, now_us)
        for rid in list(self._checkouts):
            self._checkout_failed(rid)
        for order_id in list(self._pressed):
            self._unconfirmed(order_id, now_us)
        await self._stop_paying()

    async def aclose(self) -> None:
        await self._stop_paying()
        await self._checkout.aclose()

    async def _stop_paying(self) -> None:
        for task in list(self._paying):
            task.cancel()
        await asyncio.gather(*self._paying, return_exceptions=True)

    def _count_unanswered(self, request: Request, now_us: int) -> None:
        if request.verb == "say":
            self._measured.count("chat_lost")
        elif request.sent:
            self._measured.count("unanswered")
            self._measured.time(request.verb, now_us - request.planned_us)
        elif request.verb == "reserve":
            self._measured.count("taps_skipped")

    # --- asking -----------------------------------------------------------------------------------------------------

    def tap(self, viewer: Viewer, errand: Errand) -> None:
        """Reserve. Where she is away it goes out when she is back, and counts from its plan all the same."""
        rid = self._new_rid()
        viewer.errands[rid] = errand
        lines = tuple(WantLine(deal_id, qty) for deal_id, qty in errand.lines)
        self._ask(viewer, rid, "reserve", Reserve(rid, lines, errand.wait), errand.planned_us, errand.lines)

    def say(self, viewer: Viewer, text: str, *, question: bool, planned_us: int) -> bool:
        """One line; false, and nothing sent, where she is not in or has said enough for now."""
        now_us = self._clock.now_us()
        if viewer.stage != "in" or viewer.leaving or not viewer.allowed_say.take(now_us, SAY_EVERY_US, SAY_AT_ONCE):
            return False
        cid = self._new_rid()
        self._ask(viewer, cid, "say", Say(cid, text, "question" if question else "chat"), planned_us)
        self._measured.counters["chat_sent"] += 1
        return True

    def _new_rid(self) -> str:
        self._numbered += 1
        return f"{self._rid_prefix}{self._numbered:08d}"

    def _ask(
        self,
        viewer: Viewer,
        rid: str,
        verb: Verb,
        message: FromViewer,
        planned_us: int,
        lines: tuple[tuple[str, int], ...] = (),
    ) -> None:
        request = Request(verb, masked(encode(message, MSGPACK)), planned_us, lines)
        viewer.requests[rid] = request
        if viewer.stage == "in":
            self._send(viewer, rid, request)

    def _send(self, viewer: Viewer, rid: str, request: Request) -> None:
        verb = request.verb
        if not request.sent:
            self.outstanding += 1
            if verb == "reserve":
                self._measured.counters["taps_sent"] += 1
        if verb != "say":
            self._measured.record(
                Asked(
                    self._clock.now_us(), viewer.viewer_id, rid, verb, request.lines, request.planned_us, request.sent
                )
            )
        request.sent = True
        self._lines.send(viewer, request.frame)

    def _again_later(self, viewer: Viewer, rid: str, retry: _Retry, after_ms: int | None) -> None:
        """The same rid once more in a moment: it stays outstanding, and its latency goes on."""
        wait_us = int((after_ms or AGAIN_MS) * 1000 * (0.5 + self._rng.random()))
        self._retrying[rid] = retry

        def again(_planned_us: int) -> None:
            if self._retrying.pop(rid, None) is None:
                return  # the end came before
            if viewer.stage == "gone":
                self._refused_for_good(retry, rid, self._clock.now_us())
                return
            viewer.requests[rid] = retry.request
            if viewer.stage == "in":
                self._send(viewer, rid, retry.request)

        self._pacer.at(self._clock.now_us() + wait_us, again)

    # --- hearing ----------------------------------------------------------------------------------------------------

    def on_message(self, viewer: Viewer, message: AnyToViewer, at_us: int) -> None:
        if isinstance(message, Answer):
            self._answered(viewer, message, at_us)
        elif isinstance(message, RefusedMessage):
            self._refused(viewer, message, at_us)
        elif isinstance(message, Own):
            if message.hold is not None:
                self._told(viewer, message.hold, at_us)
            if message.order is not None:
                self._heard_order(viewer, message.order, at_us)
        elif isinstance(message, Said):
            self._settle(viewer, message.cid, at_us)
        self._maybe_free(viewer)

    def on_welcome(self, viewer: Viewer, welcome: Welcome, at_us: int) -> None:
        """All that is hers is told whole; then what has no answer yet is asked again."""
        for hold in welcome.holds:
            self._told(viewer, hold, at_us)
        for order in welcome.orders:
            self._heard_order(viewer, order, at_us)
        if viewer.errands and not welcome.counting:
            theirs = {hold.rid for hold in welcome.holds}
            for rid in [rid for rid in viewer.errands if rid not in theirs and not self._is_open(viewer, rid)]:
                del viewer.errands[rid]  # it ended while she was away
        for rid, request in list(viewer.requests.items()):
            if request.sent and request.verb == "say":  # a line said twice is worse than one lost
                del viewer.requests[rid]
                self.outstanding -= 1
                self._measured.count("chat_lost")
            else:
                self._send(viewer, rid, request)
        self._maybe_free(viewer)

    def _maybe_free(self, viewer: Viewer) -> None:
        if viewer.can_tap and not viewer.is_in_turn:
            self.on_free(viewer)

    def _is_open(self, viewer: Viewer, rid: str) -> bool:
        """Something was asked under this rid that has no final answer."""
        return rid in viewer.requests or rid in self._retrying

    def _settle(self, viewer: Viewer, rid: str, at_us: int) -> None:
        """Its final answer came; nothing happens where none is waited for."""
        request = viewer.requests.pop(rid, None)
        if request is not None:
            self._time(request, at_us)

    def _time(self, request: Request, at_us: int) -> None:
        """From the plan to the outcome, however often it was asked until then."""
        self.outstanding -= 1
        latency_us = at_us - request.planned_us
        self._measured.time("said" if request.verb == "say" else request.verb, latency_us)
        if latency_us > self._patience_us and request.verb != "say":
            self._measured.count("late_answers")

    def _answered(self, viewer: Viewer, answer: Answer, at_us: int) -> None:
        hold = answer.hold
        counters = self._measured.counters
        counters["answers"] += 1
        counters["answers." + hold.state] += 1
        lines = tuple((line.deal_id, line.qty) for line in hold.lines)
        self._measured.record(
            Answered(at_us, viewer.viewer_id, answer.rid, hold.state, hold.ticket, lines, hold.due_at_ms or 0)
        )
        self._settle(viewer, answer.rid, at_us)
        self._follow(viewer, answer.rid, hold.state, at_us)

    def _refused(self, viewer: Viewer, refused: RefusedMessage, at_us: int) -> None:
        counters = self._measured.counters
        counters["refused"] += 1
        counters[f"refused.{refused.number}"] += 1
        rid = refused.re
        request = viewer.requests.pop(rid, None)
        if request is None:
            return
        if request.verb == "say":  # no receipt, so no latency of receipts
            self.outstanding -= 1
            return
        self._measured.record(RefusedTo(at_us, viewer.viewer_id, rid, refused.number))
        retry = _Retry(viewer, request, refused.number)
        patient = at_us - request.planned_us < self._patience_us
        if _may_help(refused.number, request.verb) and patient:
            self._again_later(viewer, rid, retry, refused.after_ms)
        else:
            self._refused_for_good(retry, rid, at_us)

    def _refused_for_good(self, refused: _Retry, rid: str, at_us: int) -> None:
        self._time(refused.request, at_us)
        if refused.request.verb == "reserve":
            self._measured.count(f"taps_refused.{refused.number}")
        refused.viewer.errands.pop(rid, None)

    def _told(self, viewer: Viewer, hold: Hold, at_us: int) -> None:
        lines = tuple((line.deal_id, line.qty) for line in hold.lines)
        self._measured.record(Told(at_us, viewer.viewer_id, hold.rid, hold.state, lines, hold.due_at_ms or 0))
        if not self._is_open(viewer, hold.rid):  # else its answer is still to come, and decides
            self._follow(viewer, hold.rid, hold.state, at_us)

    # --- what follows -----------------------------------------------------------------------------------------------

    def _follow(self, viewer: Viewer, rid: str, state: str, at_us: int) -> None:
        errand = viewer.errands.get(rid)
        if errand is None:
            return
        errand.state = state
        if state not in _LIVE:
            del viewer.errands[rid]
        elif state == "held":
            self._decide(viewer, rid, errand, at_us)
        elif state == "offered":
            self._consider_offer(viewer, rid, errand, at_us)

    def _decide(self, viewer: Viewer, rid: str, errand: Errand, at_us: int) -> None:
        """Once per hold, when she first hears that it is hers."""
        if errand.decided:
            return
        errand.decided = True
        if errand.release_after_us is not None:
            self._release_at(viewer, rid, at_us + errand.release_after_us)
        elif errand.after is not None:
            action, think_seconds = decide_after_hold(self._rng, errand.after)
            then_us = at_us + int(think_seconds * 1e6)
            if action == "release":
                self._release_at(viewer, rid, then_us)
            elif action == "pay":
                self._pacer.at(then_us, lambda planned_us: self._maybe_pay(viewer, rid, planned_us))

    def _consider_offer(self, viewer: Viewer, rid: str, errand: Errand, at_us: int) -> None:
        after = errand.after
        if after is None or not accepts_offer(self._rng, after):
            return
        _, think_seconds = decide_after_hold(self._rng, after)
        self._pacer.at(
            at_us + int(think_seconds * 1e6),
            lambda planned_us: self._maybe_ask(viewer, rid, "accept", Accept(rid), "offered", planned_us),
        )

    def _release_at(self, viewer: Viewer, rid: str, at_us: int) -> None:
        self._pacer.at(
            at_us, lambda planned_us: self._maybe_ask(viewer, rid, "release", Release(rid), "held", planned_us)
        )

    def _maybe_ask(
        self, viewer: Viewer, rid: str, verb: Verb, message: FromViewer, only_if: str, planned_us: int
    ) -> None:
        """Her plan, unless it ended meanwhile, or she did."""
        errand = viewer.errands.get(rid)
        if self._stopped or errand is None or errand.state != only_if or viewer.stage == "gone":
            return
        if not self._is_open(viewer, rid):
            self._ask(viewer, rid, verb, message, planned_us)

    # --- paying -----------------------------------------------------------------------------------------------------

    def _maybe_pay(self, viewer: Viewer, rid: str, planned_us: int) -> None:
        errand = viewer.errands.get(rid)
        if not self._stopped and errand is not None and errand.state == "held" and viewer.stage != "gone":
            self._measured.count("checkouts_planned")
            viewer.paying += 1
            self._checkouts[rid] = _Payment(viewer, planned_us)
            self._in_background(self._pay(viewer, rid, planned_us))

    async def _pay(self, viewer: Viewer, rid: str, planned_us: int) -> None:
        try:
            begun = await self._begin(viewer, rid, planned_us)
        except Exception:
            self._checkout_failed(rid)
            raise
        if begun is None:
            self._checkout_failed(rid)
            return
        del self._checkouts[rid]
        order = begun.order
        at_us = self._clock.now_us()
        self._measured.time("checkout", at_us - planned_us)
        self._measured.count("checkouts")
        if not begun.pay_url:
            viewer.paying -= 1
            self._heard_order(viewer, order, at_us)
            return
        self._pressed[order.order_id] = _Payment(viewer, at_us)
        self._measured.count("pays_pressed")
        self._heard_order(viewer, order, at_us)
        await self._patiently(lambda: self._checkout.press_pay(begun.pay_url), planned_us)

    def _checkout_failed(self, rid: str) -> None:
        """She gave up, or the run did: no link to pay by. It is timed at the age it had reached."""
        payment = self._checkouts.pop(rid)
        payment.viewer.paying -= 1
        self._measured.count("checkouts_failed")
        self._measured.time("checkout", self._clock.now_us() - payment.since_us)

    def _unconfirmed(self, order_id: str, at_us: int) -> None:
        payment = self._pressed.pop(order_id)
        payment.viewer.paying -= 1
        self._measured.count("pays_unconfirmed")
        self._measured.time("pay", at_us - payment.since_us)

    async def _begin(self, viewer: Viewer, rid: str, planned_us: int) -> Begun | None:
        began: Begun | None = await self._patiently(lambda: self._checkout.begin(viewer.token, rid), planned_us)
        return began

    async def _patiently(self, call: Any, planned_us: int) -> Any:
        """What the call returned; again while its outcome is unknown, for as long as she has patience; else None."""
        while True:
            try:
                return await call()
            except Refused as refused:
                row = refused.why.value
                self._measured.count("refused")
                self._measured.count(f"refused.{row.number}")
                patient = self._clock.now_us() - planned_us < self._patience_us
                if row.number not in UNKNOWN_OUTCOME or not patient:
                    return None
                await asyncio.sleep((refused.after_ms or AGAIN_MS) / 1000 * (0.5 + self._rng.random()))

    def _heard_order(self, viewer: Viewer, order: OrderFacts, at_us: int) -> None:
        self._measured.record(Paid(at_us, viewer.viewer_id, order.rid, order.order_id, order.status))
        if self._orders.get(order.order_id) == order.status:
            return
        self._orders[order.order_id] = order.status
        self._measured.count(f"orders.{order.status}")
        if order.status == "confirmed":
            self._measured.count("orders_confirmed")
            if (payment := self._pressed.pop(order.order_id, None)) is not None:
                payment.viewer.paying -= 1
                self._measured.time("pay", at_us - payment.since_us)
        elif order.status in _UNPAID and order.order_id in self._pressed:
            self._unconfirmed(order.order_id, at_us)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._paying.add(task)
        task.add_done_callback(self._paid)

    def _paid(self, task: "asyncio.Task[None]") -> None:
        self._paying.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("payment_failed", exc_info=error)


def _nothing(_viewer: Viewer) -> None:
    pass


def _may_help(number: int, verb: Verb) -> bool:
    """To ask the same again. Who was too quick with what she already has tries again; who tapped too quickly does not:
    that tap has its answer."""
    return number in UNKNOWN_OUTCOME or (number == R.TOO_MANY.value.number and verb != "reserve")
