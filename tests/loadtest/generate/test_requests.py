"""Requests and payments by themselves: what is timed is the outcome, and nothing that was begun is in no figure."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, HoldLine, OrderFacts
from livecommerce.protocol.to_viewer import Answer, Own, RefusedMessage, Said
from loadtest.generate.checkout import Begun
from loadtest.generate.measured import Measured
from loadtest.generate.pacer import Pacer
from loadtest.generate.requests import Requests
from loadtest.generate.viewer import Errand, Viewer
from loadtest.orders import After
from loadtest.records import Answered, Told, read
from tests.live_server import until
from tests.loadtest.generate.test_pacer import HandClock

PATIENCE_US = 5_000_000
BUSY, SOLD_OUT, TOO_MANY = (each.value.number for each in (R.BUSY, R.SOLD_OUT, R.TOO_MANY))


class Bank:
    """Checkouts whose answers the test decides."""

    def __init__(self) -> None:
        self.begins: list[Begun | Refused] = []
        self.open = asyncio.Event()
        self.open.set()
        self.pressed: list[str] = []

    async def begin(self, token: str, rid: str) -> Begun:
        await self.open.wait()
        begun = self.begins.pop(0)
        if isinstance(begun, Refused):
            raise begun
        return begun

    async def press_pay(self, pay_url: str) -> None:
        self.pressed.append(pay_url)

    async def aclose(self) -> None:
        pass


class Lines:
    def __init__(self) -> None:
        self.frames = 0

    def send(self, viewer: Viewer, frame: bytes) -> None:
        self.frames += 1


class Stand:
    def __init__(self) -> None:
        self.clock, self.measured, self.lines, self.bank = HandClock(), Measured(), Lines(), Bank()
        self.pacer = Pacer(self.clock, self.clock.timer, self.measured.late)
        self.requests = Requests(
            self.clock, self.pacer, self.measured, self.lines, self.bank, random.Random(1), "lt0-", PATIENCE_US  # type: ignore[arg-type]
        )  # fmt: skip
        self.viewer = Viewer(0, "vw_0", "token", "all")
        self.viewer.stage = "in"
        self.freed: list[Viewer] = []
        self.requests.on_free = self.freed.append

    def tap(self, **further: object) -> str:
        self.requests.tap(self.viewer, Errand((("deal", 1),), self.clock.us, **further))  # type: ignore[arg-type]
        return next(iter(self.viewer.requests))

    def refuse(self, rid: str, number: int, after_ms: int | None = None) -> None:
        self.requests.on_message(
            self.viewer, RefusedMessage(rid, number, "word", "text", after_ms is not None, after_ms), self.clock.us
        )

    def answer(self, rid: str, state: str, due_at_ms: int | None = None) -> None:
        hold = Hold(rid, "show", (HoldLine("deal", 1),), state, due_at_ms=due_at_ms)  # type: ignore[arg-type]
        self.requests.on_message(self.viewer, Answer(rid, hold), self.clock.us)

    def hear_order(self, status: str) -> None:
        self.requests.on_message(self.viewer, Own(order=an_order(status)), self.clock.us)

    def times(self, name: str) -> list[int]:
        return self.measured._times[name]

    def counted(self, name: str) -> int:
        return self.measured.counters.get(name, 0)

    async def pay(self, *begins: Begun | Refused) -> str:
        """A hold whose owner pays at once."""
        self.bank.begins = list(begins)
        rid = self.tap(after=After(pay_share=1.0, think_median_ms=1.0, think_sigma=0.0))
        self.answer(rid, "held")
        self.clock.run()
        await asyncio.sleep(0)
        return rid


def an_order(status: str) -> OrderFacts:
    return OrderFacts("or_1", "1", "lt0-00000001", status, 100, "EUR", False)  # type: ignore[arg-type]


BEGUN = Begun(an_order("paying"), "/pay/test/ref")


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    one = Stand()
    yield one
    await one.requests.aclose()


async def test_a_tap_is_timed_when_its_outcome_is_known_and_not_at_the_first_busy(stand: Stand) -> None:
    rid = stand.tap()
    stand.clock.us = 1_000
    stand.refuse(rid, BUSY, 100)
    assert stand.times("reserve") == []
    assert stand.requests.outstanding == 1
    assert not stand.requests.is_settled
    assert stand.freed == []
    stand.clock.run()
    assert stand.lines.frames == 2
    stand.clock.us = 400_000
    stand.answer(rid, "held")
    assert stand.times("reserve") == [400_000]
    assert stand.requests.outstanding == 0
    assert stand.counted("refused") == 1


async def test_who_gives_up_asking_again_has_her_outcome_then(stand: Stand) -> None:
    rid = stand.tap()
    stand.clock.us = PATIENCE_US + 1
    stand.refuse(rid, BUSY)
    assert stand.times("reserve") == [PATIENCE_US + 1]
    assert (stand.counted("late_answers"), stand.counted(f"taps_refused.{BUSY}")) == (1, 1)
    assert stand.freed == [stand.viewer]


@pytest.mark.parametrize("number", [SOLD_OUT, TOO_MANY])
async def test_a_tap_that_is_refused_for_good_is_timed_and_counted_by_number(stand: Stand, number: int) -> None:
    rid = stand.tap()
    stand.clock.us = 70
    stand.refuse(rid, number)
    assert stand.times("reserve") == [70]
    assert stand.counted(f"taps_refused.{number}") == 1
    assert stand.requests.is_settled


async def test_a_tap_between_two_tries_is_asked_again_while_the_run_finishes(stand: Stand) -> None:
    rid = stand.tap()
    stand.refuse(rid, BUSY)
    stand.requests.stop()
    stand.clock.run()
    assert stand.lines.frames == 2


async def test_at_the_end_what_has_no_outcome_is_timed_at_its_age(stand: Stand) -> None:
    first = stand.tap()
    stand.refuse(first, BUSY)
    stand.requests.tap(stand.viewer, Errand((("deal", 1),), 0))
    stand.clock.us = 9_000
    await stand.requests.end([stand.viewer])
    assert stand.times("reserve") == [9_000, 9_000]
    assert (stand.counted("unanswered"), stand.counted(f"taps_refused.{BUSY}")) == (1, 1)


async def test_only_a_receipt_is_timed_as_said(stand: Stand) -> None:
    for _ in range(2):
        assert stand.requests.say(stand.viewer, "hi", question=False, planned_us=0)
    first, second = stand.viewer.requests
    stand.clock.us = 30
    stand.refuse(first, TOO_MANY)
    assert stand.times("said") == []
    stand.requests.on_message(stand.viewer, Said(second, True), 40)
    assert stand.times("said") == [40]
    assert stand.requests.is_settled


async def test_when_a_hold_runs_out_is_recorded_as_she_was_told(stand: Stand) -> None:
    rid = stand.tap()
    stand.answer(rid, "held", 1_700_000_000_123)
    hold = Hold(rid, "show", (), "released")
    stand.requests.on_message(stand.viewer, Own(hold), 5)
    answered, told = _records(stand, Answered), _records(stand, Told)
    assert [each.due_at_ms for each in answered] == [1_700_000_000_123]
    assert [each.due_at_ms for each in told] == [0]


async def test_a_payment_is_planned_pressed_and_confirmed(stand: Stand) -> None:
    await stand.pay(BEGUN)
    await until(lambda: stand.bank.pressed)
    await until(lambda: not stand.requests._paying)
    assert not stand.requests.is_settled, "she waits for her order"
    pressed_us = stand.clock.us
    stand.clock.us += 500
    stand.hear_order("confirmed")
    await until(lambda: stand.requests.is_settled)
    assert stand.clock.us - pressed_us == 500
    assert stand.times("pay") == [500]
    assert [stand.counted(name) for name in _PAYING] == [1, 0, 1, 0]
    assert stand.viewer.paying == 0


async def test_a_checkout_that_is_refused_is_counted(stand: Stand) -> None:
    await stand.pay(Refused(R.NOT_FOUND, what="hold"))
    await until(lambda: stand.requests.is_settled)
    assert [stand.counted(name) for name in _PAYING] == [1, 1, 0, 0]
    assert stand.viewer.paying == 0


@pytest.mark.parametrize("status", ["declined", "expired", "cancelled", "refund_due"])
async def test_an_order_that_ends_otherwise_is_unconfirmed(stand: Stand, status: str) -> None:
    await stand.pay(BEGUN)
    await until(lambda: stand.bank.pressed)
    stand.clock.us += 70
    stand.hear_order(status)
    await until(lambda: stand.requests.is_settled)
    assert stand.times("pay") == [70]
    assert [stand.counted(name) for name in _PAYING] == [1, 0, 1, 1]


async def test_what_is_unfinished_at_the_end_is_counted_and_timed_at_its_age(stand: Stand) -> None:
    await stand.pay(BEGUN)
    await until(lambda: stand.bank.pressed)
    stand.clock.us += 6_000
    await stand.requests.end([stand.viewer])
    assert stand.times("pay") == [6_000]
    assert [stand.counted(name) for name in _PAYING] == [1, 0, 1, 1]


async def test_a_checkout_without_answer_at_the_end_is_counted_and_timed_at_its_age(stand: Stand) -> None:
    stand.bank.open.clear()
    await stand.pay(BEGUN)
    stand.clock.us += 6_000
    await stand.requests.end([stand.viewer])
    (age_us,) = stand.times("checkout")
    assert age_us >= 6_000
    assert [stand.counted(name) for name in _PAYING] == [1, 1, 0, 0]
    stand.bank.open.set()
    await asyncio.sleep(0)
    assert stand.bank.pressed == []


_PAYING = ("checkouts_planned", "checkouts_failed", "pays_pressed", "pays_unconfirmed")


def _records(stand: Stand, kind: type[Answered] | type[Told]) -> list[Answered | Told]:
    records: Iterator[object] = read(bytes(stand.measured._records))
    return [each for each in records if isinstance(each, kind)]
