"""The plan of a show and its rundown, made and changed by staff.

What arrives: plans of staff, already typed. What leaves: the show or the card as it stands then, written under the
show's lock together with the event that tells it. What an edit may change is `edits.py`'s, cards and deals are
`cards.py`'s, what a corner wants is the corner's. It knows neither viewers nor commands, and moves no stock.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import VariantFacts
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import shows
from livecommerce.people.identity import StaffIdentity
from livecommerce.protocol.facts import CardListed, RoomRules, ShowChanged, ShowFacts
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shows import cards as rundown
from livecommerce.shows import corners, invitations
from livecommerce.shows import log as show_log
from livecommerce.shows.edits import refuse_place, refuse_scope, video_of, write_edit
from livecommerce.shows.invitations import Invitation, NewInvitation
from livecommerce.shows.outbox import Outbox
from livecommerce.shows.plans import EditCard, EditDeal, EditShow, NewCard, NewDeal, NewShow, StaffCard
from livecommerce.shows.reading import lock_show, looks_of, read_looks, read_show, read_state, show_facts
from livecommerce.shows.state import ShowState

T = TypeVar("T")


class Planning:
    """One per process; keeps nothing."""

    def __init__(
        self, database: Database, engine: ReservationEngine, catalogue: Catalogue, outbox: Outbox, clock: Clock,
        settings: Settings,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._catalogue = catalogue
        self._outbox = outbox
        self._clock = clock
        self._settings = settings

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
            "created_at_ms": self._clock.now_ms(),
        }

        async def work(connection: AsyncConnection) -> ShowFacts:
            await refuse_place(connection, staff, row["org_unit_id"], row["host_account_id"])
            await connection.execute(insert(shows).values(row))
            facts = show_facts(await read_show(connection, show_id))
            corner.refuse_facts(facts)
            await self._log_changed(connection, facts, "created", staff.account_id)
            return facts

        facts = await self._database.write(work)
        await self._outbox.catch_up_or_wait(show_id)
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

        return await self.change(staff, show_id, work)

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

        facts = await self.change(staff, show_id, work)
        await self._outbox.catch_up_or_wait(facts.show_id)
        return facts

    async def add_card(self, staff: StaffIdentity, show_id: str, new: NewCard) -> StaffCard:
        """A card at the end of the rundown; refuses as `cards.add_card`, and before that MALFORMED for a rule that
        this server cannot keep."""
        await self._refuse_rules(new.deals)
        named = await self._variants_named(new)
        around = rundown.Surroundings(named, await self._catalogue.default_location(), self._settings)

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

        await self.change(staff, show_id, work)

    async def reorder_cards(self, staff: StaffIdentity, show_id: str, card_ids: Sequence[str]) -> None:
        """The rundown in this order. Refuses CONFLICT where the list is not exactly the show's cards."""

        async def work(connection: AsyncConnection, state: ShowState) -> None:
            await rundown.reorder_cards(connection, state, card_ids)
            await self._log_changed(connection, state.facts, "rundown", staff.account_id)

        await self.change(staff, show_id, work)

    async def invite(self, staff: StaffIdentity, show_id: str, new: NewInvitation) -> Invitation:
        """An invitation with a place limit; the caller makes links that carry it."""

        async def work(connection: AsyncConnection, state: ShowState) -> Invitation:
            rundown.refuse_over(state)
            return await invitations.make(connection, show_id, new)

        return await self.change(staff, show_id, work)

    async def invitations(self, staff: StaffIdentity, show_id: str) -> tuple[Invitation, ...]:
        async with self._database.read() as connection:
            refuse_scope(staff, (await read_show(connection, show_id)).org_path)
            return await invitations.of_show(connection, show_id)

    async def change(
        self, staff: StaffIdentity, show_id: str, work: Callable[[AsyncConnection, ShowState], Awaitable[T]]
    ) -> T:
        """Run a change of the plan under the show's lock, for staff who may plan; then let the room know."""
        if staff.role == "moderator":
            raise Refused(R.FORBIDDEN)
        looks = await read_looks(self._database, self._catalogue, show_id)

        async def locked(connection: AsyncConnection) -> T:
            await lock_show(connection, show_id)
            state = await read_state(connection, show_id, looks, self._clock.now_ms())
            refuse_scope(staff, state.org_path)
            return await work(connection, state)

        result = await self._database.write(locked)
        await self._outbox.catch_up_or_wait(show_id)
        return result

    async def _card_changed(
        self,
        staff: StaffIdentity,
        show_id: str,
        named: Mapping[str, VariantFacts],
        work: Callable[[AsyncConnection, ShowState], Awaitable[str]],
    ) -> StaffCard:
        """Run a change of one card; the event that tells it is written with it. `named`: variants new to the show."""
        looks = await read_looks(self._database, self._catalogue, show_id)
        looks = looks_of({**looks.by_variant, **named})

        async def changed(connection: AsyncConnection, before: ShowState) -> StaffCard:
            card_id = await work(connection, before)
            state = await read_state(connection, show_id, looks, self._clock.now_ms())
            card = rundown.card_of(state, card_id)
            if not card.hidden_until_launch:
                listed = CardListed(card.facts)
                await show_log.append_events(connection, show_id, [listed], state.now_ms, staff.account_id)
            return rundown.staff_card(card)

        return await self.change(staff, show_id, changed)

    async def _refuse_rules(self, planned: Sequence[NewDeal | EditDeal]) -> None:
        """What a deal promises is looked at while it is planned: at its opening it would be too late."""
        for level in {deal.level for deal in planned if deal.level is not UNSET}:
            try:
                await self._engine.check_level(level)
            except Refused as refused:
                refused.facts["field"] = "level"
                raise
        if not (self._settings.has_mail or self._settings.has_texts) and any(
            deal.limit_by == "verified" for deal in planned
        ):
            raise Refused(
                R.MALFORMED,
                expected="a server that can send mail (MAIL_URL) or texts (SMS_URL), so that guests can be verified",
                facts={"field": "limit_by"},
            )

    async def _variants_named(self, new: NewCard) -> dict[str, VariantFacts]:
        if new.product_handle and not new.deals:
            product = await self._catalogue.product(new.product_handle, published_only=False)
            return {variant.variant_id: variant for variant in product.variants}
        return await self._catalogue.variants(deal.variant_id for deal in new.deals)

    async def _log_changed(self, connection: AsyncConnection, facts: ShowFacts, reason: str, by: str) -> None:
        event = ShowChanged(facts, reason)
        await show_log.append_events(connection, facts.show_id, [event], self._clock.now_ms(), by)
