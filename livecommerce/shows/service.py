"""Shows as the rest of the project meets them: planned, entered, commanded, and carried on by the clock.

What arrives: staff's plans and commands, viewers at the door, lines and questions, the worker's tick. What leaves:
facts and snapshots; rows committed first, then the engine's books, then the news. One rule holds it together: a
public event is a row of the log before anything else hears of it, and `catch_up` carries rows over to the engine and
the news, in order, by whoever comes first. A process that dies anywhere loses no event.

It decides nothing itself: `commands.py` and the corners do. It knows no sockets and no HTTP.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
import structlog
from msgspec import UNSET
from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import VariantFacts
from livecommerce.catalogue.pools import insert_new
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import Clock
from livecommerce.errors import Close, R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.gathered import Gathered
from livecommerce.ledger.tables import (
    accounts,
    bans,
    commands_done,
    deals,
    draws,
    org_units,
    pictures,
    shows,
    viewers,
)
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import (
    Acted,
    AnyEvent,
    CardListed,
    HoldsLengthened,
    PrivateQuestion,
    Question,
    QuestionChanged,
    RoomRules,
    ShowChanged,
    ShowFacts,
)
from livecommerce.protocol.to_viewer import Desk, LengthenedTold, Own, PictureTold
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import BRING_HOME_TRIES, Shelves
from livecommerce.shows import cards as rundown
from livecommerce.shows import corners, invitations, lifecycle, private_questions, questions, slate, talk_rules
from livecommerce.shows import deals as stock
from livecommerce.shows import log as show_log
from livecommerce.shows.carrying_out import carry_out
from livecommerce.shows.commands import (
    AnnounceDue,
    DrawDue,
    OpenDue,
    Step,
    decide,
    decide_picture,
    decide_step,
    due_steps,
    next_instant_ms,
)
from livecommerce.shows.draws import CopyJournal, Draws
from livecommerce.shows.edits import refuse_place, refuse_scope, video_of, write_edit
from livecommerce.shows.invitations import Invitation, NewInvitation
from livecommerce.shows.log import LogRow
from livecommerce.shows.news import News, TalkLine
from livecommerce.shows.pictures import PictureReport, PictureWatch, read_picture, write_reports
from livecommerce.shows.plans import (
    EditCard,
    EditDeal,
    EditShow,
    NewCard,
    NewDeal,
    NewShow,
    ShowList,
    StaffCard,
    StaffShow,
)
from livecommerce.shows.private_questions import Inbox
from livecommerce.shows.reading import (
    PLAIN,
    Looks,
    lock_show,
    looks_of,
    read_looks,
    read_question,
    read_questions,
    read_show,
    read_shows,
    read_state,
    show_facts,
)
from livecommerce.shows.snapshot import ShowSnapshot as ShowSnapshot
from livecommerce.shows.snapshot import public_cards, read_snapshot
from livecommerce.shows.standing import Standings
from livecommerce.shows.state import (
    CLOCK,
    Actor,
    Decision,
    ForgetLines,
    ItemDone,
    KickViewer,
    MuteViewer,
    QuestionClosed,
    RecordingState,
    RememberLine,
    SayLine,
    ShowState,
    TellViewer,
    Word,
)
from livecommerce.shows.talk_rules import EditTalkRules, KeptTalkRules
from livecommerce.shows.tickets import TicketLists
from livecommerce.shows.triage import Triage, TriageItem, TriageLine

log = structlog.get_logger(__name__)
T = TypeVar("T")

FRESH_SECONDS = 1.0
# Shows whose facts, snapshot and mutes one process keeps at hand.
KEPT_MAX = 1000
PAST_SHOWN = 20
# A launch lists cards, which announces deals, which opens them: no chain of steps is longer.
_STEP_ROUNDS_MAX = 3


@dataclass(slots=True)
class _Kept:
    """What this process remembers of a show; all of it can be read again."""

    facts: ShowFacts | None = None
    facts_at: float = float("-inf")
    snapshot: ShowSnapshot | None = None
    mutes: dict[str, int] | None = None
    mutes_at: float = float("-inf")


class Silenced(msgspec.Struct, frozen=True):
    """A viewer who may not speak (`mute`) or not come in (`ban`), until when, and who said so."""

    viewer_id: str
    name: str
    kind: Literal["mute", "ban"]
    until_ms: int | None
    by: str
    at_ms: int


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
        self._stocks = stock.DealStocks(database, engine, clock)
        self._shelves = shelves or Shelves(database, engine, catalogue, settings, clock)
        self.tickets = TicketLists(database, clock, settings)
        self._facts = Gathered(self._read_facts)
        self._draws = Draws(database, engine, clock, copy_journal)
        self._standings = Standings(database, clock)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._catching_up: dict[str, asyncio.Lock] = {}
        # Shows on air → (version looked at, next instant of their programme).
        self._programme: dict[str, tuple[int, int | None]] = {}
        self._positions: dict[str, asyncio.Task[tuple[str, int]]] = {}
        self.triage = Triage(news.redis, clock)
        self._picture_watch = PictureWatch(settings.video_slate_after_seconds or math.inf)
        self._talk_rules: KeptTalkRules | None = None
        self._talk_rules_at = float("-inf")

    # --- planning --------------------------------------------------------------------------------------------------

    async def create(self, staff: StaffIdentity, new: NewShow) -> ShowFacts:
        """A new show, scheduled where it has an instant and is not to stay a draft.

        Refuses FORBIDDEN (moderators; a place outside one's own scope), NOT_FOUND, MALFORMED (what the corner refuses).
        """
        if staff.role == "moderator":
            raise Refused(R.FORBIDDEN)
        corner = corners.of(new.corner)
        show_id = new_id("shw")
        row: dict[str, Any] = {
            "id": show_id,
            "title": new.title,
            "about": new.about,
            "corner": new.corner,
            "corner_settings": corner.settings_of(new.corner_settings),
            "status": "scheduled" if new.scheduled_at_ms is not None and not new.draft else "draft",
            "access": new.access or corner.access,
            "host_account_id": new.host_account_id or staff.account_id,
            "org_unit_id": new.org_unit_id or staff.org_unit_id,
            "video": video_of(new.video),
            "scheduled_at_ms": new.scheduled_at_ms,
            "launch_at_ms": new.launch_at_ms,
            "limit_per_person": new.limit_per_person,
            "created_at_ms": self.clock.now_ms(),
        }

        async def work(connection: AsyncConnection) -> ShowFacts:
            await refuse_place(connection, staff, row["org_unit_id"], row["host_account_id"])
            await connection.execute(insert(shows).values(row))
            facts = show_facts(await read_show(connection, show_id))
            corner.refuse_facts(facts)
            await self._log_changed(connection, facts, "created", staff.account_id)
            return facts

        facts = await self.database.write(work)
        await self._catch_up_or_wait(show_id)
        return facts

    async def edit(self, staff: StaffIdentity, show_id: str, edit: EditShow) -> ShowFacts:
        """Change the plan; what is left out stays. Refuses SHOW_OVER, FORBIDDEN, NOT_FOUND, WRONG_STATE (corner and
        instants once it is on air), MALFORMED (what the corner refuses)."""

        async def work(connection: AsyncConnection, state: ShowState) -> ShowFacts:
            rundown.refuse_over(state)
            await write_edit(connection, state, edit)
            facts = show_facts(await read_show(connection, show_id))
            corners.of(facts.corner).refuse_facts(facts)
            await self._log_changed(connection, facts, "edited", staff.account_id)
            if edit.slow_seconds is not UNSET and edit.slow_seconds != state.slow_seconds:
                rules = RoomRules(edit.slow_seconds, state.members_only)
                await show_log.append_events(connection, show_id, [rules], state.now_ms, staff.account_id)
            return facts

        return await self._planned(staff, show_id, work)

    async def clone(self, staff: StaffIdentity, show_id: str) -> ShowFacts:
        """A new draft with the same words, corner, picture and rundown: no instants, no stock. The staff hosts it."""

        async def work(connection: AsyncConnection, state: ShowState) -> ShowFacts:
            row = await read_show(connection, show_id)
            copy_id = new_id("shw")
            video = msgspec.structs.replace(state.facts.video, started_at_ms=None)
            await connection.execute(
                insert(shows).values(
                    id=copy_id,
                    title=row.title,
                    about=row.about,
                    corner=row.corner,
                    corner_settings=row.corner_settings,
                    status="draft",
                    access=row.access,
                    host_account_id=staff.account_id,
                    org_unit_id=row.org_unit_id,
                    video=msgspec.to_builtins(video),
                    limit_per_person=row.limit_per_person,
                    claims=row.claims,
                    created_at_ms=state.now_ms,
                )
            )
            await rundown.copy_cards(connection, show_id, copy_id)
            facts = show_facts(await read_show(connection, copy_id))
            await self._log_changed(connection, facts, "cloned", staff.account_id)
            return facts

        facts = await self._planned(staff, show_id, work)
        await self._catch_up_or_wait(facts.show_id)
        return facts

    async def add_card(self, staff: StaffIdentity, show_id: str, new: NewCard) -> StaffCard:
        """A card at the end of the rundown; refuses as `cards.add_card`, and before that MALFORMED for a rule that
        this server cannot keep."""
        await self._refuse_rules(new.deals)
        named = await self._variants_named(new)
        around = rundown.Surroundings(named, await self.catalogue.default_location(), self.settings)

        async def work(connection: AsyncConnection, state: ShowState) -> str:
            return await rundown.add_card(connection, state, new, around)

        return await self._card_changed(staff, show_id, named, work)

    async def edit_card(self, staff: StaffIdentity, show_id: str, card_id: str, edit: EditCard) -> StaffCard:
        """A card with its changes; refuses as `cards.edit_card`, and before that MALFORMED for a rule that this server
        cannot keep."""
        await self._refuse_rules(edit.deals)

        async def work(connection: AsyncConnection, state: ShowState) -> str:
            await rundown.edit_card(connection, state, card_id, edit)
            return card_id

        return await self._card_changed(staff, show_id, {}, work)

    async def remove_card(self, staff: StaffIdentity, show_id: str, card_id: str) -> None:
        """Take a card out that nobody saw yet; the refusals are those of `cards.remove_card`."""

        async def work(connection: AsyncConnection, state: ShowState) -> None:
            await rundown.remove_card(connection, state, card_id)
            await self._log_changed(connection, state.facts, "rundown", staff.account_id)

        await self._planned(staff, show_id, work)

    async def reorder_cards(self, staff: StaffIdentity, show_id: str, card_ids: Sequence[str]) -> None:
        """The rundown in this order. Refuses CONFLICT where the list is not exactly the show's cards."""

        async def work(connection: AsyncConnection, state: ShowState) -> None:
            await rundown.reorder_cards(connection, state, card_ids)
            await self._log_changed(connection, state.facts, "rundown", staff.account_id)

        await self._planned(staff, show_id, work)

    async def invite(self, staff: StaffIdentity, show_id: str, new: NewInvitation) -> Invitation:
        """An invitation with a place limit; the caller makes links that carry it."""

        async def work(connection: AsyncConnection, state: ShowState) -> Invitation:
            rundown.refuse_over(state)
            return await invitations.make(connection, show_id, new)

        return await self._planned(staff, show_id, work)

    async def invitations(self, staff: StaffIdentity, show_id: str) -> tuple[Invitation, ...]:
        async with self.database.read() as connection:
            refuse_scope(staff, (await read_show(connection, show_id)).org_path)
            return await invitations.of_show(connection, show_id)

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
            cards=tuple(_staff_card(state, card.facts.card_id) for card in state.cards),
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

    async def mutes(self, show_id: str) -> dict[str, int]:
        """viewer id → until when (UTC ms) she may not speak; at most a second old."""
        kept = self._keep(show_id)
        if kept.mutes is None or self.clock.monotonic() - kept.mutes_at >= FRESH_SECONDS:
            query = select(bans.c.viewer_id, bans.c.until_ms).where(bans.c.show_id == show_id, bans.c.kind == "mute")
            async with self.database.read() as connection:
                kept.mutes = {row.viewer_id: row.until_ms for row in await connection.execute(query)}
            kept.mutes_at = self.clock.monotonic()
        now_ms = self.clock.now_ms()
        return {viewer_id: until_ms for viewer_id, until_ms in kept.mutes.items() if until_ms > now_ms}

    async def silenced(self, staff: StaffIdentity, show_id: str) -> tuple[Silenced, ...]:
        """Who may not speak or come in now. Refuses NOT_FOUND, FORBIDDEN."""
        await self._refuse_outside(staff, show_id)
        query = (
            select(bans, viewers.c.name.label("viewer_name"), accounts.c.name.label("by_name"))
            .outerjoin(viewers, viewers.c.id == bans.c.viewer_id)
            .outerjoin(accounts, accounts.c.id == bans.c.by_account_id)
            .where(bans.c.show_id == show_id, or_(bans.c.until_ms.is_(None), bans.c.until_ms > self.clock.now_ms()))
            .order_by(bans.c.created_at_ms.desc(), bans.c.viewer_id)
        )
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(
            Silenced(row.viewer_id, row.viewer_name or "", row.kind, row.until_ms, row.by_name or "", row.created_at_ms)
            for row in rows
        )

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
        await self._catch_up_or_wait(show_id)
        with contextlib.suppress(Refused):
            await self._to_triage(show_id, viewer, asked)
        return asked

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

    # --- private questions -----------------------------------------------------------------------------------------

    async def ask_privately(self, show_id: str, viewer: ViewerIdentity, text: str) -> PrivateQuestion:
        """A question into the inbox of her advisor, or of the host; nobody else sees it. Refuses EMPTY, TOO_MANY,
        SHOW_NOT_LIVE and SHOW_OVER."""
        lifecycle.refuse_talk((await self.facts(show_id)).status)

        async def work(connection: AsyncConnection) -> private_questions.Asked:
            host_id = (await read_show(connection, show_id)).host_account_id
            return await private_questions.ask(connection, show_id, host_id, viewer, text, self.clock.now_ms())

        asked = await self.database.write(work)
        with contextlib.suppress(Refused):
            await self.news.tell_desk(show_id, Desk(private=asked.question, to_account=asked.advisor_id))
        return asked.question

    async def answer_privately(self, staff: StaffIdentity, question_id: str, text: str) -> PrivateQuestion:
        """Her answer, to the one who asked. Refuses EMPTY, and NOT_FOUND for a question that is not hers to answer."""

        async def work(connection: AsyncConnection) -> private_questions.Asked:
            now_ms = self.clock.now_ms()
            answered = await private_questions.answer(connection, staff.account_id, question_id, text, now_ms)
            body = {"do": "answer_privately", "question_id": question_id}
            show_id = answered.question.show_id
            await show_log.append_action(connection, show_id, "command", body, now_ms, staff.account_id)
            return answered

        answered = await self.database.write(work)
        show_id = answered.question.show_id
        with contextlib.suppress(Refused):  # her page asks for it when she comes back
            await self.news.tell(show_id, answered.viewer_id, Own(private=answered.question))
            await self.news.tell_desk(show_id, Desk(private=answered.question, to_account=staff.account_id))
        return answered.question

    async def inbox(self, staff: StaffIdentity, show_id: str = "") -> Inbox:
        """What this member of staff was asked in private, over all shows or in one."""
        async with self.database.read() as connection:
            return await private_questions.inbox(connection, staff.account_id, show_id)

    async def private_questions_of(self, show_id: str, viewer_id: str) -> tuple[PrivateQuestion, ...]:
        """What she asked in this show, with the answers."""
        async with self.database.read() as connection:
            return await private_questions.of_viewer(connection, show_id, viewer_id)

    # --- what the merchant keeps out of the talk ---------------------------------------------------------------------

    async def talk_rules(self, *, fresh: bool = False) -> KeptTalkRules:
        """The merchant's word lists, at most a second old; `fresh` for whoever is about to edit them."""
        now = self.clock.monotonic()
        if fresh or self._talk_rules is None or now - self._talk_rules_at >= FRESH_SECONDS:
            async with self.database.read() as connection:
                self._talk_rules = await talk_rules.read(connection)
            self._talk_rules_at = now
        return self._talk_rules

    async def edit_talk_rules(self, staff: StaffIdentity, edit: EditTalkRules) -> KeptTalkRules:
        """The lists anew; every room follows within seconds. Refuses CONFLICT, MALFORMED."""

        async def work(connection: AsyncConnection) -> KeptTalkRules:
            return await talk_rules.write(connection, edit, staff.name, self.clock.now_ms())

        self._talk_rules = await self.database.write(work)
        self._talk_rules_at = self.clock.monotonic()
        return self._talk_rules

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

        decision = await self._with_room(work)
        await self._catch_up_or_wait(show_id)
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

    # --- the picture -----------------------------------------------------------------------------------------------

    async def report_pictures(self, reports: Sequence[PictureReport]) -> None:
        """What a process that films says of its shows. Refuses BUSY: say it again."""
        await self.database.write(lambda connection: write_reports(connection, reports, self.clock.now_ms()))

    async def watch_pictures(self) -> None:
        """One look at the pictures of all shows on air: the slate goes over one that is lost and off one that is back.

        May be run by two processes at once: each move is decided anew under the show's lock. The show itself, its deals
        and its talk go on. Nothing happens where VIDEO_SLATE_AFTER_SECONDS is 0, but for a slate that is there.
        """
        query = (
            select(shows.c.id, shows.c.video, pictures.c.beats, pictures.c.seen_at_ms, pictures.c.away, pictures.c.said)
            .join(pictures, pictures.c.show_id == shows.c.id)
            .where(shows.c.status.in_(("live", "interrupted")))
        )
        async with self.database.read() as connection:
            rows = {row.id: row for row in await connection.execute(query)}
        own = {show_id: row.beats for show_id, row in rows.items() if row.video["kind"] == "own"}
        found = self._picture_watch.look(own, self.clock.monotonic())
        for show_id, row in rows.items():
            # Whoever shows a clip instead has no camera to wait for.
            happening = found.get(show_id) if show_id in own else "back"
            if happening is not None:
                await self._guarded(show_id, self._picture_moved(show_id, happening, row))

    async def keep_recording(self, staff: StaffIdentity, show_id: str, keep: bool) -> RecordingState:
        """Keep the show's recording however old it is, or let it go the way of all others. Refuses FORBIDDEN,
        NOT_FOUND, and GONE where it was removed already."""

        async def work(connection: AsyncConnection, state: ShowState) -> RecordingState:
            if state.recording == "removed":
                raise Refused(R.GONE, what="recording")
            await connection.execute(
                update(shows).where(shows.c.id == show_id).values(recording="kept" if keep else "")
            )
            body = {"do": "keep_recording", "keep": keep}
            await show_log.append_action(connection, show_id, "command", body, state.now_ms, staff.account_id)
            return "kept" if keep else ""

        return await self._planned(staff, show_id, work)

    async def recording_removed(self, show_id: str, size: int) -> bool:
        """Say that the recording, of `size` bytes, is gone, before it goes; False where it is kept by now."""

        async def work(connection: AsyncConnection) -> bool:
            await lock_show(connection, show_id)
            known = (await connection.execute(select(shows.c.recording).where(shows.c.id == show_id))).scalar_one()
            if not known:
                await connection.execute(update(shows).where(shows.c.id == show_id).values(recording="removed"))
                body = {"step": "recording_removed", "bytes": size}
                await show_log.append_action(connection, show_id, "clock", body, self.clock.now_ms(), "")
            return bool(known != "kept")

        return await self.database.write(work)

    async def recording_of(self, show_id: str) -> RecordingState:
        """Whether the show's recording is kept or was removed. Refuses NOT_FOUND."""
        async with self.database.read() as connection:
            state: RecordingState = (await read_show(connection, show_id)).recording
            return state

    async def _picture_moved(self, show_id: str, happening: Literal["lost", "back"], row: Any) -> None:
        async with self.database.read() as connection:
            facts = show_facts(await read_show(connection, show_id))
        if slate.happened(facts, happening, self.clock.now_ms()) is None:
            return  # looked at without the lock, since nearly always there is nothing to do
        told, for_ms = PictureTold(happening, self.clock.now_ms()), 0
        if happening == "lost":
            for_ms = self.settings.video_slate_after_seconds * 1000  # the break began when the picture stood still
            told = msgspec.structs.replace(told, away=row.away, said=row.said)

        async def work(connection: AsyncConnection) -> bool:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, PLAIN, self.clock.now_ms())
            decision = decide_picture(state, happening, for_ms)
            if decision.changes:
                body = {"step": f"picture_{happening}", "away": told.away, "said": told.said}
                await show_log.append_action(connection, show_id, "clock", body, state.now_ms, "")
                await carry_out(connection, state, decision, CLOCK)
            return bool(decision.changes)

        if await self.database.write(work):
            log.warning("picture_moved", show_id=show_id, word=happening, away=told.away, said=told.said)
            await self._catch_up_or_wait(show_id)
            await self.news.tell_desk(show_id, Desk(picture=told))

    # --- the clock -------------------------------------------------------------------------------------------------

    async def due_changes(self) -> int | None:
        """Do what the programme's clock asks for in all shows; heal what a dead process left; tell the votes.

        Returns the next instant (UTC ms) that is known, or None. One show's trouble never keeps the others waiting. May
        be run by two processes at once: every step is decided anew under the show's lock.
        """
        async with self.database.read() as connection:
            behind = await show_log.shows_with_unpublished(connection)
            query = select(shows.c.id, shows.c.version).where(shows.c.status.in_(("live", "interrupted")))
            on_air = {row.id: row.version for row in await connection.execute(query)}
            closing = select(deals.c.show_id, deals.c.id).where(deals.c.status == "closing")
            to_finish = (await connection.execute(closing)).all()
            with_votes = await questions.shows_with_untold_votes(connection, list(on_air))
        for show_id in behind:
            await self._guarded(show_id, self.catch_up(show_id))
        for show_id in with_votes:
            await self._guarded(show_id, self._tell_votes(show_id))
        for row in to_finish:
            await self._guarded(row.show_id, self._finish(row.show_id, row.id))
        self._programme = {show_id: seen for show_id, seen in self._programme.items() if show_id in on_air}
        for show_id, version in on_air.items():
            if self._is_due(show_id, version):
                await self._guarded(show_id, self._run_programme(show_id, version))
        return min((at for _, at in self._programme.values() if at is not None), default=None)

    def _is_due(self, show_id: str, version: int) -> bool:
        """False while nobody changed the show since it was looked at and its next instant has not come."""
        seen_version, next_at_ms = self._programme.get(show_id, (0, None))
        return version != seen_version or (next_at_ms is not None and next_at_ms <= self.clock.now_ms())

    async def catch_up(self, show_id: str) -> None:
        """Carry every row that the news does not have yet over to the engine and the news, in the order of the log.

        Refuses BUSY or REBUILDING with the rest still waiting; repeating it is safe, in any number of processes.
        """
        async with self._catching_up.setdefault(show_id, asyncio.Lock()):
            while True:
                async with self.database.read() as connection:
                    rows = await show_log.unpublished(connection, show_id)
                if not rows:
                    return
                await self._publish(show_id, rows)

    async def _publish(self, show_id: str, rows: list[tuple[int, int, AnyEvent]]) -> None:
        epoch, places = "", list[tuple[int, int]]()
        try:
            for row in rows:
                await self._follow(show_id, row[2])
                epoch, offsets = await self.news.publish_logged(show_id, [row])
                places.append((row[0], offsets[0]))
                if isinstance(row[2], ShowChanged):
                    self._keep(show_id).facts = None
        finally:
            if places:

                async def work(connection: AsyncConnection) -> None:
                    await show_log.mark_published(connection, epoch, places)

                await self.database.write(work)

    async def _follow(self, show_id: str, event: AnyEvent) -> None:
        try:
            if isinstance(event, HoldsLengthened):
                await self._lengthen(show_id, event)
            else:
                await self._stocks.follow(show_id, event)
        except Refused as refused:
            if refused.why.value.again:
                raise
            # The engine will refuse it tomorrow too. The room must not wait for it for ever.
            log.error("engine_refused_event", show_id=show_id, refusal=refused.why.value.word)

    async def _lengthen(self, show_id: str, event: HoldsLengthened) -> None:
        """The engine first: a process that dies before the event is published leaves it to whoever comes next, who
        asks the engine for the same break again."""
        done = await self.engine.lengthen(show_id, event.number, event.break_ms)
        told = LengthenedTold(event.number, event.break_ms, done.holds, done.capped)

        async def work(connection: AsyncConnection) -> None:
            await show_log.append_action(connection, show_id, "lengthened", told, self.clock.now_ms(), "")

        await self.database.write(work)
        with contextlib.suppress(Refused):
            await self.news.tell_desk(show_id, Desk(lengthened=told))

    async def _run_programme(self, show_id: str, version: int) -> None:
        for _ in range(_STEP_ROUNDS_MAX):
            async with self.database.read() as connection:
                state = await read_state(connection, show_id, PLAIN, self.clock.now_ms())
            steps = due_steps(state)
            if not steps:
                # `version` was read before the state: a change in between is looked at again at the next tick.
                self._programme[show_id] = (version, next_instant_ms(state))
                return
            looks = await self._looks(show_id)
            for step in steps:
                if isinstance(step, DrawDue):
                    await self._draws.make(show_id, step.deal_id)
                else:
                    await self._step(show_id, step, looks)
            await self.catch_up(show_id)

    async def _finish(self, show_id: str, deal_id: str) -> None:
        """A deal that closes: a draw that was made is told before the books are closed, also after the show."""
        query = select(draws.c.deal_id).where(
            draws.c.deal_id == deal_id, draws.c.draws_at_ms.is_not(None), draws.c.drawn_at_ms.is_(None)
        )
        async with self.database.read() as connection:
            untold = (await connection.execute(query)).first()
        if untold:
            try:
                await self._draws.make(show_id, deal_id)
                await self.catch_up(show_id)
            except Refused as refused:
                if refused.why is not R.UNKNOWN_DEAL:  # Redis lost the deal: then there is no draw to tell
                    raise
        await self._stocks.finish(show_id, deal_id)

    async def _step(self, show_id: str, step: Step, looks: Looks) -> None:
        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, looks, self.clock.now_ms())
            decision = decide_step(state, step)
            if not decision.changes:
                return
            body = {"step": type(step).__name__, "deal_id": getattr(step, "deal_id", "")}
            await show_log.append_action(connection, show_id, "clock", body, state.now_ms, "")
            await carry_out(connection, state, decision, CLOCK)

        try:
            await self._with_room(work)
        except Refused as refused:
            if refused.why is not R.STOCK_SHORT or not isinstance(step, AnnounceDue | OpenDue):
                raise
            await self._cannot_open(show_id, step.deal_id, refused)

    async def _cannot_open(self, show_id: str, deal_id: str, refused: Refused) -> None:
        """A planned opening without stock becomes a draft again, and the desk is told; the clock asks no more."""

        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            change = update(deals).where(deals.c.id == deal_id, deals.c.status == "draft")
            await connection.execute(change.values(opens_at_ms=None))
            body = {"step": "not_opened", "deal_id": deal_id, "why": refused.text}
            await show_log.append_action(connection, show_id, "clock", body, self.clock.now_ms(), "")

        await self.database.write(work)
        with contextlib.suppress(Refused):
            await self.news.tell_desk(show_id, Desk(text=refused.text))

    async def _tell_votes(self, show_id: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            await lock_show(connection, show_id)
            changed = [QuestionChanged(question) for question in await questions.told(connection, show_id)]
            await show_log.append_events(connection, show_id, changed, self.clock.now_ms(), "")

        await self.database.write(work)
        await self.catch_up(show_id)

    async def _guarded(self, show_id: str, doing: Awaitable[T]) -> T | None:
        try:
            return await doing
        except Refused as refused:
            log.warning("programme_waits", show_id=show_id, refusal=refused.why.value.word)
        except Exception:
            log.exception("programme_failed", show_id=show_id)
        return None

    async def _with_room(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run a change that may need more units of a pool than lie there: what is missing comes from its shelf first.
        Shoppers may be faster; then it is asked for again, and in the end refused with what is really left."""
        for _ in range(BRING_HOME_TRIES):
            try:
                return await self.database.write(work)
            except Refused as refused:
                if not await self._shelves.make_room(refused):
                    raise
        return await self.database.write(work)

    # --- carrying out ----------------------------------------------------------------------------------------------

    async def _planned(
        self, staff: StaffIdentity, show_id: str, work: Callable[[AsyncConnection, ShowState], Awaitable[T]]
    ) -> T:
        """Run a change of the plan under the show's lock, for staff who may plan; then let the room know."""
        if staff.role == "moderator":
            raise Refused(R.FORBIDDEN)
        looks = await self._looks(show_id)

        async def locked(connection: AsyncConnection) -> T:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, looks, self.clock.now_ms())
            refuse_scope(staff, state.org_path)
            return await work(connection, state)

        result = await self.database.write(locked)
        await self._catch_up_or_wait(show_id)
        return result

    async def _card_changed(
        self,
        staff: StaffIdentity,
        show_id: str,
        named: Mapping[str, VariantFacts],
        work: Callable[[AsyncConnection, ShowState], Awaitable[str]],
    ) -> StaffCard:
        """Run a change of one card; the event that tells it is written with it. `named`: variants new to the show."""
        looks = await self._looks(show_id)
        looks = looks_of({**looks.by_variant, **named})

        async def changed(connection: AsyncConnection, before: ShowState) -> StaffCard:
            card_id = await work(connection, before)
            state = await read_state(connection, show_id, looks, self.clock.now_ms())
            card = rundown.card_of(state, card_id)
            if not card.hidden_until_launch:
                listed = CardListed(card.facts)
                await show_log.append_events(connection, show_id, [listed], state.now_ms, staff.account_id)
            return _staff_card(state, card_id)

        return await self._planned(staff, show_id, changed)

    async def _refuse_rules(self, planned: Sequence[NewDeal | EditDeal]) -> None:
        """What a deal promises is looked at while it is planned: at its opening it would be too late."""
        for level in {deal.level for deal in planned if deal.level is not UNSET}:
            try:
                await self.engine.check_level(level)
            except Refused as refused:
                refused.facts["field"] = "level"
                raise
        if not (self.settings.has_mail or self.settings.has_texts) and any(
            deal.limit_by == "verified" for deal in planned
        ):
            raise Refused(
                R.MALFORMED,
                expected="a server that can send mail (MAIL_URL) or texts (SMS_URL), so that guests can be verified",
                facts={"field": "limit_by"},
            )

    async def _variants_named(self, new: NewCard) -> dict[str, VariantFacts]:
        if new.product_handle and not new.deals:
            product = await self.catalogue.product(new.product_handle, published_only=False)
            return {variant.variant_id: variant for variant in product.variants}
        return await self.catalogue.variants(deal.variant_id for deal in new.deals)

    async def _speak(self, show_id: str, words: Sequence[Word]) -> None:
        """Words to single people. They have no order and no second delivery: a ban also stands at the door."""
        kept = self._keep(show_id)
        kept.mutes = None
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

    async def _log_changed(self, connection: AsyncConnection, facts: ShowFacts, reason: str, by: str) -> None:
        event = ShowChanged(facts, reason)
        await show_log.append_events(connection, facts.show_id, [event], self.clock.now_ms(), by)

    async def _catch_up_or_wait(self, show_id: str) -> None:
        """After a commit the answer is "done" whatever Redis says: the worker carries over what waits."""
        kept = self._keep(show_id)
        kept.facts = None
        try:
            await self.catch_up(show_id)
        except Refused as refused:
            log.warning("news_wait", show_id=show_id, refusal=refused.why.value.word)

    # --- at hand ---------------------------------------------------------------------------------------------------

    def _keep(self, show_id: str) -> _Kept:
        kept = self._kept.setdefault(show_id, _Kept())
        self._kept.move_to_end(show_id)
        if len(self._kept) > KEPT_MAX:
            forgotten, _ = self._kept.popitem(last=False)
            if forgotten in self._catching_up and not self._catching_up[forgotten].locked():
                del self._catching_up[forgotten]
        return kept

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


def _staff_card(state: ShowState, card_id: str) -> StaffCard:
    card = rundown.card_of(state, card_id)
    public = {name: getattr(card.facts, name) for name in card.facts.__struct_fields__}
    return StaffCard(**public, notes=card.notes, state=card.state, hidden_until_launch=card.hidden_until_launch)


def _listed(found: list[ShowFacts]) -> ShowList:
    past = [facts for facts in found if facts.status in ("ended", "cancelled")]
    past.sort(key=lambda facts: facts.ended_at_ms or 0, reverse=True)
    return ShowList(
        live=tuple(facts for facts in found if facts.status in ("live", "interrupted")),
        upcoming=tuple(facts for facts in found if facts.status in ("draft", "scheduled")),
        past=tuple(past[:PAST_SHOWN]),
    )
