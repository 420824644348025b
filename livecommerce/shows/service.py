"""Shows as the rest of the project meets them: read, entered, asked and commanded.

What arrives: viewers at the door, lines and questions, staff's commands. What leaves: facts and snapshots; rows
committed first, then the engine's books, then the news. One rule holds it together: a public event is a row of the log
before anything else hears of it, and the outbox carries rows over. A process that dies anywhere loses no event.

It decides nothing itself: `commands.py` and the corners do. What else a show has is owned here and asked directly:
`planning`, the `programme` that the clock runs, `filmed` pictures and `recordings`, `private` questions, `silence`,
`talk_rules`, `tickets`, `triage`. It knows no sockets and no HTTP.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import Clock
from livecommerce.errors import Close, R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.gathered import Gathered
from livecommerce.ledger.tables import commands_done, org_units, shows
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Acted, Question, QuestionChanged, ShowFacts
from livecommerce.protocol.to_viewer import Desk, Own
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves
from livecommerce.shows import corners, invitations, lifecycle, questions
from livecommerce.shows import log as show_log
from livecommerce.shows.cards import staff_card
from livecommerce.shows.carrying_out import carry_out
from livecommerce.shows.commands import decide
from livecommerce.shows.deals import DealStocks
from livecommerce.shows.draws import CopyJournal, Draws
from livecommerce.shows.edits import refuse_scope
from livecommerce.shows.filmed import Filmed
from livecommerce.shows.log import LogRow
from livecommerce.shows.news import News, TalkLine
from livecommerce.shows.outbox import Outbox
from livecommerce.shows.pictures import read_picture
from livecommerce.shows.planning import Planning
from livecommerce.shows.plans import ShowList, StaffShow
from livecommerce.shows.private_questions import PrivateQuestions
from livecommerce.shows.programme import Programme
from livecommerce.shows.reading import (
    FRESH_SECONDS,
    Looks,
    lock_show,
    read_looks,
    read_question,
    read_questions,
    read_show,
    read_shows,
    read_state,
    show_facts,
)
from livecommerce.shows.recordings import Recordings
from livecommerce.shows.silence import Silence
from livecommerce.shows.snapshot import ShowSnapshot as ShowSnapshot
from livecommerce.shows.snapshot import public_cards, read_snapshot
from livecommerce.shows.standing import Standings
from livecommerce.shows.state import (
    Actor,
    Decision,
    ForgetLines,
    ItemDone,
    KickViewer,
    MuteViewer,
    QuestionClosed,
    RememberLine,
    SayLine,
    TellViewer,
    Word,
)
from livecommerce.shows.talk_rules import TalkRules
from livecommerce.shows.tickets import TicketLists
from livecommerce.shows.triage import Triage, TriageItem, TriageLine

# Shows whose facts and snapshot one process keeps at hand.
KEPT_MAX = 1000
PAST_SHOWN = 20


@dataclass(slots=True)
class _Kept:
    """What this process remembers of a show; all of it can be read again."""

    facts: ShowFacts | None = None
    facts_at: float = float("-inf")
    snapshot: ShowSnapshot | None = None


class Shows:
    """One per process. Holds caches only; nothing is lost with it."""

    def __init__(
        self,
        database: Database,
        engine: ReservationEngine,
        catalogue: Catalogue,
        news: News,
        clock: Clock,
        settings: Settings,
        shelves: Shelves | None = None,
        copy_journal: CopyJournal | None = None,
    ) -> None:
        self.database = database
        self.engine = engine
        self.catalogue = catalogue
        self.news = news
        self.clock = clock
        self.settings = settings
        self._shelves = shelves or Shelves(database, engine, catalogue, settings, clock)
        self._standings = Standings(database, clock)
        self._facts = Gathered(self._read_facts)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._positions: dict[str, asyncio.Task[tuple[str, int]]] = {}
        stocks = DealStocks(database, engine, clock)
        draws = Draws(database, engine, clock, copy_journal)
        self.outbox = Outbox(database, engine, stocks, news, clock, self._forget_facts)
        self.programme = Programme(database, catalogue, self._shelves, stocks, draws, self.outbox, news, clock)
        self.filmed = Filmed(database, news, self.outbox, clock, settings)
        self.planning = Planning(database, engine, catalogue, self.outbox, clock, settings)
        self.recordings = Recordings(database, self.planning, clock)
        self.private = PrivateQuestions(database, news, clock, self.facts)
        self.silence = Silence(database, clock)
        self.talk_rules = TalkRules(database, clock)
        self.tickets = TicketLists(database, clock, settings)
        self.triage = Triage(news.redis, clock)

    # --- reading ---------------------------------------------------------------------------------------------------

    async def list_public(self) -> ShowList:
        """The programme as everyone sees it: no drafts, nothing cancelled, nothing for invited guests only."""
        async with self.database.read() as connection:
            rows = await read_shows(
                connection, shows.c.access != "invited", shows.c.status.in_(("scheduled", "live", "interrupted"))
            )
            over = await read_shows(connection, shows.c.access != "invited", shows.c.status == "ended")
        return _listed([show_facts(row) for row in rows + over])

    async def on_air(self) -> list[ShowFacts]:
        """Every show that is live or interrupted."""
        async with self.database.read() as connection:
            rows = await read_shows(connection, shows.c.status.in_(("live", "interrupted")))
        return [show_facts(row) for row in rows]

    async def list_for(self, staff: StaffIdentity) -> ShowList:
        """All shows in this person's scope; drafts stand among those to come."""
        async with self.database.read() as connection:
            rows = await read_shows(connection, org_units.c.path.startswith(staff.org_path, autoescape=True))
        return _listed([show_facts(row) for row in rows])

    async def facts(self, show_id: str) -> ShowFacts:
        """The show's facts, at most a second old. Refuses NOT_FOUND."""
        kept = self._keep(show_id)
        if kept.facts is None or self.clock.monotonic() - kept.facts_at >= FRESH_SECONDS:
            asked_at = self.clock.monotonic()
            facts = await self._facts.get(show_id)
            if facts is None:
                raise Refused(R.NOT_FOUND, what="show")
            kept.facts, kept.facts_at = facts, asked_at
        return kept.facts

    def facts_before(self, show_id: str) -> ShowFacts | None:
        """The show's facts as they were last read here, however long ago."""
        return self._keep(show_id).facts

    async def _read_facts(self, show_ids: Sequence[str]) -> dict[str, ShowFacts | None]:
        async with self.database.read() as connection:
            rows = await read_shows(connection, shows.c.id.in_(show_ids))
        found = {row.id: show_facts(row) for row in rows}
        return {show_id: found.get(show_id) for show_id in show_ids}

    async def public_facts(self, show_id: str) -> ShowFacts:
        """As `facts`; drafts and cancelled shows do not exist for the public. Refuses NOT_FOUND."""
        facts = await self.facts(show_id)
        if facts.status in ("draft", "cancelled"):
            raise Refused(R.NOT_FOUND, what="show")
        return facts

    async def snapshot(self, show_id: str) -> ShowSnapshot:
        """What everyone sees at (epoch, offset); made once per offset and process. Refuses NOT_FOUND, BUSY."""
        epoch, offset = await self._position(show_id)
        kept = self._keep(show_id)
        made = kept.snapshot
        if made is None or (made.epoch, made.offset) != (epoch, offset):
            looks = await self._looks(show_id)
            async with self.database.read() as connection:
                state = await read_state(connection, show_id, looks, self.clock.now_ms())
                made = kept.snapshot = await read_snapshot(connection, state, epoch, offset)
        return made

    async def public_cards(self, show_id: str) -> tuple[Any, ...]:
        """The rundown as everyone may see it now, from the ledger alone."""
        looks = await self._looks(show_id)
        async with self.database.read() as connection:
            return public_cards(await read_state(connection, show_id, looks, self.clock.now_ms()))

    async def for_staff(self, staff: StaffIdentity, show_id: str) -> StaffShow:
        """The show with its whole rundown, notes too. Refuses NOT_FOUND, FORBIDDEN."""
        looks = await self._looks(show_id)
        async with self.database.read() as connection:
            state = await read_state(connection, show_id, looks, self.clock.now_ms())
            picture = await read_picture(connection, show_id)
        refuse_scope(staff, state.org_path)
        return StaffShow(
            show=state.facts,
            cards=tuple(staff_card(card) for card in state.cards),
            on_air=state.on_air,
            slow_seconds=state.slow_seconds,
            corner_settings=state.corner_settings,
            host_account_id=state.host_account_id,
            org_unit_id=state.org_unit_id,
            picture=picture,
            recording=state.recording,
        )

    async def log_page(self, staff: StaffIdentity, show_id: str, after_id: int = 0, limit: int = 200) -> list[LogRow]:
        """Rows of the show log after `after_id`, oldest first. Refuses NOT_FOUND, FORBIDDEN."""
        async with self.database.read() as connection:
            refuse_scope(staff, (await read_show(connection, show_id)).org_path)
            return await show_log.page(connection, show_id, after_id, limit)

    # --- the door and the talk -------------------------------------------------------------------------------------

    async def may_enter(
        self, show_id: str, viewer: ViewerIdentity, invitation_id: str = "", *, staff_role: str = ""
    ) -> None:
        """Let her in, or say why not: NOT_FOUND (no show, a draft, cancelled), BANNED, NOT_INVITED, PLACES_TAKEN.

        `staff_role` is a role proved by the door, which has checked its scope: staff enters rehearsals too. An
        invitation, given or carried by the link she came by, takes a place where she has none.
        """
        if staff_role:
            await self.facts(show_id)
            return
        if await self._is_open_for(show_id, viewer):
            return
        if not invitation_id:
            async with self.database.read() as connection:
                invitation_id = await invitations.of_link(connection, viewer.link_id)
        if not invitation_id:
            raise Refused(R.NOT_INVITED)

        async def work(connection: AsyncConnection) -> None:
            now_ms = self.clock.now_ms()
            await invitations.take_place(connection, show_id, invitation_id, viewer.viewer_id, now_ms)

        await self.database.write(work)

    async def may_look(self, show_id: str, viewer: ViewerIdentity | None) -> None:
        """As `may_enter`, but takes no place: for pages. Refuses NOT_FOUND, BANNED, NOT_INVITED."""
        if viewer is None or not await self._is_open_for(show_id, viewer):
            raise Refused(R.NOT_INVITED)

    async def _is_open_for(self, show_id: str, viewer: ViewerIdentity) -> bool:
        """True where she needs no further invitation. Refuses NOT_FOUND, BANNED."""
        facts = await self.public_facts(show_id)
        standing = await self._standings.get(show_id, viewer.viewer_id)
        if standing.is_banned:
            raise Refused(R.BANNED)
        if facts.access == "public" or (facts.access == "members" and viewer.kind == "merchant"):
            return True
        return standing.has_place

    async def say_record(self, show_id: str, lines: Sequence[TalkLine]) -> None:
        """Lines of talk into the log, in one write. Refuses BUSY, UNAVAILABLE: keep them and try again."""

        async def work(connection: AsyncConnection) -> None:
            await show_log.append_talk(connection, show_id, lines)

        if lines:
            await self.database.write(work)

    async def ask(self, show_id: str, viewer: ViewerIdentity, text: str) -> Question:
        """A question into the queue; the room hears of it. Refuses EMPTY, TOO_MANY, and SHOW_NOT_LIVE or SHOW_OVER
        where the room is not open."""
        lifecycle.refuse_talk((await self.facts(show_id)).status)

        async def work(connection: AsyncConnection) -> Question:
            now_ms = self.clock.now_ms()
            await lock_show(connection, show_id)
            asked = await questions.ask(connection, show_id, viewer.viewer_id, viewer.name, text, now_ms)
            event = QuestionChanged(asked)
            await show_log.append_events(connection, show_id, [event], now_ms, viewer.viewer_id)
            return asked

        asked = await self.database.write(work)
        await self.outbox.catch_up_or_wait(show_id)
        with contextlib.suppress(Refused):
            await self._to_triage(show_id, viewer, asked)
        return asked

    async def vote(self, show_id: str, viewer: ViewerIdentity, question_id: str) -> Question:
        """The question with her vote; the room hears the new count within a tick. Refuses NOT_FOUND, and
        WRONG_STATE in a corner whose questions are not voted on."""
        facts = await self.facts(show_id)
        if not corners.of(facts.corner).question_votes:
            raise Refused(R.WRONG_STATE, state="without votes on questions")
        lifecycle.refuse_talk(facts.status)

        async def work(connection: AsyncConnection) -> Question:
            return await questions.vote(connection, show_id, question_id, viewer.viewer_id)

        return await self.database.write(work)

    async def _to_triage(self, show_id: str, viewer: ViewerIdentity, asked: Question) -> None:
        """Beside the public queue: questions about one product, the one on the picture, are one item for moderators."""
        shown = await self.snapshot(show_id)
        card = next((card for card in shown.cards if card.card_id == shown.on_air), None)
        line = TriageLine(asked.question_id, viewer.viewer_id, asked.name, asked.text, shown=True)
        await self.triage.ask(show_id, line, card.card_id if card else "", card.title if card else "")
        await self.tell_triage(show_id)

    async def tell_triage(self, show_id: str) -> None:
        """Tell the desks how much waits. Refuses BUSY."""
        await self.news.tell_desk(show_id, Desk(triage=await self.triage.count(show_id)))

    # --- the triage -------------------------------------------------------------------------------------------------

    async def take_items(self, staff: StaffIdentity, show_id: str) -> list[TriageItem]:
        """What this moderator has to decide now; nobody else has it. Refuses NOT_FOUND, FORBIDDEN, BUSY."""
        await self._refuse_outside(staff, show_id)
        before = await self.triage.count(show_id)
        items = await self.triage.take(show_id, staff.account_id)
        if before != await self.triage.count(show_id):
            await self.tell_triage(show_id)
        return items

    async def give_items_back(self, staff: StaffIdentity, show_id: str, item_id: str = "") -> None:
        """One item, or all she has, to whoever comes next. Refuses NOT_FOUND, FORBIDDEN, BUSY."""
        await self._refuse_outside(staff, show_id)
        if await self.triage.give_back(show_id, staff.account_id, item_id):
            await self.tell_triage(show_id)

    async def _refuse_outside(self, staff: StaffIdentity, show_id: str) -> None:
        async with self.database.read() as connection:
            refuse_scope(staff, (await read_show(connection, show_id)).org_path)

    # --- commands --------------------------------------------------------------------------------------------------

    async def command(self, staff: StaffIdentity, show_id: str, command_id: str, command: c.AnyCommand) -> c.Done:
        """Carry out a command once per `command_id`: "done", or "already" for a repeat.

        Refused in this order, with nothing moved: NOT_FOUND, FORBIDDEN (scope, then role), CONFLICT (this id was
        another command), then what `commands.decide` refuses, then STOCK_SHORT. Once "done" is answered it is
        committed; the room hears of it at once, or, while Redis is away, as soon as it is back. Cancelled: ask again
        with the same id.
        """
        looks = await self._looks(show_id)
        item = await self._named_item(staff, show_id, command)
        line = await self._named_line(show_id, command, item)
        actor = Actor(staff.account_id, staff.name)
        body_hash = hashlib.sha256(msgspec.json.encode(command)).hexdigest()

        async def work(connection: AsyncConnection) -> Decision | None:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, looks, self.clock.now_ms())
            refuse_scope(staff, state.org_path)
            lifecycle.refuse_role(staff.role, command)
            if await _was_done(connection, show_id, command_id, body_hash, state.now_ms):
                return None
            asked = await read_question(connection, show_id, getattr(command, "question_id", ""))
            of_item = tuple(each.line_id for each in item.lines) if item and item.kind == "question" else ()
            many = await read_questions(connection, show_id, of_item) if of_item else ()
            named: dict[str, Any] = {"line": line, "question": asked, "item": item, "item_questions": many}
            decision = decide(dataclasses.replace(state, **named), command, actor)
            await show_log.append_action(connection, show_id, "command", command, state.now_ms, actor.account_id)
            await carry_out(connection, state, decision, actor)
            return decision

        decision = await self._shelves.with_room(lambda: self.database.write(work))
        await self.outbox.catch_up_or_wait(show_id)
        if decision is None:
            return "already"
        await self._speak(show_id, decision.words)
        await self._tell_colleagues(show_id, command, actor, line, item)
        return "done"

    async def _tell_colleagues(
        self, show_id: str, command: c.AnyCommand, actor: Actor, line: TalkLine | None, item: TriageItem | None
    ) -> None:
        """What was done with the talk is seen by everybody at the desk, so that no two do it twice."""
        if type(command) not in lifecycle.TOLD_COMMANDS:
            return
        about = line.line.text if line else item.lines[0].text if item else ""
        reason = str(getattr(command, "reason", ""))
        do = str(command.__struct_config__.tag)
        acted = Acted(actor.account_id, actor.name, do, about, reason, self.clock.now_ms())
        count = None
        with contextlib.suppress(Refused):
            count = await self.triage.count(show_id) if item else None
            await self.news.tell_desk(show_id, Desk(acted=acted, triage=count))

    # --- words to single people ------------------------------------------------------------------------------------

    async def _speak(self, show_id: str, words: Sequence[Word]) -> None:
        """Words to single people. They have no order and no second delivery: a ban also stands at the door."""
        self.silence.forget(show_id)
        for word in words:
            with contextlib.suppress(Refused):
                await self._speak_one(show_id, word)

    async def _speak_one(self, show_id: str, word: Word) -> None:
        if isinstance(word, KickViewer):
            await self.news.kick(show_id, word.viewer_id, Close.BANNED)
        elif isinstance(word, MuteViewer):
            await self.news.mute(show_id, word.viewer_id, word.until_ms)
        elif isinstance(word, TellViewer):
            await self.news.tell(show_id, word.viewer_id, Own(note=word.text))
        elif isinstance(word, SayLine):
            await self.news.say(show_id, word.line)
        elif isinstance(word, ForgetLines):
            await self.news.forget_talk(show_id, word.line_ids)
        elif isinstance(word, RememberLine):
            await self.news.remember_talk(show_id, [word.line])
        elif isinstance(word, ItemDone):
            await self.triage.done(show_id, word.item)
        else:
            assert isinstance(word, QuestionClosed), word
            if await self.triage.closed(show_id, word.question_id):
                await self.tell_triage(show_id)

    # --- at hand ---------------------------------------------------------------------------------------------------

    def _keep(self, show_id: str) -> _Kept:
        kept = self._kept.setdefault(show_id, _Kept())
        self._kept.move_to_end(show_id)
        if len(self._kept) > KEPT_MAX:
            forgotten, _ = self._kept.popitem(last=False)
            self.outbox.forget(forgotten)
        return kept

    def _forget_facts(self, show_id: str) -> None:
        self._keep(show_id).facts = None

    async def _looks(self, show_id: str) -> Looks:
        return await read_looks(self.database, self.catalogue, show_id)

    async def _named_line(self, show_id: str, command: c.AnyCommand, item: TriageItem | None) -> TalkLine | None:
        if item is not None:
            return await self.news.find_talk(show_id, item.lines[0].line_id) if item.kind == "held" else None
        if isinstance(command, c.RestoreLine):
            async with self.database.read() as connection:
                return await show_log.find_line(connection, show_id, command.line_id)
        if not isinstance(command, c.LetThrough | c.PinLine | c.Mute | c.Ban | c.HideLine) or not command.line_id:
            return None
        return await self.news.find_talk(show_id, command.line_id)

    async def _named_item(self, staff: StaffIdentity, show_id: str, command: c.AnyCommand) -> TriageItem | None:
        if not isinstance(command, c.Settle):
            return None
        try:
            item = await self.triage.in_hand(show_id, staff.account_id, command.item_id)
        except Refused as refused:
            if refused.why is R.NOT_FOUND:  # decided, perhaps by this very command: that is looked at first
                return None
            raise
        if not (command.mute_minutes or command.ban):
            return item
        # Whoever noticed the copies did not know who had said those that were shown before.
        authors = await self.news.authors_of(show_id, [line.line_id for line in item.lines if not line.viewer_id])
        replace = msgspec.structs.replace
        lines = tuple(replace(line, viewer_id=authors.get(line.line_id, line.viewer_id)) for line in item.lines)
        return replace(item, lines=lines)

    async def _position(self, show_id: str) -> tuple[str, int]:
        """One question to Redis for all who ask at the same time: a storm of newcomers costs one."""
        asking = self._positions.get(show_id)
        if asking is None:
            asking = asyncio.create_task(self.news.position(show_id))
            self._positions[show_id] = asking
            asking.add_done_callback(lambda _: self._positions.pop(show_id, None))
        return await asyncio.shield(asking)


async def _was_done(connection: AsyncConnection, show_id: str, command_id: str, body_hash: str, now_ms: int) -> bool:
    """True for a repeat; else the id is taken from now on (until a refusal rolls it back). Refuses CONFLICT."""
    row = {"show_id": show_id, "command_id": command_id, "body_hash": body_hash, "at_ms": now_ms}
    if await insert_new(connection, commands_done, **row):
        return False
    query = select(commands_done.c.body_hash).where(
        commands_done.c.show_id == show_id, commands_done.c.command_id == command_id
    )
    if (await connection.execute(query)).scalar_one() != body_hash:
        raise Refused(R.CONFLICT)
    return True


def _listed(found: list[ShowFacts]) -> ShowList:
    past = [facts for facts in found if facts.status in ("ended", "cancelled")]
    past.sort(key=lambda facts: facts.ended_at_ms or 0, reverse=True)
    return ShowList(
        live=tuple(facts for facts in found if facts.status in ("live", "interrupted")),
        upcoming=tuple(facts for facts in found if facts.status in ("draft", "scheduled")),
        past=tuple(past[:PAST_SHOWN]),
    )
