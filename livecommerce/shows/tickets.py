"""Lists of tickets: made once of what the ledger knows of a closed deal, and found again.

What arrives: a deal whose books are closed and copied. What leaves: one signed row of `ticket_lists`, for ever the same
bytes; the lists of a show; what a viewer needs to find herself. It knows no Redis: who calls `make` has copied the
journal before.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import cards, deals, draws, movements, ticket_lists
from livecommerce.reservations.draw import commitment_of, mark_of, new_seed, nonce_of
from livecommerce.reservations.ticket_list import (
    DrawPart,
    Outcome,
    Signed,
    Ticket,
    TicketList,
    VoidWindow,
    public_key_of,
    sign,
    signing_key,
)
from livecommerce.settings import Settings

# What a hold's movement makes of it. Those of orders ("order_…") say the same a moment earlier.
_OUTCOMES: dict[str, Outcome] = {
    "confirmed": "confirmed", "order_confirmed": "confirmed", "released": "released", "expired": "expired",
    "pay_expired": "expired", "lapsed": "lapsed", "cancelled": "cancelled",
}  # fmt: skip
_BEGINNINGS = ("entered", "held", "waiting")
_PLACED = ("held", "waiting")


class ListedTickets(msgspec.Struct, frozen=True):
    """A list that can be downloaded."""

    deal_id: str
    title: str
    label: str
    fairness: str
    public_key: str
    made_at_ms: int


class OwnMark(msgspec.Struct, frozen=True):
    """How the viewer stands in the list of one deal. `who` is the SHA-256 of "viewer_id:nonce": she can compute it
    herself, and nobody can who was not told her nonce."""

    viewer_id: str
    nonce: str
    who: str


class TicketLists:
    """Of one process."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._key = signing_key(settings.secret)
        self._without: set[str] = set()  # closed deals that have no list to make: they never sold, or before lists were

    @property
    def public_key(self) -> str:
        return public_key_of(self._key)

    async def to_make(self) -> list[tuple[str, str]]:
        """(show, deal) of closed deals without a list."""
        query = (
            select(deals.c.show_id, deals.c.id)
            .outerjoin(ticket_lists, ticket_lists.c.deal_id == deals.c.id)
            .where(deals.c.status == "closed", ticket_lists.c.deal_id.is_(None))
            .order_by(deals.c.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [(row.show_id, row.id) for row in rows if row.id not in self._without]

    async def make(self, deal_id: str) -> bool:
        """Sign the list of a closed deal whose journal is copied; False where there is none to sign, or it was before.

        Two workers at once make one list: the first row stands.
        """
        async with self._database.read() as connection:
            deal = await _deal(connection, deal_id)
            rows = (await connection.execute(_movements_of(deal_id))).all()
        if deal.status != "closed" or not any(row.kind == "allotted" for row in rows):
            self._without.add(deal_id)
            return False
        if any(not row.ticket for row in rows if row.kind in _BEGINNINGS):
            self._without.add(deal_id)  # sold before tickets were copied into the ledger: nothing to swear to
            return False
        salt = deal.salt or new_seed()
        tickets = await asyncio.to_thread(_list_of, deal, rows, salt)
        signed = await asyncio.to_thread(sign, self._key, tickets)

        async def work(connection: AsyncConnection) -> bool:
            return await insert_new(
                connection, ticket_lists, deal_id=deal_id, show_id=deal.show_id, salt=salt, body=signed.body,
                public_key=signed.public_key, signature=signed.signature, made_at_ms=self._clock.now_ms(),
            )  # fmt: skip

        return await self._database.write(work)

    async def of_show(self, show_id: str) -> tuple[ListedTickets, ...]:
        """The lists of a show, in the order of its deals."""
        query = (
            select(
                ticket_lists.c.deal_id, cards.c.title, deals.c.label, deals.c.fairness, ticket_lists.c.public_key,
                ticket_lists.c.made_at_ms,
            )
            .join(deals, deals.c.id == ticket_lists.c.deal_id)
            .join(cards, cards.c.id == deals.c.card_id)
            .where(ticket_lists.c.show_id == show_id)
            .order_by(cards.c.position, deals.c.position, deals.c.id)
        )  # fmt: skip
        async with self._database.read() as connection:
            return tuple(ListedTickets(*row) for row in await connection.execute(query))

    async def signed(self, show_id: str, deal_id: str) -> Signed:
        """The list of a deal. Refuses NOT_FOUND."""
        row = await self._row(show_id, deal_id)
        return Signed(row.body, row.signature, row.public_key)

    async def mark(self, show_id: str, deal_id: str, viewer_id: str) -> OwnMark:
        """How this viewer stands in the list, whether she does or not. Refuses NOT_FOUND where there is no list."""
        row = await self._row(show_id, deal_id)
        return OwnMark(viewer_id, nonce_of(row.salt, viewer_id), mark_of(row.salt, viewer_id))

    async def keys(self) -> tuple[str, ...]:
        """Every key that lists of this server are signed with, the present one first."""
        query = select(ticket_lists.c.public_key, func.max(ticket_lists.c.made_at_ms).label("at"))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.group_by(ticket_lists.c.public_key))).all()
        used = [row.public_key for row in sorted(rows, key=lambda row: -int(row.at))]
        return (self.public_key, *[key for key in used if key != self.public_key])

    async def _row(self, show_id: str, deal_id: str) -> "Row[Any]":
        query = select(ticket_lists).where(ticket_lists.c.deal_id == deal_id, ticket_lists.c.show_id == show_id)
        async with self._database.read() as connection:
            row: Row[Any] | None = (await connection.execute(query)).first()
        if row is None:
            raise Refused(R.NOT_FOUND, what="list of tickets")
        return row


async def _deal(connection: AsyncConnection, deal_id: str) -> "Row[Any]":
    drawn = (draws.c.seed, draws.c.salt, draws.c.drawn_at_ms, draws.c.entrants, draws.c.root, draws.c.void)
    query = (
        select(deals, cards.c.title, *drawn)
        .join(cards, cards.c.id == deals.c.card_id)
        .outerjoin(draws, draws.c.deal_id == deals.c.id)
        .where(deals.c.id == deal_id)
    )
    row: Row[Any] = (await connection.execute(query)).one()
    return row


def _movements_of(deal_id: str) -> Any:
    return select(movements).where(movements.c.deal_id == deal_id).order_by(movements.c.id)


def _list_of(deal: "Row[Any]", rows: Sequence["Row[Any]"], salt: str) -> TicketList:
    of_rid: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in rows:
        if row.viewer_id:
            of_rid.setdefault((row.viewer_id, row.rid), []).append(row)
    # Of a draw that was lost with its books half made nobody has a place: it was told as one of nobody.
    drawn = _places(of_rid.values()) if deal.drawn_at_ms is not None and deal.entrants else {}
    tickets = [
        ticket
        for (viewer_id, _), story in of_rid.items()
        if (ticket := _ticket(mark_of(salt, viewer_id), story, drawn)) is not None
    ]
    tickets.sort(key=lambda ticket: ticket.ticket)
    return TicketList(
        format="livecommerce.tickets.1",
        show_id=deal.show_id,
        deal_id=deal.id,
        title=deal.title,
        label=deal.label,
        fairness=deal.fairness,
        quota=sum(row.qty for row in rows if row.kind == "allotted"),
        limit=deal.limit_per_viewer,
        sold=sum(ticket.qty for ticket in tickets if ticket.outcome == "confirmed"),
        opened_at_ms=deal.opens_at_ms,
        tickets=tuple(tickets),
        draw=_draw_part(deal) if deal.seed else None,
    )


def _draw_part(deal: "Row[Any]") -> DrawPart:
    return DrawPart(
        commitment=commitment_of(deal.seed),
        seed=deal.seed,
        # Who was in it is told where it was made; closed in between, it is one of nobody.
        root=deal.root if deal.drawn_at_ms is not None else "",
        entrants=deal.entrants if deal.drawn_at_ms is not None else 0,
        window_seconds=deal.draw_seconds,
        drawn_at_ms=deal.drawn_at_ms,
        head_wants_more=deal.head_wants_more,
        void=tuple(msgspec.convert(each, VoidWindow) for each in deal.void or ()),
    )


def _begin(story: Sequence["Row[Any]"]) -> "Row[Any] | None":
    return next((row for row in story if row.kind in _BEGINNINGS), None)


def _placed(story: Sequence["Row[Any]"]) -> "Row[Any] | None":
    """The movement that gave an entrant her place: it stands under the ticket that was drawn."""
    begin = _begin(story)
    if begin is None or begin.kind != "entered":
        return None
    return next((row for row in story if row.kind in _PLACED), None)


def _places(stories: Any) -> dict[int, int]:
    """Drawn ticket → place in the order."""
    drawn = sorted(row.ticket for row in map(_placed, stories) if row is not None)
    return {ticket: place for place, ticket in enumerate(drawn, 1)}


def _ticket(who: str, story: Sequence["Row[Any]"], drawn: dict[int, int]) -> Ticket | None:
    begin = _begin(story)
    if begin is None:
        return None
    placed = _placed(story)
    kinds = [row.kind for row in story]
    told = [_OUTCOMES[kind] for kind in kinds if kind in _OUTCOMES]
    outcome: Outcome = "confirmed" if "confirmed" in told else told[-1] if told else "unknown"
    return Ticket(
        ticket=begin.ticket,
        who=who,
        qty=sum({row.line: row.qty for row in story if row.kind == begin.kind}.values()),
        at_ms=begin.at_ms,
        outcome=outcome,
        place=drawn.get(placed.ticket) if placed is not None else None,
        served=("held" if placed.kind == "held" else "waiting") if placed is not None and drawn else None,
    )
