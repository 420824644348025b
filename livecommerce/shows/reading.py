"""From rows to a `ShowState`: how a show is read, with or without its lock.

What arrives: a connection and how the show's variants look (`Looks`, read from the catalogue before the transaction,
so that no lock is held while pictures are looked up). What leaves: `ShowState`, `ShowFacts`. It decides nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.facts import VariantFacts
from livecommerce.catalogue.service import Catalogue
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, cards, deals, draws, org_units, products, questions, shows, variants
from livecommerce.protocol.facts import (
    CardFacts,
    ClaimRules,
    DealFacts,
    DrawFacts,
    Interruption,
    Question,
    ShowFacts,
    VideoFacts,
)
from livecommerce.reservations.draw import commitment_of
from livecommerce.shows.state import AskedQuestion, PlannedCard, ShowState


@dataclass(frozen=True, slots=True)
class Looks:
    """How variants and products look now: picture, swatch, words. What is missing looks plain."""

    by_variant: Mapping[str, VariantFacts] = field(default_factory=dict)
    by_product: Mapping[str, VariantFacts] = field(default_factory=dict)


PLAIN = Looks()

# What one process keeps of what it read is no older, where others may have changed it.
FRESH_SECONDS = 1.0


async def read_looks(database: Database, catalogue: Catalogue, show_id: str) -> Looks:
    """The looks of everything the show's cards name."""
    of_deals = select(deals.c.variant_id).where(deals.c.show_id == show_id)
    of_products = (
        select(variants.c.id)
        .join(cards, cards.c.product_id == variants.c.product_id)
        .where(cards.c.show_id == show_id, cards.c.kind == "product")
    )
    async with database.read() as connection:
        wanted = list((await connection.execute(of_deals.union(of_products))).scalars())
    return looks_of(await catalogue.variants(wanted)) if wanted else PLAIN


def looks_of(by_variant: Mapping[str, VariantFacts]) -> Looks:
    by_product: dict[str, VariantFacts] = {}
    for variant in by_variant.values():
        by_product.setdefault(variant.product_id, variant)
    return Looks(by_variant, by_product)


async def lock_show(connection: AsyncConnection, show_id: str) -> None:
    """Take the show's row lock until the commit: decisions about one show, and ids of its log, follow one order.

    Refuses NOT_FOUND.
    """
    bump = update(shows).where(shows.c.id == show_id).values(version=shows.c.version + 1).returning(shows.c.id)
    if (await connection.execute(bump)).first() is None:
        raise Refused(R.NOT_FOUND, what="show")


async def read_show(connection: AsyncConnection, show_id: str) -> Row[Any]:
    """The show's row with its host's name and its place in the organisation. Refuses NOT_FOUND."""
    row: Row[Any] | None = (await connection.execute(_show_query().where(shows.c.id == show_id))).first()
    if row is None:
        raise Refused(R.NOT_FOUND, what="show")
    return row


async def read_shows(connection: AsyncConnection, *conditions: Any) -> list[Row[Any]]:
    """Rows as `read_show` gives them, in the order of their instants."""
    order = (shows.c.scheduled_at_ms, shows.c.created_at_ms, shows.c.id)
    return list((await connection.execute(_show_query().where(*conditions).order_by(*order))).all())


async def read_state(connection: AsyncConnection, show_id: str, looks: Looks, now_ms: int) -> ShowState:
    """The whole show. Refuses NOT_FOUND."""
    row = await read_show(connection, show_id)
    return ShowState(
        facts=show_facts(row),
        on_air=row.on_air_card_id,
        slow_seconds=row.slow_seconds,
        members_only=row.members_only,
        cards=await _read_cards(connection, show_id, looks),
        now_ms=now_ms,
        org_path=row.org_path,
        host_account_id=row.host_account_id,
        org_unit_id=row.org_unit_id,
        corner_settings=dict(row.corner_settings),
        recording=row.recording,
    )


async def read_questions(
    connection: AsyncConnection, show_id: str, question_ids: Sequence[str]
) -> tuple[AskedQuestion, ...]:
    """Those of them that are the show's, in the order of their asking."""
    query = select(questions).where(questions.c.id.in_(question_ids), questions.c.show_id == show_id)
    rows = await connection.execute(query.order_by(questions.c.at_ms, questions.c.id))
    return tuple(AskedQuestion(question_facts(row), row.viewer_id) for row in rows)


async def read_question(connection: AsyncConnection, show_id: str, question_id: str) -> AskedQuestion | None:
    query = select(questions).where(questions.c.id == question_id, questions.c.show_id == show_id)
    row = (await connection.execute(query)).first()
    return None if row is None else AskedQuestion(question_facts(row), row.viewer_id)


def show_facts(row: Row[Any]) -> ShowFacts:
    return ShowFacts(
        show_id=row.id,
        title=row.title,
        corner=row.corner,
        status=row.status,
        host_name=row.host_name,
        access=row.access,
        video=msgspec.convert(row.video, VideoFacts),
        scheduled_at_ms=row.scheduled_at_ms,
        launch_at_ms=row.launch_at_ms,
        started_at_ms=row.started_at_ms,
        ended_at_ms=row.ended_at_ms,
        about=row.about,
        limit_per_person=row.limit_per_person,
        claims=msgspec.convert(row.claims, ClaimRules),
        interruption=msgspec.convert(row.interruption, Interruption | None),
    )


def question_facts(row: Row[Any]) -> Question:
    return Question(row.id, row.name, row.text, row.votes, row.status, row.answer)


def draw_facts(row: Row[Any]) -> DrawFacts | None:
    """Of a row of `deals` with its draw beside it. Seed and root are told once the draw was made, never before."""
    if row.fairness != "draw":
        return None
    return DrawFacts(
        window_seconds=row.draw_seconds,
        commitment=commitment_of(row.seed) if row.seed else "",
        draws_at_ms=row.draws_at_ms,
        drawn_at_ms=row.drawn_at_ms,
        entrants=row.entrants if row.drawn_at_ms is not None else 0,
        seed=row.seed if row.drawn_at_ms is not None else "",
        root=row.root if row.drawn_at_ms is not None else "",
        again=len(row.void or ()),
    )


def deal_facts(row: Row[Any], looks: Looks) -> DealFacts:
    look = looks.by_variant.get(row.variant_id)
    return DealFacts(
        deal_id=row.id,
        variant_id=row.variant_id,
        label=row.label,
        swatch=look.swatch if look else "",
        image=look.image if look else "",
        price_minor=row.price_minor,
        was_minor=row.was_minor,
        quota=row.quota,
        limit_per_viewer=row.limit_per_viewer,
        hold_seconds=row.hold_seconds,
        pay_seconds=row.pay_seconds,
        status=row.status,
        opens_at_ms=row.opens_at_ms,
        closes_at_ms=row.closes_at_ms,
        level=row.level,
        head_wants_more=row.head_wants_more,
        limit_by=row.limit_by,
        address_cap=row.address_cap,
        hold_cap_seconds=row.hold_cap_seconds,
        pulled=row.pulled,
        options=look.options if look and look.label else (),
        draw=draw_facts(row),
    )


def _show_query() -> Select[Any]:
    return (
        select(shows, accounts.c.name.label("host_name"), org_units.c.path.label("org_path"))
        .join(accounts, accounts.c.id == shows.c.host_account_id)
        .join(org_units, org_units.c.id == shows.c.org_unit_id)
    )


async def _read_cards(connection: AsyncConnection, show_id: str, looks: Looks) -> tuple[PlannedCard, ...]:
    of_card: dict[str, list[DealFacts]] = {}
    drawn = (
        draws.c.seed, draws.c.draws_at_ms, draws.c.drawn_at_ms, draws.c.entrants, draws.c.root, draws.c.void,
    )  # fmt: skip
    with_draws = select(deals, *drawn).outerjoin(draws, draws.c.deal_id == deals.c.id)
    by_place = with_draws.where(deals.c.show_id == show_id).order_by(deals.c.position, deals.c.id)
    for row in await connection.execute(by_place):
        of_card.setdefault(row.card_id, []).append(deal_facts(row, looks))
    query = (
        select(cards, products.c.handle)
        .outerjoin(products, products.c.id == cards.c.product_id)
        .where(cards.c.show_id == show_id, cards.c.removed.is_(False))
        .order_by(cards.c.position, cards.c.id)
    )
    rows = await connection.execute(query)
    return tuple(_planned(row, tuple(of_card.get(row.id, ())), looks) for row in rows)


def _planned(row: Row[Any], its_deals: tuple[DealFacts, ...], looks: Looks) -> PlannedCard:
    look = looks.by_product.get(row.product_id or "")
    image = next(_images(its_deals), look.image if look else "")
    facts = CardFacts(
        card_id=row.id,
        kind=row.kind,
        title=row.title,
        line=row.line,
        product_handle=row.handle or "",
        image=image,
        deals=its_deals,
        bundle_minor=row.bundle_minor,
        code=row.code,
    )
    return PlannedCard(facts, row.state, row.hidden_until_launch, row.notes)


def _images(its_deals: Iterable[DealFacts]) -> Iterator[str]:
    return iter([deal.image for deal in its_deals if deal.image])
