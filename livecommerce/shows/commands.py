"""What a command makes of a show: pure functions from (state, command) to changes, public events and words.

What arrives: a `ShowState` read under its lock, and a command of the host or a step of the programme's clock. What
leaves: a `Decision`, or a refusal with nothing decided. Every check stands before the first change. It knows no
storage, no Redis, no clock but `state.now_ms`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import (
    AnyEvent,
    Caption,
    CaptionHidden,
    CaptionSaid,
    CardHidden,
    CardListed,
    CardShown,
    DealAnnounced,
    DealClosed,
    DealDrawn,
    DealFacts,
    DealOpened,
    DrawFacts,
    HoldsLengthened,
    Line,
    LineHidden,
    LinePinned,
    LineRestored,
    LineUnpinned,
    Note,
    PromiseMade,
    Question,
    QuestionChanged,
    RoomRules,
    ShowChanged,
)
from livecommerce.reservations.draw import commitment_of, new_seed
from livecommerce.reservations.lengthening import BREAK_MS_MAX, BREAK_MS_MIN
from livecommerce.shows import corners, lifecycle, slate
from livecommerce.shows.news import TalkLine
from livecommerce.shows.state import (
    NOTHING,
    Actor,
    AskedQuestion,
    Change,
    Decision,
    ForgetLines,
    ItemDone,
    KeepPromise,
    KickViewer,
    MuteViewer,
    PlannedCard,
    QuestionClosed,
    RememberLine,
    SayLine,
    SetBan,
    SetCard,
    SetDeal,
    SetDraw,
    SetQuestion,
    SetShow,
    ShowState,
    TellViewer,
    Word,
    has_zero,
)
from livecommerce.shows.webvtt import one_line

# Who writes captions hears it first and has a clock that is nearly the server's.
CAPTION_LATE_MS_MAX = 60_000
CAPTION_EARLY_MS_MAX = 1_000

# --- steps of the programme's clock; each is decided anew under the lock, so a step that came too late does nothing


@dataclass(frozen=True, slots=True)
class AnnounceDue:
    """A planned opening comes into sight: the deal's stock is moved now, so that the countdown never ends in "no"."""

    deal_id: str


@dataclass(frozen=True, slots=True)
class OpenDue:
    deal_id: str


@dataclass(frozen=True, slots=True)
class DrawDue:
    """The window is over. The engine draws first, then `record_draw` says what it did."""

    deal_id: str


@dataclass(frozen=True, slots=True)
class CloseDue:
    deal_id: str


@dataclass(frozen=True, slots=True)
class LaunchDue:
    """New Product Day: the hidden cards are listed, the first goes on the picture."""


Step = AnnounceDue | OpenDue | DrawDue | CloseDue | LaunchDue


def decide(state: ShowState, command: c.AnyCommand, actor: Actor) -> Decision:
    """What follows from `command`. Refused in this order: SHOW_OVER / SHOW_NOT_LIVE / WRONG_STATE, then NOT_FOUND or
    UNKNOWN_DEAL for what it names, then what the command itself says."""
    lifecycle.refuse_status(state.facts.status, command)
    return _DECIDERS[type(command)](state, command, actor)


def decide_step(state: ShowState, step: Step) -> Decision:
    """What follows from a step of the clock; nothing where it no longer applies."""
    if step not in due_steps(state):
        return NOTHING
    if isinstance(step, LaunchDue):
        return _launch(state)
    _, deal = _deal(state, step.deal_id)
    if isinstance(step, AnnounceDue):
        return _announce(deal, deal.opens_at_ms or state.now_ms)
    if isinstance(step, OpenDue):
        return _open(state, deal, deal.closes_at_ms)
    assert isinstance(step, CloseDue), step
    return _close(deal, "time")


def due_steps(state: ShowState) -> list[Step]:
    """What the clock has to do now, in order. Nothing happens by the clock in a show that is not on air."""
    if state.facts.status not in ("live", "interrupted"):
        return []
    steps: list[Step] = [LaunchDue()] if _has_launch(state) and not state.before_launch else []
    for card in state.cards:
        for deal in card.facts.deals:
            step = None if card.hidden_until_launch else _due_step(deal, state.now_ms)
            if step is not None:
                steps.append(step)
    return steps


def next_instant_ms(state: ShowState) -> int | None:
    """When the clock will next have something to do for this show."""
    if state.facts.status not in ("live", "interrupted"):
        return None
    instants = [state.facts.launch_at_ms] if _has_launch(state) else []
    instants += [deal.opens_at_ms for deal in state.deals() if deal.status == "announced"]
    instants += [deal.closes_at_ms for deal in state.deals() if deal.status == "open"]
    instants += [deal.draw.draws_at_ms for deal in state.deals() if deal.status == "open" and deal.draw]
    return min((at for at in instants if at is not None and at > state.now_ms), default=None)


def _due_step(deal: DealFacts, now_ms: int) -> Step | None:
    if deal.status in ("draft", "announced") and deal.opens_at_ms is not None and deal.opens_at_ms <= now_ms:
        return OpenDue(deal.deal_id)
    if deal.status == "draft" and deal.opens_at_ms is not None:
        return AnnounceDue(deal.deal_id)
    if deal.status == "open" and deal.draw and deal.draw.drawn_at_ms is None:
        # Not closed by the clock before it was drawn, however late the clock is.
        at_ms = deal.draw.draws_at_ms
        return DrawDue(deal.deal_id) if at_ms is not None and at_ms <= now_ms else None
    if deal.status == "open" and deal.closes_at_ms is not None and deal.closes_at_ms <= now_ms:
        return CloseDue(deal.deal_id)
    return None


def _has_launch(state: ShowState) -> bool:
    return state.facts.launch_at_ms is not None and any(card.hidden_until_launch for card in state.cards)


# --- life cycle ---------------------------------------------------------------------------------------------------


def _go_live(state: ShowState, _command: c.GoLive, _actor: Actor) -> Decision:
    status = lifecycle.moved(state.facts.status, "go_live")
    started_at_ms = state.facts.started_at_ms or state.now_ms
    # A clip's programme clock begins when the show first goes on air; an interruption does not rewind it.
    video = state.facts.video
    if has_zero(video) and video.started_at_ms is None and not video.by_hand:
        video = msgspec.structs.replace(video, started_at_ms=state.now_ms)
    facts = slate.happened(state.facts, "go_live", state.now_ms) or state.facts
    facts = msgspec.structs.replace(facts, status=status, started_at_ms=started_at_ms, video=video)
    corners.of(facts.corner).refuse_facts(facts)
    values = {
        "status": status, "started_at_ms": started_at_ms, "video": msgspec.to_builtins(video),
        "interruption": msgspec.to_builtins(facts.interruption),
    }  # fmt: skip
    return Decision((SetShow(values),), (ShowChanged(facts, "live"),))


def _interrupt(state: ShowState, command: c.Interrupt, _actor: Actor) -> Decision:
    if state.facts.status == "interrupted" and slate.slate_of(state.facts) == "host":
        raise Refused(R.WRONG_STATE, state=state.facts.status)
    words: tuple[AnyEvent, ...] = (Note(command.text),) if command.text else ()
    return _slate_moves(state, "interrupt", "interrupted") + Decision(events=words)


def decide_picture(state: ShowState, happening: Literal["lost", "back"], for_ms: int = 0) -> Decision:
    """What the machine does about the slate over a picture that is lost or back for `for_ms`; nothing where it is none
    of its business, or not any more."""
    if slate.happened(state.facts, happening, state.now_ms) is None:
        return NOTHING
    return _slate_moves(state, happening, f"picture_{happening}", for_ms)


def _slate_moves(state: ShowState, happening: slate.Happening, reason: str, for_ms: int = 0) -> Decision:
    facts = slate.happened(state.facts, happening, state.now_ms, for_ms)
    assert facts is not None, f"{happening} in a show that is {state.facts.status}"
    values = {"status": facts.status, "interruption": msgspec.to_builtins(facts.interruption)}
    return Decision((SetShow(values),), (ShowChanged(facts, reason),))


def _lengthen_holds(state: ShowState, command: c.LengthenHolds, _actor: Actor) -> Decision:
    interruption = state.facts.interruption
    if interruption is None:
        raise Refused(R.NOT_FOUND, what="interruption")
    if interruption.number != command.number:
        raise Refused(R.CONFLICT)
    if interruption.lengthened_ms:
        raise Refused(R.LENGTHENED, seconds=round(interruption.lengthened_ms / 1000))
    lasted_ms = (interruption.ended_at_ms or state.now_ms) - interruption.began_at_ms
    break_ms = min(max(lasted_ms, BREAK_MS_MIN), BREAK_MS_MAX)
    told = msgspec.structs.replace(interruption, lengthened_ms=break_ms)
    facts = msgspec.structs.replace(state.facts, interruption=told)
    return Decision(
        (SetShow({"interruption": msgspec.to_builtins(told)}),),
        (ShowChanged(facts, "lengthened"), HoldsLengthened(told.number, break_ms)),
    )


def _end(state: ShowState, _command: c.End, _actor: Actor) -> Decision:
    status = lifecycle.moved(state.facts.status, "end")
    facts = msgspec.structs.replace(state.facts, status=status, ended_at_ms=state.now_ms)
    closed = NOTHING
    for deal in state.deals():
        if deal.status == "draft":
            closed += Decision((SetDeal(deal.deal_id, {"status": lifecycle.deal_moved("draft", "drop")}),))
        elif deal.status in ("announced", "open"):
            closed += _close(deal, "show_over")
    off_air = _leave_picture(state)
    values = {"status": status, "ended_at_ms": state.now_ms, "on_air_card_id": ""}
    return closed + Decision((*off_air, SetShow(values)), (ShowChanged(facts, "ended"),))


# --- cards and deals ----------------------------------------------------------------------------------------------


def _show_card(state: ShowState, command: c.ShowCard, _actor: Actor) -> Decision:
    card = _card(state, command.card_id)
    corners.of(state.facts.corner).refuse_showing(state, card)
    opens_at_ms = None if not command.open_in_seconds else state.now_ms + command.open_in_seconds * 1000
    return _put_on_picture(state, card) + _open_drafts(state, card, opens_at_ms)


def _put_on_picture(state: ShowState, card: PlannedCard) -> Decision:
    if state.on_air == card.facts.card_id:
        return NOTHING
    changes: list[Change] = list(_leave_picture(state))
    changes.append(SetCard(card.facts.card_id, {"state": "on_air", "hidden_until_launch": False}))
    changes.append(SetShow({"on_air_card_id": card.facts.card_id}))
    return Decision(tuple(changes), (CardShown(card.facts),))


def _open_drafts(state: ShowState, card: PlannedCard, opens_at_ms: int | None) -> Decision:
    decision = NOTHING
    for deal in card.facts.deals:
        if deal.status != "draft":
            continue
        at_ms = opens_at_ms if opens_at_ms is not None else deal.opens_at_ms
        if at_ms is not None and at_ms > state.now_ms:
            decision += _announce(deal, at_ms)
        else:
            decision += _open(state, deal, deal.closes_at_ms)
    return decision


def _leave_picture(state: ShowState) -> tuple[Change, ...]:
    return (SetCard(state.on_air, {"state": "done"}),) if state.on_air else ()


def _hide_card(state: ShowState, command: c.HideCard, _actor: Actor) -> Decision:
    card = _card(state, command.card_id)
    if state.on_air != card.facts.card_id:
        return NOTHING
    changes = (*_leave_picture(state), SetShow({"on_air_card_id": ""}))
    return Decision(changes, (CardHidden(card.facts.card_id),))


def _open_deal(state: ShowState, command: c.OpenDeal, _actor: Actor) -> Decision:
    card, deal = _deal(state, command.deal_id)
    corners.of(state.facts.corner).refuse_showing(state, card)
    opens_at_ms = state.now_ms + command.in_seconds * 1000
    closes_at_ms = deal.closes_at_ms if command.for_seconds is None else opens_at_ms + command.for_seconds * 1000
    if command.for_seconds is not None and deal.draw and command.for_seconds < deal.draw.window_seconds + 5:
        raise Refused(R.MALFORMED, expected="an opening that lasts at least 5 seconds longer than the draw's window")
    unhide: tuple[Change, ...] = ()
    events: tuple[AnyEvent, ...] = ()
    if card.hidden_until_launch:
        unhide = (SetCard(card.facts.card_id, {"hidden_until_launch": False}),)
        events = (CardListed(card.facts),)
    if command.in_seconds == 0:
        return Decision(unhide, events) + _open(state, deal, closes_at_ms)
    return Decision(unhide, events) + _announce(deal, opens_at_ms, closes_at_ms)


def _close_deal(state: ShowState, command: c.CloseDeal, _actor: Actor) -> Decision:
    _, deal = _deal(state, command.deal_id)
    if deal.status == "draft":
        raise Refused(R.DEAL_NOT_OPEN)
    if not command.pulled:
        return _close(deal, "host")
    if deal.pulled == command.holds or deal.status == "closed":
        return NOTHING
    if deal.status == "closing" and deal.pulled == "cancel":
        raise Refused(R.DEAL_CLOSED)  # what was cancelled cannot be honoured any more
    return _pull(deal, command.holds)


def _pull(deal: DealFacts, holds: Literal["honour", "cancel"]) -> Decision:
    """Also of a deal that is closing: who closed it may see only then that nobody can be served."""
    status = "closing" if deal.status == "closing" else lifecycle.deal_moved(deal.status, "close")
    change = SetDeal(deal.deal_id, {"status": status, "pulled": holds})
    return Decision((change,), (DealClosed(deal.deal_id, "pulled", holds),))


def _announce(deal: DealFacts, opens_at_ms: int, closes_at_ms: int | None = None) -> Decision:
    status = lifecycle.deal_moved(deal.status, "announce")
    values: dict[str, Any] = {"status": status, "opens_at_ms": opens_at_ms}
    if closes_at_ms is not None:
        values["closes_at_ms"] = closes_at_ms
    change = SetDeal(deal.deal_id, values, allot=deal.status == "draft")
    committed, draw = _committed(deal)
    return Decision((change, *committed), (DealAnnounced(deal.deal_id, opens_at_ms, draw),))


def _open(state: ShowState, deal: DealFacts, closes_at_ms: int | None) -> Decision:
    if deal.status == "open":  # a second opening changes at most when it ends
        if closes_at_ms == deal.closes_at_ms:
            return NOTHING
        change = SetDeal(deal.deal_id, {"closes_at_ms": closes_at_ms})
        return Decision((change,), (DealOpened(deal.deal_id, closes_at_ms, deal.draw),))
    status = lifecycle.deal_moved(deal.status, "open")
    # What was to close before it opened closes when somebody says so.
    if closes_at_ms is not None and closes_at_ms <= state.now_ms:
        closes_at_ms = None
    opens_at_ms = deal.opens_at_ms if deal.status == "announced" else state.now_ms
    values = {"status": status, "opens_at_ms": opens_at_ms, "closes_at_ms": closes_at_ms}
    change = SetDeal(deal.deal_id, values, allot=deal.status == "draft")
    committed, draw = _committed(deal)
    if draw:
        # From the instant at which it really opens: who comes late to its own opening gives nobody a shorter window.
        draw = msgspec.structs.replace(draw, draws_at_ms=state.now_ms + draw.window_seconds * 1000)
        committed = (*committed, SetDraw(deal.deal_id, {"draws_at_ms": draw.draws_at_ms}))
    return Decision((change, *committed), (DealOpened(deal.deal_id, closes_at_ms, draw),))


def _committed(deal: DealFacts) -> tuple[tuple[Change, ...], DrawFacts | None]:
    """The draw of a deal with its commitment, which is made where there is none yet: in the transaction of the event
    that publishes it, before anybody can tap."""
    if deal.draw is None or deal.draw.commitment:
        return (), deal.draw
    seed = new_seed()
    change = SetDraw(deal.deal_id, {"seed": seed, "salt": new_seed()})
    return (change,), msgspec.structs.replace(deal.draw, commitment=commitment_of(seed))


def record_draw(deal: DealFacts, seed: str, root: str, entrants: int, now_ms: int) -> Decision:
    """What the engine drew, told to everybody with its seed; nothing where it was told before."""
    if deal.draw is None or deal.draw.drawn_at_ms is not None:
        return NOTHING
    values = {"drawn_at_ms": now_ms, "entrants": entrants, "root": root}
    draw = msgspec.structs.replace(deal.draw, seed=seed, **values)
    return Decision((SetDraw(deal.deal_id, values),), (DealDrawn(deal.deal_id, draw),))


def _close(deal: DealFacts, reason: Literal["time", "host", "pulled", "show_over"]) -> Decision:
    status = lifecycle.deal_moved(deal.status, "close")
    return Decision((SetDeal(deal.deal_id, {"status": status}),), (DealClosed(deal.deal_id, reason),))


def _launch(state: ShowState) -> Decision:
    hidden = [card for card in state.cards if card.hidden_until_launch]
    decision = NOTHING
    for card in hidden:
        change = SetCard(card.facts.card_id, {"hidden_until_launch": False})
        decision += Decision((change,), (CardListed(card.facts),))
    return decision + _put_on_picture(state, hidden[0]) + _plan_openings(state, hidden[0])


def _plan_openings(state: ShowState, card: PlannedCard) -> Decision:
    """The card's drafts open by the clock, each on its own: one that lacks stock must not hold up the launch."""
    at_once = {"opens_at_ms": state.facts.launch_at_ms}
    drafts = [deal for deal in card.facts.deals if deal.status == "draft" and deal.opens_at_ms is None]
    return Decision(tuple(SetDeal(deal.deal_id, at_once) for deal in drafts))


# --- talk ---------------------------------------------------------------------------------------------------------


def _hide_line(_state: ShowState, command: c.HideLine, _actor: Actor) -> Decision:
    # A line older than what is remembered can still be hidden: pages and the replay know it by its id.
    return Decision((), (LineHidden(command.line_id),), (ForgetLines((command.line_id,)),))


def _restore_line(state: ShowState, _command: c.RestoreLine, _actor: Actor) -> Decision:
    talk = _line(state)
    return Decision((), (LineRestored(talk.line),), (RememberLine(talk),))


def _let_through(state: ShowState, _command: c.LetThrough, _actor: Actor) -> Decision:
    talk = _line(state)
    if not talk.held:
        return NOTHING
    words: tuple[Word, ...] = (ForgetLines((talk.line.line_id,)), SayLine(talk.line))
    return Decision(words=words)


def _pin_line(state: ShowState, _command: c.PinLine, _actor: Actor) -> Decision:
    return Decision((), (LinePinned(_line(state).line),))


def _unpin_line(_state: ShowState, command: c.UnpinLine, _actor: Actor) -> Decision:
    return Decision((), (LineUnpinned(command.line_id),))


def _say(state: ShowState, command: c.Announce, actor: Actor) -> Decision:
    text = command.text.strip()
    if not text:
        raise Refused(R.EMPTY)
    return Decision(words=(SayLine(Line(new_id("lin"), state.now_ms, actor.name, text, "host", "notice")),))


def _caption(state: ShowState, command: c.SayCaption, _actor: Actor) -> Decision:
    text = one_line(command.text)
    if not text:
        raise Refused(R.EMPTY)
    said_at_ms = state.now_ms if command.said_at_ms is None else command.said_at_ms
    if not state.now_ms - CAPTION_LATE_MS_MAX <= said_at_ms <= state.now_ms + CAPTION_EARLY_MS_MAX:
        raise Refused(R.MALFORMED, expected="said_at_ms within the last minute")
    return Decision((), (CaptionSaid(Caption(new_id("cap"), min(said_at_ms, state.now_ms), text)),))


def _hide_caption(_state: ShowState, command: c.HideCaption, _actor: Actor) -> Decision:
    return Decision((), (CaptionHidden(command.caption_id),))


def _mute(state: ShowState, command: c.Mute, _actor: Actor) -> Decision:
    return _silenced(state, command.viewer_id or _author(state), command.minutes)


def _silenced(state: ShowState, viewer_id: str, minutes: int) -> Decision:
    until_ms = state.now_ms + minutes * 60_000
    change = SetBan(viewer_id, "mute", until_ms, lift=minutes == 0)
    return Decision((change,), (), (MuteViewer(viewer_id, until_ms),))


def _ban(state: ShowState, command: c.Ban, _actor: Actor) -> Decision:
    return _banned(command.viewer_id or _author(state), lift=command.lift)


def _banned(viewer_id: str, *, lift: bool = False) -> Decision:
    words: tuple[Word, ...] = () if lift else (KickViewer(viewer_id),)
    return Decision((SetBan(viewer_id, "ban", lift=lift),), (), words)


def _author(state: ShowState) -> str:
    viewer_id = _line(state).viewer_id
    if not viewer_id:  # the line is the host's own
        raise Refused(R.NOT_FOUND, what="viewer")
    return viewer_id


def _slow_mode(state: ShowState, command: c.SlowMode, _actor: Actor) -> Decision:
    if command.seconds == state.slow_seconds:
        return NOTHING
    rules = RoomRules(command.seconds, state.members_only)
    return Decision((SetShow({"slow_seconds": command.seconds}),), (rules,))


def _members_only(state: ShowState, command: c.MembersOnly, _actor: Actor) -> Decision:
    if command.on == state.members_only:
        return NOTHING
    return Decision((SetShow({"members_only": command.on}),), (RoomRules(state.slow_seconds, command.on),))


def _settle(state: ShowState, command: c.Settle, actor: Actor) -> Decision:
    """One decision for a whole item, as it was read: what joins it from here on waits again. Questions that were asked
    while it was in hand are another item; copies of a held line are part of it, as they say the same."""
    item = state.item
    if item is None:
        raise Refused(R.NOT_FOUND, what="item")
    done = Decision(words=(ItemDone(item),))
    if item.kind == "question":
        return _settle_questions(state, command, actor) + done
    if command.act == "answer":
        raise Refused(R.MALFORMED, expected="let_through or hide for a line")
    held = ForgetLines(tuple(line.line_id for line in item.lines))
    if command.act == "let_through":
        first = item.lines[0]
        kept = state.line.line if state.line else Line(first.line_id, item.since, first.name, first.text)
        return Decision(words=(held, SayLine(kept))) + done
    shown = [line.line_id for line in item.lines if line.shown]
    events = (LineHidden(shown[0], tuple(shown[1:])),) if shown else ()
    decision = Decision((), events, (held,))
    for viewer_id in dict.fromkeys(line.viewer_id for line in item.lines if line.viewer_id):
        if command.mute_minutes:
            decision += _silenced(state, viewer_id, command.mute_minutes)
        if command.ban:
            decision += _banned(viewer_id)
    return decision + done


def _settle_questions(state: ShowState, command: c.Settle, actor: Actor) -> Decision:
    if command.act == "let_through":
        raise Refused(R.MALFORMED, expected="answer or hide for questions")
    if command.act == "answer" and not command.text.strip():
        raise Refused(R.EMPTY)
    still_open = [asked for asked in state.item_questions if asked.question.status not in ("answered", "dropped")]
    if command.act == "answer" and not still_open:
        raise Refused(R.CONFLICT)  # somebody was faster: what she wrote would reach nobody
    decision = NOTHING
    for asked in still_open:
        if command.act == "hide":
            decision += _question_now(asked.question, status="dropped")
        else:
            decision += _answered(asked, command.text, command.privately, actor)
    return decision


def _take_question(state: ShowState, _command: c.TakeQuestion, _actor: Actor) -> Decision:
    asked = _question(state)
    if asked.question.status != "queued":
        return NOTHING
    return _question_now(asked.question, status="answering")


def _answer_question(state: ShowState, command: c.AnswerQuestion, actor: Actor) -> Decision:
    closed = Decision(words=(QuestionClosed(command.question_id),))
    return _answered(_question(state), command.text, command.privately, actor) + closed


def _answered(asked: AskedQuestion, text: str, privately: bool, actor: Actor) -> Decision:
    if not privately:
        return _question_now(asked.question, status="answered", answer=text)
    if not text.strip():
        raise Refused(R.EMPTY)
    # The room learns that it is answered, not what was said.
    word = TellViewer(asked.viewer_id, f"{actor.name}: {text}")
    return _question_now(asked.question, status="answered") + Decision(words=(word,))


def _question_now(question: Question, **values: str) -> Decision:
    changed = msgspec.structs.replace(question, **values)
    return Decision((SetQuestion(question.question_id, dict(values)),), (QuestionChanged(changed),))


def _promise(state: ShowState, command: c.Promise, _actor: Actor) -> Decision:
    card = _card(state, command.card_id)
    corners.of(state.facts.corner).refuse_showing(state, card)
    return Decision((KeepPromise(card.facts.card_id, command.text),), (PromiseMade(card.facts.card_id, command.text),))


# --- what a command names -----------------------------------------------------------------------------------------


def _card(state: ShowState, card_id: str) -> PlannedCard:
    card = state.card(card_id)
    if card is None:
        raise Refused(R.NOT_FOUND, what="card")
    return card


def _deal(state: ShowState, deal_id: str) -> tuple[PlannedCard, DealFacts]:
    found = state.card_of_deal(deal_id)
    if found is None:
        raise Refused(R.UNKNOWN_DEAL)
    return found


def _line(state: ShowState) -> TalkLine:
    if state.line is None:
        raise Refused(R.NOT_FOUND, what="line")
    return state.line


def _question(state: ShowState) -> AskedQuestion:
    if state.question is None:
        raise Refused(R.NOT_FOUND, what="question")
    return state.question


_DECIDERS: dict[type[c.Command], Callable[[ShowState, Any, Actor], Decision]] = {
    c.GoLive: _go_live,
    c.Interrupt: _interrupt,
    c.LengthenHolds: _lengthen_holds,
    c.End: _end,
    c.ShowCard: _show_card,
    c.HideCard: _hide_card,
    c.OpenDeal: _open_deal,
    c.CloseDeal: _close_deal,
    c.HideLine: _hide_line,
    c.LetThrough: _let_through,
    c.PinLine: _pin_line,
    c.UnpinLine: _unpin_line,
    c.Announce: _say,
    c.Mute: _mute,
    c.Ban: _ban,
    c.SlowMode: _slow_mode,
    c.TakeQuestion: _take_question,
    c.AnswerQuestion: _answer_question,
    c.Promise: _promise,
    c.RestoreLine: _restore_line,
    c.MembersOnly: _members_only,
    c.Settle: _settle,
    c.SayCaption: _caption,
    c.HideCaption: _hide_caption,
}
