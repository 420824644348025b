"""Moderation over HTTP: the merchant's word lists, the triage, the inbox of private questions, who is silenced.

What arrives: calls of staff, or of a viewer for her own questions, with a settled identity. What leaves: what `shows/`
keeps, or its refusals. Decisions about lines are commands (`http/shows.py`). It decides nothing.
"""

from typing import Annotated

import msgspec

from livecommerce.errors import R
from livecommerce.gateway.api import Call, Nothing, Table
from livecommerce.gateway.judge import Status
from livecommerce.people.identity import StaffRole
from livecommerce.protocol.facts import PrivateQuestion
from livecommerce.rooms.links import foreign_link
from livecommerce.shows.private_questions import Inbox
from livecommerce.shows.silence import Silenced
from livecommerce.shows.starter_words import STARTERS
from livecommerce.shows.talk_rules import EditTalkRules, KeptTalkRules
from livecommerce.shows.triage import ITEMS_A_MINUTE_MAX, TriageItem

table = Table()

_DESK: tuple[StaffRole, ...] = ("admin", "manager", "advisor", "moderator")
_KEEPERS: tuple[StaffRole, ...] = ("admin", "manager", "moderator")
Text = Annotated[str, msgspec.Meta(max_length=500)]


class JudgeState(msgspec.Struct, frozen=True):
    """How the merchant's own judge of lines does in the process that answers: off, well, failing, or open, which means
    that it is not asked for some seconds and the fallback answers."""

    status: Status
    fallback: str
    budget_ms: int
    last_failure: str


class TalkRulesAnswer(msgspec.Struct, frozen=True):
    """`starters` are the ready lists by language. `own_hosts`: where links may lead."""

    rules: KeptTalkRules
    starters: dict[str, tuple[str, ...]]
    from_settings: tuple[str, ...]
    own_hosts: tuple[str, ...]
    judge: JudgeState


class TryLine(msgspec.Struct, frozen=True):
    text: Text


class Tried(msgspec.Struct, frozen=True):
    """The entry of a list that a line would be refused for, and the address that leads elsewhere; empty where none."""

    word: str
    link: str


class TriageAnswer(msgspec.Struct, frozen=True):
    """What this moderator has in hand."""

    items: tuple[TriageItem, ...]
    waiting: int
    in_hand: int
    a_minute: int = ITEMS_A_MINUTE_MAX


class ReturnItem(msgspec.Struct, frozen=True):
    """One item; without an id all that she has in hand."""

    item_id: Annotated[str, msgspec.Meta(max_length=40)] = ""


class SilencedList(msgspec.Struct, frozen=True):
    people: tuple[Silenced, ...]


class PrivateQuestions(msgspec.Struct, frozen=True):
    questions: tuple[PrivateQuestion, ...]


class PrivateAnswer(msgspec.Struct, frozen=True):
    text: Text


# --- word lists -------------------------------------------------------------------------------------------------------


def _talk_rules(call: Call, kept: KeptTalkRules) -> TalkRulesAnswer:
    hub, settings = call.parts.hub, call.parts.settings
    judge = JudgeState(
        hub.judge.status, settings.moderation_hook_fallback, settings.moderation_hook_ms, hub.judge.last_failure
    )
    hosts = tuple(sorted(hub.talk_rules.own_hosts))
    starters = {str(name): words for name, words in STARTERS.items()}
    return TalkRulesAnswer(kept, starters, settings.banned_words, hosts, judge)


@table.get("/api/staff/talk-rules", auth="staff", roles=_DESK, answer=TalkRulesAnswer)
async def talk_rules(call: Call) -> TalkRulesAnswer:
    """What no line of chat may contain, in all shows, and how the shop's own judge does."""
    kept = await call.parts.shows.talk_rules.get(fresh=True)
    await call.parts.hub.refresh_talk_rules()
    return _talk_rules(call, kept)


@table.put(
    "/api/staff/talk-rules",
    auth="staff",
    roles=_KEEPERS,
    body=EditTalkRules,
    answer=TalkRulesAnswer,
    refuses=(R.CONFLICT,),
)
async def edit_talk_rules(call: Call, body: EditTalkRules) -> TalkRulesAnswer:
    """The lists anew, as a whole. Rooms follow within seconds."""
    kept = await call.parts.shows.talk_rules.edit(call.the_staff(), body)
    await call.parts.hub.refresh_talk_rules()
    return _talk_rules(call, kept)


@table.post("/api/staff/talk-rules/try", auth="staff", roles=_DESK, body=TryLine, answer=Tried)
async def try_line(call: Call, body: TryLine) -> Tried:
    """Ask whether a line would pass the lists that are in force now."""
    await call.parts.hub.refresh_talk_rules()
    rules = call.parts.hub.talk_rules
    return Tried(rules.words.find(body.text), foreign_link(body.text, rules.own_hosts))


# --- the triage -------------------------------------------------------------------------------------------------------


@table.post(
    "/api/staff/shows/{show_id}/triage/take",
    auth="staff",
    roles=_DESK,
    answer=TriageAnswer,
    refuses=(R.NOT_FOUND, R.BUSY),
)
async def take_items(call: Call) -> TriageAnswer:
    """What waits for a decision, a few items at a time; nobody else gets them while they are in these hands."""
    staff, show_id, shows = call.the_staff(), call.path("show_id"), call.parts.shows
    items = await shows.take_items(staff, show_id)
    count = await shows.triage.count(show_id)
    return TriageAnswer(tuple(items), count.waiting, count.in_hand)


@table.post(
    "/api/staff/shows/{show_id}/triage/return",
    auth="staff",
    roles=_DESK,
    body=ReturnItem,
    refuses=(R.NOT_FOUND, R.BUSY),
)
async def return_items(call: Call, body: ReturnItem) -> Nothing:
    """Give an item back, or all of them, to whoever comes next."""
    await call.parts.shows.give_items_back(call.the_staff(), call.path("show_id"), body.item_id)
    return Nothing()


@table.get(
    "/api/staff/shows/{show_id}/silenced", auth="staff", roles=_DESK, answer=SilencedList, refuses=(R.NOT_FOUND,)
)
async def silenced(call: Call) -> SilencedList:
    """Who may not speak, and who may not come in, with who said so."""
    return SilencedList(await call.parts.shows.silence.listed(call.the_staff(), call.path("show_id")))


# --- private questions ------------------------------------------------------------------------------------------------


@table.get("/api/staff/inbox", auth="staff", roles=_DESK, answer=Inbox)
async def inbox(call: Call) -> Inbox:
    """What this member of staff was asked in private, unanswered first; of one show with `?show=ID`."""
    return await call.parts.shows.private.inbox(call.the_staff(), call.query("show"))


@table.post(
    "/api/staff/inbox/{question_id}/answer",
    auth="staff",
    roles=_DESK,
    body=PrivateAnswer,
    answer=PrivateQuestion,
    refuses=(R.NOT_FOUND, R.EMPTY),
)
async def answer_privately(call: Call, body: PrivateAnswer) -> PrivateQuestion:
    """Answer the one who asked; an answer given before is replaced."""
    return await call.parts.shows.private.answer(call.the_staff(), call.path("question_id"), body.text)


@table.get("/api/shows/{show_id}/private-questions", auth="viewer", answer=PrivateQuestions)
async def private_questions(call: Call) -> PrivateQuestions:
    """What this viewer asked an advisor in this show, with the answers."""
    viewer, show_id = call.the_viewer(), call.path("show_id")
    return PrivateQuestions(await call.parts.shows.private.of_viewer(show_id, viewer.viewer_id))
