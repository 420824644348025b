"""Fills an empty data folder with the demo's shop: places, people, goods with their pictures, stock.

What arrives: settings and a function that shows progress. What leaves: `Cast`, the ids that the director needs. It can
run again on the same folder: what is there stays, with everything the visitor made of it. Goods go in through the same
CSV import that a merchant uses. Shows are not made here: the director makes them over HTTP, as a host would.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from redis.asyncio import Redis

from livecommerce.catalogue.facts import NewLocation
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import RealClock
from livecommerce.demo.goods import GOODS
from livecommerce.demo.goods.pictures import pictures_of
from livecommerce.ledger.database import Database
from livecommerce.ledger.migrate import migrate
from livecommerce.people.service import People
from livecommerce.settings import Settings

Say = Callable[[str], None]

# (shop, street, town, hours)
_SHOPS = (
    ("Lyon Bellecour", "12 rue de la République", "Lyon", "Mon–Sat 10–19"),
    ("Annecy Vieille Ville", "4 rue Sainte-Claire", "Annecy", "Tue–Sat 10–18.30"),
    ("Grenoble Victor Hugo", "9 place Victor Hugo", "Grenoble", "Mon–Sat 10–19"),
)
_STAFF = (
    ("mei.lin@demo.example", "Mei Lin", "advisor", "Lyon Bellecour"),
    ("admin@demo.example", "Claire Aurelle", "admin", ""),
    ("moderator@demo.example", "Sam Petit", "moderator", "Lyon Bellecour"),
)
_COUNTER_UNITS = 6


@dataclass(frozen=True, slots=True)
class Cast:
    """Who and what the demo is made of; kept as JSON in the data folder."""

    password: str
    host_account_id: str
    admin_account_id: str
    warehouse_id: str
    counter_ids: tuple[str, ...]


def cast_path(settings: Settings) -> Path:
    return settings.data / "demo.json"


def read_cast(settings: Settings) -> Cast:
    """The cast of a seeded folder. Raises `FileNotFoundError` before the first seed."""
    kept = json.loads(cast_path(settings).read_text())
    return Cast(**kept | {"counter_ids": tuple(kept["counter_ids"])})


async def seed(settings: Settings, say: Say, *, pictures: bool = True) -> Cast:
    """Migrate the ledger and fill it where it is empty; drawing `pictures` takes most of the time. Returns the cast,
    old or new."""
    if not cast_path(settings).exists():
        _forget_half_a_seed(settings)
    await migrate(settings.sql_url)
    if cast_path(settings).exists():
        say("The shop is there already; what you made in it stays.")
        return read_cast(settings)
    database = Database(settings.sql_url)
    await database.start()
    redis = Redis()  # never connected: seeding signs nobody in
    try:
        clock = RealClock()
        cast, units = await _people(People(database, redis, settings, clock))
        catalogue = Catalogue(database, settings, clock)
        say("Importing the goods from a Shopify CSV.")
        counters = await _goods(catalogue, units)
        if pictures:
            say("Drawing the pictures.")
            await _add_pictures(catalogue)
        cast = replace(cast, warehouse_id=await catalogue.default_location(), counter_ids=counters)
    finally:
        await redis.aclose()
        await database.aclose()
    draft = cast_path(settings).with_suffix(".new")
    draft.write_text(json.dumps(asdict(cast)))
    draft.chmod(0o600)
    draft.rename(cast_path(settings))
    return cast


def _forget_half_a_seed(settings: Settings) -> None:
    """A seed that was interrupted left a ledger that no server ever ran on: it begins again from nothing."""
    for path in settings.data.glob("ledger.sqlite3*"):
        path.unlink()


async def _people(people: People) -> tuple[Cast, dict[str, str]]:
    """The cast so far, and the organisation unit of each shop by its name."""
    root = await people.organisation.headquarters() or await people.organisation.add("headquarters", "Maison Aurelle")
    region = await people.organisation.add("region", "Rhône-Alpes", root.org_unit_id)
    units = {
        shop[0]: (await people.organisation.add("shop", shop[0], region.org_unit_id)).org_unit_id for shop in _SHOPS
    }
    password = secrets.token_urlsafe(12)
    accounts = {
        email: await people.add_account(email, name, role, unit, password)  # type: ignore[arg-type]
        for email, name, role, unit in _STAFF
    }
    host = accounts[_STAFF[0][0]]
    admin = accounts[_STAFF[1][0]]
    return Cast(password, host.account_id, admin.account_id, "", ()), units


async def _goods(catalogue: Catalogue, units: dict[str, str]) -> tuple[str, ...]:
    await catalogue.import_csv((GOODS / "catalogue.csv").read_bytes())
    counters = []
    for name, street, town, hours in _SHOPS:
        made = await catalogue.add_location(NewLocation("shop", name, street, town, hours, units[name]))
        counters.append(made.location_id)
    await _stock_counters(catalogue, counters)
    return tuple(counters)


async def _add_pictures(catalogue: Catalogue) -> None:
    for picture in pictures_of(GOODS / "catalogue.csv"):
        await catalogue.add_image(picture.handle, picture.data, picture.alt, picture.options)


async def _stock_counters(catalogue: Catalogue, counters: list[str]) -> None:
    page = await catalogue.search(per_page=100)
    for product in page.products:
        facts = await catalogue.product(product.handle)
        for number, variant in enumerate(facts.variants):
            for place, counter in enumerate(counters):
                units = (number + place) % _COUNTER_UNITS
                if units:
                    move = f"seed:{variant.variant_id}:{counter}"
                    await catalogue.change_stock(move, variant.variant_id, counter, units)
