"""The books of offers: rules as staff keeps them, and a row for every offer that went to somebody.

What arrives: rules of staff in scope; offers about to be told, and what became of them, many at a time. What leaves:
rules in their order, facts of goods and counters for the decision, counts for the console. Whether an offer is made is
`offers.py`. The row is written before she is told, and its id is made of whom, why and the how-manieth: two processes
that see the same moment write one row, and only the one that wrote it tells her.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import cards, deals, locations, offer_rules, offers_made, pools, products, variants
from livecommerce.people.identity import StaffIdentity
from livecommerce.protocol.facts import CounterFacts, OfferKind, OfferMoment
from livecommerce.shows.offers import RULES_MAX, Goods, NewOfferRule, OfferRule, refuse_shape
from livecommerce.shows.reading import read_show


@dataclass(frozen=True, slots=True)
class Made:
    """An offer that is about to be told."""

    offer_id: str
    viewer_id: str
    rule_id: str
    moment: OfferMoment
    kind: OfferKind
    about_deal_id: str
    deal_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of one. `taken` counts only for the deals that were offered, `noted` only for a counter."""

    offer_id: str
    viewer_id: str
    did: Literal["shown", "dismissed", "noted", "taken"]
    rid: str = ""
    deal_ids: tuple[str, ...] = ()


class OfferCount(msgspec.Struct, frozen=True):
    """How often something was offered, stood on a screen, was closed and was taken. `rule_id` "": the house's order."""

    rule_id: str
    moment: OfferMoment
    kind: OfferKind
    sent: int
    shown: int
    dismissed: int
    taken: int


def offer_id_of(*parts: str) -> str:
    """The id of an offer: the same parts, the same id, in every process."""
    return "off_" + hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class OfferBooks:
    """One per process; keeps nothing itself."""

    database: Database
    clock: Clock

    # --- for the decision ------------------------------------------------------------------------------------------

    async def rules(self, show_id: str) -> tuple[OfferRule, ...]:
        """The show's own rules in their order, then those of the whole shop."""
        async with self.database.read() as connection:
            return await _rules(connection, show_id)

    async def goods(self, show_id: str) -> dict[str, Goods]:
        """deal id → what the catalogue says of its product, for all deals of the show."""
        query = (
            select(deals.c.id, products.c.handle, products.c.type, products.c.tags)
            .join(variants, variants.c.id == deals.c.variant_id)
            .join(products, products.c.id == variants.c.product_id)
            .where(deals.c.show_id == show_id)
        )
        async with self.database.read() as connection:
            return {
                row.id: Goods(row.handle, row.type, frozenset(tag.strip().casefold() for tag in row.tags))
                for row in await connection.execute(query)
            }

    async def counters(self, variant_ids: Iterable[str]) -> dict[tuple[str, str], CounterFacts]:
        """(variant id, shop's place in the organisation) → its counter with what lies there now, where it has any."""
        query = (
            select(pools.c.variant_id, pools.c.available, locations)
            .join(locations, locations.c.id == pools.c.location_id)
            .where(pools.c.variant_id.in_(list(variant_ids)), pools.c.available > 0, locations.c.kind == "shop")
            .order_by(pools.c.available)  # of two counters of one shop the fuller one is named
        )
        async with self.database.read() as connection:
            return {
                (row.variant_id, row.org_unit_id): CounterFacts(
                    row.name, row.address, row.city, row.hours, row.available
                )
                for row in await connection.execute(query)
                if row.org_unit_id
            }

    async def keep(self, show_id: str, made: Sequence[Made], marks: Sequence[Mark]) -> set[str]:
        """Write what is about to be told and what became of earlier ones; the ids that are new, and only those are to
        be told. One transaction, whatever the number."""
        now_ms = self.clock.now_ms()

        async def work(connection: AsyncConnection) -> set[str]:
            new = await _insert_new(connection, show_id, made, now_ms) if made else set[str]()
            await _mark(connection, marks, now_ms)
            return new

        return await self.database.write(work)

    # --- for staff -------------------------------------------------------------------------------------------------

    async def of_show(self, staff: StaffIdentity, show_id: str) -> tuple[tuple[OfferRule, ...], tuple[OfferCount, ...]]:
        """Rules in force and what came of them in this show. Refuses NOT_FOUND, FORBIDDEN."""
        columns = (offers_made.c.rule_id, offers_made.c.moment, offers_made.c.kind)
        counted = (offers_made.c.shown_at_ms, offers_made.c.dismissed_at_ms, offers_made.c.taken_at_ms)
        query = (
            select(*columns, func.count(offers_made.c.id), *map(func.count, counted))
            .where(offers_made.c.show_id == show_id)
            .group_by(*columns)
            .order_by(*columns)
        )
        async with self.database.read() as connection:
            await _refuse_scope(connection, staff, show_id)
            rows = (await connection.execute(query)).all()
            return await _rules(connection, show_id), tuple(OfferCount(*row) for row in rows)

    async def add(self, staff: StaffIdentity, show_id: str, new: NewOfferRule) -> OfferRule:
        """A rule at the end. Refuses NOT_FOUND, FORBIDDEN (scope; everywhere without being a manager), OFFER_RULE,
        TOO_MANY."""
        refuse_shape(new)
        rule_id = new_id("rul")

        async def work(connection: AsyncConnection) -> OfferRule:
            await _refuse_place(connection, staff, show_id, new)
            if len(await _rules(connection, show_id)) >= RULES_MAX:
                raise Refused(R.TOO_MANY)
            last = await connection.scalar(select(func.max(offer_rules.c.position)))
            row = {**_row(show_id, new), "id": rule_id, "position": (last or 0) + 1, "removed": False}
            await connection.execute(insert(offer_rules).values(**row, created_at_ms=self.clock.now_ms()))
            return await _rule(connection, show_id, rule_id)

        return await self.database.write(work)

    async def change(self, staff: StaffIdentity, show_id: str, rule_id: str, new: NewOfferRule) -> OfferRule:
        """The rule said anew, in its place; what it counted stays. Refusals as `add`, and NOT_FOUND for the rule."""
        refuse_shape(new)

        async def work(connection: AsyncConnection) -> OfferRule:
            await _refuse_place(connection, staff, show_id, new)
            _refuse_everywhere(staff, (await _rule(connection, show_id, rule_id)).everywhere)
            change = update(offer_rules).where(offer_rules.c.id == rule_id)
            await connection.execute(change.values(**_row(show_id, new)))
            return await _rule(connection, show_id, rule_id)

        return await self.database.write(work)

    async def remove(self, staff: StaffIdentity, show_id: str, rule_id: str) -> None:
        """Take a rule away; what it counted stays in the books. Refuses NOT_FOUND, FORBIDDEN."""

        async def work(connection: AsyncConnection) -> None:
            await _refuse_scope(connection, staff, show_id)
            _refuse_everywhere(staff, (await _rule(connection, show_id, rule_id)).everywhere)
            await connection.execute(update(offer_rules).where(offer_rules.c.id == rule_id).values(removed=True))

        await self.database.write(work)

    async def order(self, staff: StaffIdentity, show_id: str, rule_ids: Sequence[str]) -> None:
        """Rules in this order: exactly the show's own, each once, or exactly those of all shows, for managers. The
        former always come first. Refuses NOT_FOUND, FORBIDDEN, and CONFLICT for any other list: somebody changed the
        rules meanwhile."""

        async def work(connection: AsyncConnection) -> None:
            await _refuse_scope(connection, staff, show_id)
            rules = await _rules(connection, show_id)
            everywhere = next((rule.everywhere for rule in rules if rule.rule_id in rule_ids), False)
            _refuse_everywhere(staff, everywhere)
            if sorted(rule_ids) != sorted(rule.rule_id for rule in rules if rule.everywhere == everywhere):
                raise Refused(R.CONFLICT)
            for place, rule_id in enumerate(rule_ids, 1):
                await connection.execute(update(offer_rules).where(offer_rules.c.id == rule_id).values(position=place))

        await self.database.write(work)


async def _rules(connection: AsyncConnection, show_id: str) -> tuple[OfferRule, ...]:
    query = select(offer_rules).where(offer_rules.c.show_id.in_((show_id, "")), offer_rules.c.removed.is_(False))
    rows = await connection.execute(query.order_by(offer_rules.c.show_id == "", offer_rules.c.position))
    return tuple(_facts(row) for row in rows)


async def _rule(connection: AsyncConnection, show_id: str, rule_id: str) -> OfferRule:
    found = next((rule for rule in await _rules(connection, show_id) if rule.rule_id == rule_id), None)
    if found is None:
        raise Refused(R.NOT_FOUND, what="rule")
    return found


def _facts(row: Row[Any]) -> OfferRule:
    return OfferRule(
        row.id, row.moment, row.offer_kind, row.offer_value, row.of_kind, row.of_value, row.words, row.at_most,
        not row.show_id,
    )  # fmt: skip


def _row(show_id: str, new: NewOfferRule) -> dict[str, Any]:
    words = {locale: said.strip() for locale, said in new.words.items() if said.strip()}
    return {
        "show_id": "" if new.everywhere else show_id,
        "moment": new.moment,
        "of_kind": new.of_kind,
        "of_value": new.of_value.strip(),
        "offer_kind": new.offer_kind,
        "offer_value": new.offer_value.strip(),
        "words": words,
        "at_most": new.at_most,
    }


async def _refuse_scope(connection: AsyncConnection, staff: StaffIdentity, show_id: str) -> None:
    if not staff.may_act_in((await read_show(connection, show_id)).org_path):
        raise Refused(R.FORBIDDEN)


def _refuse_everywhere(staff: StaffIdentity, everywhere: bool) -> None:
    if everywhere and staff.role not in ("admin", "manager"):
        raise Refused(R.FORBIDDEN)


async def _refuse_place(connection: AsyncConnection, staff: StaffIdentity, show_id: str, new: NewOfferRule) -> None:
    await _refuse_scope(connection, staff, show_id)
    _refuse_everywhere(staff, new.everywhere)
    await _must_exist(connection, show_id, new.of_kind, new.of_value.strip())
    await _must_exist(connection, show_id, new.offer_kind, new.offer_value.strip())


async def _must_exist(connection: AsyncConnection, show_id: str, kind: str, value: str) -> None:
    queries: Mapping[str, Any] = {
        "card": select(cards.c.id).where(cards.c.id == value, cards.c.show_id == show_id, cards.c.removed.is_(False)),
        "product": select(products.c.id).where(products.c.handle == value),
        "variant": select(variants.c.id).where(variants.c.id == value),
    }
    query = queries.get(kind)
    if query is not None and (await connection.execute(query)).first() is None:
        raise Refused(R.OFFER_RULE, why=f"there is no such {kind}")


async def _insert_new(connection: AsyncConnection, show_id: str, made: Sequence[Made], now_ms: int) -> set[str]:
    rows = [
        {
            "id": one.offer_id, "show_id": show_id, "viewer_id": one.viewer_id, "rule_id": one.rule_id,
            "moment": one.moment, "kind": one.kind, "about_deal_id": one.about_deal_id,
            "deal_ids": list(one.deal_ids), "at_ms": now_ms,
        }
        for one in made
    ]  # fmt: skip
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = dialect_insert(offers_made).values(rows).on_conflict_do_nothing().returning(offers_made.c.id)
    return set((await connection.execute(statement)).scalars())


_here = (offers_made.c.id == bindparam("offer"), offers_made.c.viewer_id == bindparam("viewer"))


def _first(column: Any) -> Any:
    """The first instant stands: a page that was loaded again may say the same twice."""
    return func.coalesce(column, bindparam("now"))


_MARKS: Mapping[str, Any] = {
    "shown": update(offers_made).where(*_here).values(shown_at_ms=_first(offers_made.c.shown_at_ms)),
    "dismissed": update(offers_made)
    .where(*_here, offers_made.c.taken_at_ms.is_(None))
    .values(
        shown_at_ms=_first(offers_made.c.shown_at_ms), dismissed_at_ms=_first(offers_made.c.dismissed_at_ms)
    ),
    "noted": update(offers_made)
    .where(*_here, offers_made.c.kind == "counter")
    .values(shown_at_ms=_first(offers_made.c.shown_at_ms), taken_at_ms=_first(offers_made.c.taken_at_ms)),
    "taken": update(offers_made)
    .where(*_here, offers_made.c.taken_at_ms.is_(None), offers_made.c.kind != "counter")
    .values(
        shown_at_ms=_first(offers_made.c.shown_at_ms),
        taken_at_ms=bindparam("now"),
        dismissed_at_ms=None,
        rid=bindparam("by"),
    ),
}  # fmt: skip


async def _mark(connection: AsyncConnection, marks: Sequence[Mark], now_ms: int) -> None:
    taken = [mark.offer_id for mark in marks if mark.did == "taken"]
    query = select(offers_made.c.id, offers_made.c.deal_ids).where(offers_made.c.id.in_(taken))
    offered = {row.id: set(row.deal_ids) for row in await connection.execute(query)} if taken else {}
    for did, statement in _MARKS.items():
        rows = [
            {"offer": mark.offer_id, "viewer": mark.viewer_id, "now": now_ms, **({"by": mark.rid} if mark.rid else {})}
            for mark in marks
            if mark.did == did and (did != "taken" or offered.get(mark.offer_id) == set(mark.deal_ids))
        ]
        if rows:
            await connection.execute(statement, rows)
