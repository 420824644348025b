"""The bag of the web shop: one hold per viewer and place, changed as a whole.

Putting an article into the bag reserves it: what lies in a bag is hers until its clock ends. A change is a new hold in
place of the old one, in one call of the script, so nobody takes her units in between. What arrives: what shall lie in
the bag. What leaves: bags with their clocks, or refusals. It takes no money: a bag is paid by a checkout.
"""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.channels.facts import Article, Bag, BagChange, Bags, Place, WantedLine
from livecommerce.channels.goods import Names, sum_of
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, shop_holds
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import keys
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings
from livecommerce.shelves.service import Shelves

# Rows that a look at her bags goes through; each place among them costs one call of the script.
ROWS_MAX = 40


class ShopBags:
    """One per process; keeps nothing."""

    def __init__(
        self, database: Database, engine: ReservationEngine, shelves: Shelves, names: Names, settings: Settings,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._database = database
        self._engine = engine
        self._shelves = shelves
        self._names = names
        self._settings = settings
        self._clock = clock

    async def all(self, viewer: ViewerIdentity) -> Bags:
        """Her bags that are kept or being paid, the most urgent first."""
        rows = await self._rows(viewer.viewer_id)
        live: dict[str, Hold] = {}
        for location_id in {row.location_id for row in rows}:
            live |= {hold.rid: hold for hold in await self._shelves.live_holds(location_id, viewer.viewer_id)}
        rows = [row for row in rows if row.rid in live and live[row.rid].state in ("held", "paying")]
        articles, places = await self._names.told(rows), await self._names.places()
        advisors = await self._advisors({row.advisor_id for row in rows if row.advisor_id})
        bags = [
            self._bag(live[row.rid], places[row.location_id], articles[row.rid], advisors.get(row.advisor_id, ""))
            for row in rows
        ]
        return Bags(tuple(sorted(bags, key=lambda bag: bag.due_at_ms or 0)))

    async def change(self, viewer: ViewerIdentity, change: BagChange) -> Bag:
        """The bag of this place holds these lines from now on, its clock begins anew. Safe to repeat.

        Refuses `QUANTITY`, `NOT_FOUND` (the bag to be replaced), `CONFLICT` (fact `rid`: a bag of this place that the
        page does not know of, from another tab), `BAG_TIME`, then as `Shelves.reserve`. A refusal leaves the bag that
        was there.
        """
        lines = self._checked(change.lines)
        since_ms = None
        if change.replaces:
            since_ms = await self._since(viewer.viewer_id, change)
        else:
            await self._refuse_a_second(viewer.viewer_id, change)
        hold = await self._shelves.reserve(
            "web", viewer, change.location_id, change.rid, lines, instead_of=change.replaces, bag_since_ms=since_ms
        )
        if change.replaces:
            await self._put_away(viewer.viewer_id, change.replaces)
        if hold.state not in ("held", "paying"):
            raise Refused(R.HOLD_GONE, facts={"state": hold.state})
        [row] = await self._named(viewer.viewer_id, change.rid)
        articles = (await self._names.told([row]))[change.rid]
        return self._bag(hold, await self._names.place(change.location_id), articles)

    async def let_go(self, viewer: ViewerIdentity, rid: str) -> Bags:
        """Give a bag back; a second call changes nothing. Refuses `NOT_FOUND`, and `CONFLICT` once it is being paid."""
        rows = await self._named(viewer.viewer_id, rid)
        if not rows or rows[0].channel not in ("web", "basket"):
            raise Refused(R.NOT_FOUND, what="bag")
        await self._engine.release(keys.pool_book(rows[0].location_id), viewer.viewer_id, rid)
        return await self.all(viewer)

    # --- steps ------------------------------------------------------------------------------------------------------

    def _checked(self, wanted: tuple[WantedLine, ...]) -> list[tuple[str, int]]:
        sums: dict[str, int] = {}
        for line in wanted:
            sums[line.variant_id] = sums.get(line.variant_id, 0) + line.qty
        most = self._settings.shop_limit
        for variant_id, qty in sums.items():
            if not 1 <= qty <= most:
                raise Refused(R.QUANTITY, most=most, facts={"variant_id": variant_id, "most": most})
        return list(sums.items())

    async def _since(self, viewer_id: str, change: BagChange) -> int:
        rows = await self._named(viewer_id, change.replaces)
        if not rows or rows[0].location_id != change.location_id or rows[0].channel not in ("web", "basket"):
            raise Refused(R.NOT_FOUND, what="bag")
        minutes = self._settings.bag_minutes_max
        since_ms = int(rows[0].bag_since_ms)
        repeated = await self._named(viewer_id, change.rid)
        if not repeated and self._clock.now_ms() - since_ms > minutes * 60_000:
            raise Refused(R.BAG_TIME, minutes=minutes)
        return since_ms

    async def _refuse_a_second(self, viewer_id: str, change: BagChange) -> None:
        query = select(shop_holds.c.rid).where(
            shop_holds.c.viewer_id == viewer_id, shop_holds.c.location_id == change.location_id,
            shop_holds.c.channel == "web", shop_holds.c.replaced.is_(False), shop_holds.c.rid != change.rid,
        )  # fmt: skip
        async with self._database.read() as connection:
            rids = set((await connection.execute(query)).scalars())
        if not rids:
            return
        for hold in await self._shelves.live_holds(change.location_id, viewer_id):
            if hold.rid in rids and hold.state == "held":
                raise Refused(R.CONFLICT, facts={"rid": hold.rid})

    async def _rows(self, viewer_id: str) -> list[Any]:
        query = (
            select(shop_holds)
            .where(shop_holds.c.viewer_id == viewer_id, shop_holds.c.channel.in_(("web", "basket")))
            .where(shop_holds.c.replaced.is_(False))
            .order_by(shop_holds.c.at_ms.desc())
        )
        async with self._database.read() as connection:
            return list((await connection.execute(query.limit(ROWS_MAX))).all())

    async def _named(self, viewer_id: str, rid: str) -> list[Any]:
        query = select(shop_holds).where(shop_holds.c.viewer_id == viewer_id, shop_holds.c.rid == rid)
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())

    async def _put_away(self, viewer_id: str, rid: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            mine = update(shop_holds).where(shop_holds.c.viewer_id == viewer_id, shop_holds.c.rid == rid)
            await connection.execute(mine.values(replaced=True))

        await self._database.write(work)

    async def _advisors(self, ids: set[str]) -> dict[str, str]:
        query = select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(ids))
        async with self._database.read() as connection:
            return {row.id: row.name for row in await connection.execute(query)}

    def _bag(self, hold: Hold, place: Place, articles: tuple[Article, ...], advisor: str = "") -> Bag:
        return Bag(
            book_id=hold.show_id, rid=hold.rid, place=place, state=hold.state, due_at_ms=hold.due_at_ms, lines=articles,
            subtotal_minor=sum_of(articles), currency=self._settings.currency, qty_most=self._settings.shop_limit,
            from_advisor=advisor,
        )  # fmt: skip
