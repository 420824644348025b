"""The tables of a show's life: every status with every command and move, and random lives by Hypothesis."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from livecommerce.errors import R, Refused
from livecommerce.people.identity import StaffRole
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import (
    CardFacts,
    DealFacts,
    DealStatus,
    Interruption,
    Line,
    Question,
    ShowFacts,
    ShowStatus,
    VideoFacts,
)
from livecommerce.shows import lifecycle
from livecommerce.shows.commands import decide, decide_step, due_steps, next_instant_ms
from livecommerce.shows.lifecycle import DealMove, Move
from livecommerce.shows.news import TalkLine
from livecommerce.shows.state import Actor, AskedQuestion, Decision, PlannedCard, SetCard, SetDeal, SetShow, ShowState
from livecommerce.shows.triage import TriageItem, TriageLine

ITEM = TriageItem("tri_1", "held", 1, 1, (TriageLine("lin_1", "vwr_1", "Ana", "hello"),), "copies")
STATUSES: tuple[ShowStatus, ...] = get_args(ShowStatus)
DEAL_STATUSES: tuple[DealStatus, ...] = get_args(DealStatus)
HOST = Actor("acc_host", "Clara")
NOW_MS = 1_800_000_000_000
ON_AIR = {"live", "interrupted"}
ROOM = ON_AIR | {"scheduled"}

# (command, statuses in which it is carried out), written out once more, by hand, as a person would tell it.
COMMANDS: list[tuple[c.AnyCommand, set[str]]] = [
    (c.GoLive(), {"draft", "scheduled", "interrupted"}),
    (c.Interrupt("back soon"), {"live"}),
    (c.LengthenHolds(1), ON_AIR),
    (c.End(), ON_AIR),
    (c.ShowCard("crd_1"), ON_AIR),
    (c.HideCard("crd_1"), ON_AIR),
    (c.OpenDeal("dea_1"), ON_AIR),
    (c.CloseDeal("dea_2"), ON_AIR),
    (c.Promise("crd_1", "a mini"), ON_AIR),
    (c.HideLine("lin_1"), ROOM | {"ended"}),
    (c.LetThrough("lin_1"), ROOM),
    (c.PinLine("lin_1"), ROOM),
    (c.UnpinLine("lin_1"), ROOM),
    (c.Announce("hello"), ROOM),
    (c.Mute("vwr_1"), ROOM),
    (c.Ban("vwr_1"), ROOM | {"ended"}),
    (c.SlowMode(10), ROOM),
    (c.TakeQuestion("qst_1"), ROOM),
    (c.AnswerQuestion("qst_1", "yes"), ROOM | {"ended"}),
    (c.RestoreLine("lin_1"), ROOM | {"ended"}),
    (c.MembersOnly(True), ROOM),
    (c.Settle("tri_1", "hide"), ROOM | {"ended"}),
    (c.SayCaption("good evening"), ON_AIR),
    (c.HideCaption("cap_1"), ROOM | {"ended"}),
]
# The refusal elsewhere, by what became of the show.
ELSEWHERE = {
    "draft": R.SHOW_NOT_LIVE, "scheduled": R.SHOW_NOT_LIVE, "live": R.WRONG_STATE, "interrupted": R.WRONG_STATE,
    "ended": R.SHOW_OVER, "cancelled": R.SHOW_OVER,
}  # fmt: skip
MODERATORS = {
    "hide_line", "let_through", "pin_line", "unpin_line", "mute", "ban", "slow_mode", "take_question",
    "answer_question", "restore_line", "members_only", "settle", "caption", "hide_caption",
}  # fmt: skip


def deal(deal_id: str, status: DealStatus = "draft", **facts: Any) -> DealFacts:
    plain: dict[str, Any] = {
        "variant_id": f"var_{deal_id}", "label": "", "swatch": "", "image": "", "price_minor": 100, "was_minor": None,
        "quota": 5, "limit_per_viewer": 1, "hold_seconds": 60, "pay_seconds": 60,
    }  # fmt: skip
    return DealFacts(deal_id=deal_id, status=status, **{**plain, **facts})


def state(status: ShowStatus = "live", *deals: DealFacts, **more: Any) -> ShowState:
    facts = ShowFacts("shw_1", "Evening", "open_house", status, "Clara", "public", VideoFacts("none"))
    if status in ON_AIR:
        facts = msgspec.structs.replace(facts, interruption=Interruption(1, "host", NOW_MS - 5_000))
    card = CardFacts("crd_1", "deal", "Lip", "", "lip", "", deals or (deal("dea_1"), deal("dea_2", "open")))
    line = TalkLine(Line("lin_1", 1, "Ana", "hello"), "vwr_1", held=True)
    asked = AskedQuestion(Question("qst_1", "Ana", "which?", 3, "queued"), "vwr_1")
    given: dict[str, Any] = {
        "facts": facts, "on_air": "", "slow_seconds": 0, "cards": (PlannedCard(card, "planned", False, ""),),
        "now_ms": NOW_MS, "line": line, "question": asked, "item": ITEM,
    }  # fmt: skip
    return ShowState(**{**given, **more})


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("command", "statuses"), COMMANDS, ids=lambda value: getattr(value, "__class__", type).__name__
)
def test_every_command_in_every_status(command: c.AnyCommand, statuses: set[str], status: ShowStatus) -> None:
    if status in statuses:
        decided = decide(state(status), command, HOST)
        assert decided.changes or decided.events or decided.words or isinstance(command, c.HideCard)
        return
    with pytest.raises(Refused) as caught:
        decide(state(status), command, HOST)
    assert caught.value.why is ELSEWHERE[status]


def test_the_table_above_has_every_command() -> None:
    assert {type(command) for command, _ in COMMANDS} == set(get_args(c.AnyCommand))
    assert set(lifecycle.COMMAND_STATUSES) == set(get_args(c.AnyCommand))


@pytest.mark.parametrize("role", get_args(StaffRole))
@pytest.mark.parametrize("command", [command for command, _ in COMMANDS], ids=lambda command: type(command).__name__)
def test_moderators_command_the_talk_and_nothing_else(command: c.AnyCommand, role: StaffRole) -> None:
    word = command.__struct_config__.tag
    if role != "moderator" or word in MODERATORS:
        lifecycle.refuse_role(role, command)
        return
    with pytest.raises(Refused) as caught:
        lifecycle.refuse_role(role, command)
    assert caught.value.why is R.FORBIDDEN


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("move", get_args(Move))
def test_a_show_moves_only_as_the_table_says(status: ShowStatus, move: Move) -> None:
    after = lifecycle.MOVES.get((status, move))
    if after is not None:
        assert lifecycle.moved(status, move) == after
        assert status not in ("ended", "cancelled")
        return
    with pytest.raises(Refused) as caught:
        lifecycle.moved(status, move)
    assert caught.value.why is (R.SHOW_OVER if status in ("ended", "cancelled") else R.WRONG_STATE)


@pytest.mark.parametrize("status", DEAL_STATUSES)
@pytest.mark.parametrize("move", get_args(DealMove))
def test_a_deal_moves_only_as_the_table_says(status: DealStatus, move: DealMove) -> None:
    after = lifecycle.DEAL_MOVES.get((status, move))
    if after is not None:
        assert lifecycle.deal_moved(status, move) == after
        return
    with pytest.raises(Refused) as caught:
        lifecycle.deal_moved(status, move)
    assert caught.value.why is (R.DEAL_CLOSED if status in ("closing", "closed") else R.DEAL_NOT_OPEN)


def test_stock_is_allotted_once_on_the_way_from_draft() -> None:
    announced = decide(state("live", deal("dea_1")), c.OpenDeal("dea_1", in_seconds=10), HOST)
    opened = decide(state("live", deal("dea_1", "announced", opens_at_ms=NOW_MS + 10_000)), c.OpenDeal("dea_1"), HOST)
    again = decide(state("live", deal("dea_1", "open")), c.OpenDeal("dea_1"), HOST)

    assert [change.allot for change in announced.changes if isinstance(change, SetDeal)] == [True]
    assert [change.allot for change in opened.changes if isinstance(change, SetDeal)] == [False]
    assert again == Decision()


def test_ending_drops_drafts_and_closes_what_has_stock() -> None:
    deals = [deal(f"dea_{status}", status) for status in DEAL_STATUSES]

    decided = decide(state("live", *deals), c.End(), HOST)

    changed = {change.deal_id: change.values["status"] for change in decided.changes if isinstance(change, SetDeal)}
    assert changed == {"dea_draft": "closed", "dea_announced": "closing", "dea_open": "closing"}


def test_hiding_a_card_that_is_not_on_the_picture_is_nothing() -> None:
    assert decide(state("live"), c.HideCard("crd_1"), HOST) == Decision()


def test_the_clock_does_nothing_in_a_show_that_is_not_on_air() -> None:
    late = deal("dea_1", "announced", opens_at_ms=NOW_MS - 1)

    for status in STATUSES:
        steps = due_steps(state(status, late))
        assert bool(steps) == (status in ON_AIR)


def test_a_step_that_no_longer_applies_does_nothing() -> None:
    due = due_steps(state("live", deal("dea_1", "announced", opens_at_ms=NOW_MS)))[0]

    assert decide_step(state("live", deal("dea_1", "closing", opens_at_ms=NOW_MS)), due) == Decision()


class Life(RuleBasedStateMachine):
    """Random commands and random time: whatever happens, the tables hold and nothing moves twice."""

    def __init__(self) -> None:
        super().__init__()
        self.now = state("scheduled", deal("dea_1"), deal("dea_2"), deal("dea_3"))
        self.allotted: list[str] = []
        self.was_ended = False

    def carry_out(self, decided: Decision) -> None:
        """What the service does with rows, in memory."""
        facts, on_air, cards = self.now.facts, self.now.on_air, list(self.now.cards)
        for change in decided.changes:
            if isinstance(change, SetShow):
                on_air = change.values.get("on_air_card_id", on_air)
                known = {k: v for k, v in change.values.items() if k in ("status", "started_at_ms", "ended_at_ms")}
                facts = ShowFacts(**{**{f: getattr(facts, f) for f in facts.__struct_fields__}, **known})
            elif isinstance(change, SetDeal):
                if change.allot:
                    assert change.deal_id not in self.allotted, "stock moved twice"
                    self.allotted.append(change.deal_id)
                cards = [_with_deal(card, change) for card in cards]
            elif isinstance(change, SetCard):
                cards = [PlannedCard(card.facts, change.values.get("state", card.state), False, "") for card in cards]
        self.now = ShowState(facts, on_air, 0, tuple(cards), self.now.now_ms)

    @rule(command=st.sampled_from([c.GoLive(), c.Interrupt(), c.ShowCard("crd_1"), c.HideCard("crd_1")]))
    def command(self, command: c.AnyCommand) -> None:
        self.attempt(command)

    @rule(deal_id=st.sampled_from(["dea_1", "dea_2", "dea_3"]), seconds=st.sampled_from([0, 5]), end=st.booleans())
    def open_deal(self, deal_id: str, seconds: int, end: bool) -> None:
        self.attempt(c.OpenDeal(deal_id, seconds, 10 if end else None))

    @rule(deal_id=st.sampled_from(["dea_1", "dea_2", "dea_3"]))
    def close_deal(self, deal_id: str) -> None:
        self.attempt(c.CloseDeal(deal_id))

    @precondition(lambda self: self.now.facts.status == "live")
    @rule()
    def end(self) -> None:
        self.attempt(c.End())

    @rule(seconds=st.integers(1, 8))
    def time_passes(self, seconds: int) -> None:
        at_ms = self.now.now_ms + seconds * 1000
        self.now = ShowState(self.now.facts, self.now.on_air, 0, self.now.cards, at_ms)
        for _ in range(3):
            for step in due_steps(self.now):
                self.carry_out(decide_step(self.now, step))
        assert due_steps(self.now) == []
        following = next_instant_ms(self.now)
        assert following is None or following > self.now.now_ms

    def attempt(self, command: c.AnyCommand) -> None:
        before = self.now
        try:
            self.carry_out(decide(self.now, command, HOST))
        except Refused:
            assert self.now is before

    @invariant()
    def what_sells_has_stock(self) -> None:
        for one in self.now.deals():
            has_stock = one.deal_id in self.allotted
            assert has_stock == (one.status in ("announced", "open", "closing")) or one.status == "closed"

    @invariant()
    def what_has_ended_stays_so_and_sells_nothing(self) -> None:
        assert not self.was_ended or self.now.facts.status == "ended"
        self.was_ended = self.now.facts.status == "ended"
        if self.was_ended:
            assert self.now.on_air == ""
            assert all(one.status in ("closing", "closed") for one in self.now.deals())

    @invariant()
    def at_most_the_card_on_air_says_so(self) -> None:
        for card in self.now.cards:
            assert (card.state == "on_air") == (card.facts.card_id == self.now.on_air)


def _with_deal(card: PlannedCard, change: SetDeal) -> PlannedCard:
    deals = tuple(
        DealFacts(**{**{f: getattr(one, f) for f in one.__struct_fields__}, **change.values})
        if one.deal_id == change.deal_id
        else one
        for one in card.facts.deals
    )
    facts = CardFacts(**{**{f: getattr(card.facts, f) for f in card.facts.__struct_fields__}, "deals": deals})
    return PlannedCard(facts, card.state, card.hidden_until_launch, card.notes)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
