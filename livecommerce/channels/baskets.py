"""An advisor's basket: an order she puts together for one customer, who opens it by its link or QR code and pays.

The units are set aside when the customer opens it, for as long as the advisor chose: links that nobody opens keep
nothing from anybody, and at the counter the code is scanned on the spot. Until then the page says what is still there.
From then on it is a bag of hers like any other, paid by a checkout, and the order credits the advisor. What arrives:
the advisor's wishes, the word of a link. What leaves: baskets, bags.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.channels.facts import Basket, NewBasket, Place, StaffBasket, StaffBaskets
from livecommerce.channels.goods import Names, sum_of
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, baskets, orders
from livecommerce.orders.pickup import qr_svg
from livecommerce.orders.service import Orders
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.people.service import People
from livecommerce.protocol.facts import Hold
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.goods import goods_at
from livecommerce.shelves.service import Shelves

# A link that was not opened by then is no longer good for anything; its prices may be another season's.
OPEN_DAYS = 14
LISTED_MAX = 100


class AdvisorBaskets:
    """One per process; keeps nothing."""

    def __init__(
        self, database: Database, engine: ReservationEngine, shelves: Shelves, orders_: Orders, people: People,
        names: Names, settings: Settings, clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._shelves = shelves
        self._orders = orders_
        self._people = people
        self._names = names
        self._settings = settings
        self._clock = clock

    # --- the advisor ------------------------------------------------------------------------------------------------

    async def make(self, staff: StaffIdentity, new: NewBasket) -> StaffBasket:
        """A basket with its link. Nothing is set aside yet. Refuses `QUANTITY`, `NOT_FOUND` (location),
        `NOT_SOLD_HERE`, `MALFORMED` for a longer time than the shop allows."""
        minutes_most = self._settings.basket_hours_max * 60
        if new.hold_minutes > minutes_most:
            raise Refused(R.MALFORMED, expected=f"hold_minutes up to {minutes_most}")
        lines = self._checked(new)
        await self._names.place(new.location_id)
        async with self._database.read() as connection:
            await goods_at(connection, new.location_id, [variant_id for variant_id, _ in lines], public=True)
        basket_id, now_ms = new_id("bsk"), self._clock.now_ms()
        row = {
            "id": basket_id, "link_word": secrets.token_urlsafe(16), "advisor_id": staff.account_id,
            "shop_id": await self._people.shop_of(staff), "location_id": new.location_id,
            "customer": new.customer.strip(), "note": new.note.strip(), "lines": lines,
            "hold_seconds": new.hold_minutes * 60, "state": "open", "at_ms": now_ms,
            "until_ms": now_ms + OPEN_DAYS * 86_400_000,
        }  # fmt: skip
        await self._database.write(lambda connection: connection.execute(insert(baskets).values(row)))
        return (await self._told_staff([await self._row(baskets.c.id == basket_id)]))[0]

    async def of_advisor(self, staff: StaffIdentity) -> StaffBaskets:
        """Her newest baskets, with what became of them."""
        query = select(baskets).where(baskets.c.advisor_id == staff.account_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(baskets.c.at_ms.desc()).limit(LISTED_MAX))).all()
        return StaffBaskets(tuple(await self._told_staff(rows)), self._settings.basket_hours_max * 60)

    async def withdraw(self, staff: StaffIdentity, basket_id: str) -> StaffBasket:
        """The link is good for nothing from now on. What the customer has set aside or ordered already stays hers.
        Refuses `NOT_FOUND`, also for another advisor's."""
        row = await self._row(baskets.c.id == basket_id)
        if row.advisor_id != staff.account_id:
            raise Refused(R.NOT_FOUND, what="basket")
        change = update(baskets).where(baskets.c.id == basket_id).values(state="withdrawn")
        await self._database.write(lambda connection: connection.execute(change))
        return (await self._told_staff([await self._row(baskets.c.id == basket_id)]))[0]

    # --- the customer -----------------------------------------------------------------------------------------------

    async def look(self, word: str, viewer: ViewerIdentity | None) -> Basket:
        """What lies in the basket of this link. Refuses `NOT_FOUND`."""
        row = await self._row(baskets.c.link_word == word)
        return (await self._told([row], viewer.viewer_id if viewer else ""))[0]

    async def take(self, viewer: ViewerIdentity, word: str) -> Hold:
        """Set the basket's units aside for her, for the time the advisor chose; it is her bag from now on. Who takes it
        first has it; a second call answers with the hold as it stands.

        Refuses `NOT_FOUND`, `CONFLICT` where it is withdrawn, ran out or is somebody else's, then as
        `Shelves.reserve`.
        """
        row = await self._row(baskets.c.link_word == word)
        taken = await self._database.write(lambda connection: self._claim(connection, row.id, viewer.viewer_id))
        if not taken:
            raise Refused(R.CONFLICT)
        hold = await self._shelves.reserve(
            "basket", viewer, row.location_id, row.id, [(variant_id, qty) for variant_id, qty in row.lines],
            credit=(row.advisor_id, row.shop_id),
        )  # fmt: skip
        if hold.state == "held":
            return await self._engine.keep(hold.show_id, viewer.viewer_id, row.id, row.hold_seconds * 1000)
        return hold

    # --- steps ------------------------------------------------------------------------------------------------------

    def _checked(self, new: NewBasket) -> list[tuple[str, int]]:
        sums: dict[str, int] = {}
        for line in new.lines:
            sums[line.variant_id] = sums.get(line.variant_id, 0) + line.qty
        most = self._settings.shop_limit
        for variant_id, qty in sums.items():
            if not 1 <= qty <= most:
                raise Refused(R.QUANTITY, most=most, facts={"variant_id": variant_id, "most": most})
        return list(sums.items())

    async def _claim(self, connection: AsyncConnection, basket_id: str, viewer_id: str) -> bool:
        row = (await connection.execute(select(baskets).where(baskets.c.id == basket_id).with_for_update())).one()
        if row.viewer_id == viewer_id:
            return True
        if row.viewer_id or row.state != "open" or row.until_ms <= self._clock.now_ms():
            return False
        await connection.execute(update(baskets).where(baskets.c.id == basket_id).values(viewer_id=viewer_id))
        return True

    async def _row(self, which: Any) -> Any:
        async with self._database.read() as connection:
            row = (await connection.execute(select(baskets).where(which))).one_or_none()
        if row is None:
            raise Refused(R.NOT_FOUND, what="basket")
        return row

    async def _told(self, rows: Sequence[Any], viewer_id: str) -> list[Basket]:
        query = select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_({row.advisor_id for row in rows}))
        async with self._database.read() as connection:
            names = {row.id: row.name for row in await connection.execute(query)}
        places = await self._names.places()
        return [
            await self._basket(row, viewer_id, names.get(row.advisor_id, ""), places[row.location_id]) for row in rows
        ]

    async def _basket(self, row: Any, viewer_id: str, advisor: str, place: Place) -> Basket:
        lines = await self._names.priced([(variant_id, qty) for variant_id, qty in row.lines])
        return Basket(
            row.link_word, self._state(row, viewer_id), advisor, row.customer, row.note, place, lines, sum_of(lines),
            self._settings.currency, row.hold_seconds // 60, row.until_ms,
        )  # fmt: skip

    def _state(self, row: Any, viewer_id: str) -> Literal["open", "taken", "gone"]:
        if row.viewer_id:
            return "taken" if row.viewer_id == viewer_id else "gone"
        return "open" if row.state == "open" and row.until_ms > self._clock.now_ms() else "gone"

    async def _told_staff(self, rows: Sequence[Any]) -> list[StaffBasket]:
        query = select(orders.c.rid, orders.c.status).where(orders.c.rid.in_([row.id for row in rows]))
        async with self._database.read() as connection:
            status = {row.rid: row.status for row in await connection.execute(query)}
        told = [(await self._told([row], row.viewer_id))[0] for row in rows]
        urls = [f"{self._settings.base_url}/basket/{row.link_word}" for row in rows]
        return [
            StaffBasket(row.id, basket, url, qr_svg(url), bool(row.viewer_id), status.get(row.id, ""))
            for row, basket, url in zip(rows, told, urls, strict=True)
        ]
