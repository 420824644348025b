"""Import of a product CSV into the ledger: nothing lost, nothing sold twice, each refusal with its place."""

import csv
import html
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageColor
from sqlalchemy import select

from livecommerce.catalogue import pools as moves
from livecommerce.catalogue.importer import FILE_BYTES_MAX, Report, import_bytes, import_products
from livecommerce.catalogue.money import format_minor
from livecommerce.catalogue.plan import clean_html, options_key
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import locations, pool_moves, pools, product_images, products, variants
from livecommerce.settings import Settings

DATA = Path(__file__).parent / "data"
HEAD = "Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty"


class Importing:
    """Imports text into the ledger under test, and reads what then stands there."""

    def __init__(self, database: Database, settings: Settings, clock: TestClock) -> None:
        self.database, self.settings, self.clock = database, settings, clock
        self.catalogue = Catalogue(database, settings, clock)

    async def file(self, text: str) -> Report:
        return await import_bytes(self.database, text.encode(), self.settings, clock=self.clock)

    async def rows(self, *lines: str) -> Report:
        return await self.file("\n".join((HEAD, *lines)) + "\n")

    async def all(self, table: Any) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(select(table))).all())


@pytest.fixture
def importing(database: Database, settings: Settings, clock: TestClock) -> Importing:
    return Importing(database, settings, clock)


async def in_order(importing: Importing) -> list[Any]:
    """Variants as a product lists them: a table has no order of its own."""
    return sorted(await importing.all(variants), key=lambda row: row.position)


def problems(report: Report) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column_name, problem.handle) for problem in report.refused]


# --- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["apparel.csv", "home-and-garden.csv"])
async def test_every_cell_of_a_real_catalogue_is_found_again(importing: Importing, name: str) -> None:
    report = await import_products(importing.database, DATA / name, importing.settings, clock=importing.clock)
    assert report.refused == ()
    records = list(csv.DictReader(io.StringIO((DATA / name).read_text(encoding="utf-8-sig"))))
    assert report.variants == len(records)
    by_handle = {row.handle: row for row in await importing.all(products)}
    by_options = {(row.product_id, row.options_key): row for row in await importing.all(variants)}
    images = await importing.all(product_images)
    stock = {row.variant_id: row.total for row in await importing.all(pools)}
    for record in records:
        product = by_handle[record["Handle"]]
        options = tuple(value for n in "123" if (value := record[f"Option{n} Value"]))
        variant = by_options[product.id, options_key(options)]
        for column, text in record.items():
            if text:
                kept = _kept(column, product, variant, images, stock)
                assert text in kept or (column.endswith("Price") and Decimal(text) in map(Decimal, kept)), column


def _kept(column: str, product: Any, variant: Any, images: list[Any], stock: dict[str, int]) -> list[str]:
    """Where a column's cell lies in the ledger; an unknown column lies in `extra`, under its own name."""
    own = [image for image in images if image.product_id == product.id]
    places: dict[str, list[str]] = {
        "Handle": [product.handle], "Title": [product.title], "Body (HTML)": [html.unescape(product.body_html)],
        "Vendor": [product.vendor], "Type": [product.type], "Tags": [", ".join(product.tags)],
        "Published": [str(product.published).lower()], "Variant Grams": [str(variant.grams)],
        "Variant Inventory Qty": [str(stock.get(variant.id))],
        "Variant Price": [format_minor(variant.price_minor, "EUR")],
        "Variant Compare At Price": [format_minor(variant.was_minor or 0, "EUR")],
        "Variant Requires Shipping": [str(variant.requires_shipping).lower()],
        "Variant Taxable": [str(variant.taxable).lower()],
        "Image Src": [image.source_url for image in own], "Image Position": [str(image.position) for image in own],
    }  # fmt: skip
    if column.startswith("Option"):
        return [*product.option_names, *variant.options]
    return places.get(column) or [product.extra.get(column, ""), variant.extra.get(column, "")]


async def test_importing_a_real_catalogue_again_changes_nothing(importing: Importing) -> None:
    first = await import_products(importing.database, DATA / "home-and-garden.csv", importing.settings)
    before = [await importing.all(table) for table in (products, variants, pools, product_images, pool_moves)]
    second = await import_products(importing.database, DATA / "home-and-garden.csv", importing.settings)
    assert (first.added, first.changed, first.unchanged) == (20, 0, 0)
    assert (second.added, second.changed, second.unchanged, second.units_moved) == (0, 0, 20, 0)
    assert before == [await importing.all(table) for table in (products, variants, pools, product_images, pool_moves)]


async def test_stock_goes_to_one_default_location_and_blank_skus_collide_with_nothing(importing: Importing) -> None:
    await import_products(importing.database, DATA / "apparel.csv", importing.settings)
    await import_products(importing.database, DATA / "home-and-garden.csv", importing.settings)
    (location,) = await importing.all(locations)
    assert location.is_default
    assert {row.location_id for row in await importing.all(pools)} == {location.id}
    assert {row.sku for row in await importing.all(variants)} == {""}


# --- shape of products ----------------------------------------------------------------------------------------------


async def test_new_headers_with_variants_pictures_and_details(importing: Importing) -> None:
    report = await importing.file(
        "Title,URL handle,Description,Status,Option1 name,Option1 value,SKU,Price,Compare-at price,Inventory quantity,"
        "Weight value (grams),Product image URL,Image position,Image alt text,Variant image URL,"
        "Scent notes (product.metafields.custom.scent_notes),Cost per item\n"
        "Lip,lip,<p>Soft</p>,Active,Shade,Rosewood,L1,29.00,35.00,24,12.4,https://x.example/1.jpg,1,Front,"
        'https://x.example/1.jpg,"Iris, fig",4.10\n'
        ",lip,,,,Red,L2,29.00,,5,12,https://x.example/2.jpg,2,Back,https://x.example/9.jpg,,4.20\n"
        ",lip,,,,,,,,,,https://x.example/3.jpg,3,Side,,,\n"
    )
    assert report.refused == ()
    facts = await importing.catalogue.product("lip")
    assert [(v.label, v.price_minor, v.was_minor, v.swatch) for v in facts.variants] == [
        ("Rosewood", 2900, 3500, ""), ("Red", 2900, None, "#ff0000"),
    ]  # fmt: skip
    assert [image.alt for image in facts.images] == ["Front", "Back", "Side", ""] or len(facts.images) == 4
    assert facts.variants[0].image == facts.images[0].medium
    assert [(detail.name, detail.text) for detail in facts.details] == [("Scent notes", "Iris, fig")]
    assert [row.grams for row in await in_order(importing)] == [12, 12]
    assert [row.extra["Cost per item"] for row in await in_order(importing)] == ["4.10", "4.20"]


async def test_html_is_made_harmless(importing: Importing) -> None:
    await importing.file(
        'Handle,Title,Body (HTML),Price\na,<b>A</b>,"<p onclick=""x()"">Hi<script>alert(1)</script>'
        '<img src=x onerror=y><a href=""javascript:z()"">l</a></p>",1\n'
    )
    facts = await importing.catalogue.product("a")
    assert "script" not in facts.body_html
    assert "onclick" not in facts.body_html
    assert "onerror" not in facts.body_html
    assert "Hi" in facts.body_html
    assert facts.title == "<b>A</b>"  # text stays text: pages put it in as text
    assert clean_html("plain & simple") == "plain &amp; simple"


async def test_drafts_are_not_published(importing: Importing) -> None:
    await importing.file("Handle,Title,Status,Published,Price\na,A,draft,TRUE,1\nb,B,active,FALSE,1\nc,C,active,,1\n")
    assert {row.handle: row.published for row in await importing.all(products)} == {"a": False, "b": False, "c": True}
    with pytest.raises(Refused) as caught:
        await importing.catalogue.product("a")
    assert caught.value.why is R.NOT_FOUND


# --- refusals, row by row -------------------------------------------------------------------------------------------


async def test_bad_rows_are_refused_with_line_and_column_while_the_good_ones_go_in(importing: Importing) -> None:
    report = await importing.rows(
        "good,Good,Size,S,10,1",
        ",Nameless,Size,S,10,1",  # 3: handle missing
        "bad handle!,X,Size,S,10,1",  # 4
        "good,,,M,-5,1",  # 5: negative price
        "good,,,L,9.999,1",  # 6: too fine
        "good,,,XL,ten,1",  # 7
        "good,,,S,11,1",  # 8: stands already
        "good,Another,,XXL,1,1",  # 9: another product's title
        "good,,,XXXL,10,-2",  # 10: negative stock
        "good,,,Y,10,1.5",  # 11
        "good,,,Z,10,1,surplus",  # 12: ragged
        "short,Short",  # 13: ragged
        ",,,,,",
        "free,Free,Size,S,,1",  # 15: no price
        "untitled,,Size,S,1,1",  # 16
        "good,,,Last,12,1",
    )
    assert problems(report) == [
        (3, "Handle", ""), (4, "Handle", "bad handle!"), (5, "Variant Price", "good"), (6, "Variant Price", "good"),
        (7, "Variant Price", "good"), (8, "Option1 Value", "good"), (9, "Handle", "good"),
        (10, "Variant Inventory Qty", "good"), (11, "Variant Inventory Qty", "good"), (12, "", "good"),
        (13, "Option1 Name", "short"), (15, "Variant Price", "free"), (16, "Title", "untitled"),
    ]  # fmt: skip
    assert all(problem.why and problem.what_to_do for problem in report.refused)
    assert [problem.column for problem in report.refused][:4] == [1, 1, 5, 5]
    assert report.added_handles == ("good",)
    assert [row.options[0] for row in await in_order(importing)] == ["S", "Last"]


async def test_a_bad_picture_address_costs_the_picture_not_the_variant(importing: Importing) -> None:
    report = await importing.file("Handle,Title,Price,Image Src\na,A,1,javascript:alert(1)\n")
    assert problems(report) == [(2, "Image Src", "a")]
    assert report.added_handles == ("a",)
    assert await importing.all(product_images) == []


async def test_bad_swatches_flags_and_weights_are_refused(importing: Importing) -> None:
    report = await importing.file(
        "Handle,Title,Price,Variant Swatch,Variant Taxable,Variant Grams\n"
        "a,A,1,reddish,,\nb,B,1,,perhaps,\nc,C,1,,,heavy\nd,D,1,#AABBCC,no,1.5\n"
    )
    assert [problem.column_name for problem in report.refused] == ["Variant Swatch", "Variant Taxable", "Variant Grams"]
    assert report.added_handles == ("d",)


async def test_files_that_are_too_large_or_missing_or_in_another_encoding_move_nothing(
    importing: Importing, tmp_path: Path
) -> None:
    for data, why in ((b"x" * (FILE_BYTES_MAX + 1), R.TOO_LARGE), ("Handle,é".encode("latin-1"), R.IMPORT)):
        with pytest.raises(Refused) as caught:
            await import_bytes(importing.database, data, importing.settings)
        assert caught.value.why is why
    with pytest.raises(Refused) as caught:
        await import_products(importing.database, tmp_path / "none.csv", importing.settings)
    assert caught.value.why is R.IMPORT
    assert await importing.all(products) == []
    assert await importing.all(locations) == []


# --- again ----------------------------------------------------------------------------------------------------------


async def test_a_second_import_updates_what_differs(importing: Importing) -> None:
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,10,5", "b,B,Title,Default Title,3,1")
    report = await importing.rows("a,A new,Shade,Red,12,5", "a,,,Blue,10,7", "b,B,Title,Default Title,3,1")
    assert (report.added, report.changed_handles, report.unchanged, report.units_moved) == (0, ("a",), 1, 2)
    facts = await importing.catalogue.product("a")
    assert facts.title == "A new"
    assert [(variant.label, variant.price_minor) for variant in facts.variants] == [("Red", 1200), ("Blue", 1000)]


async def test_columns_the_file_does_not_have_keep_what_is_stored(importing: Importing) -> None:
    await importing.file(
        "Handle,Title,Vendor,Option1 Name,Option1 Value,Price,Compare-at price,Inventory quantity,Mine\n"
        "a,A,House,Shade,Red,10,12,5,kept\na,,,,Blue,10,12,5,\n"
    )
    report = await importing.file("Handle,Title\na,A new\n")
    assert (report.changed_handles, report.refused) == (("a",), ())
    facts = await importing.catalogue.product("a")
    assert (facts.title, facts.vendor) == ("A new", "House")
    assert [(v.label, v.price_minor, v.was_minor, v.stock.words) for v in facts.variants] == [
        ("Red", 1000, 1200, "last 5"), ("Blue", 1000, 1200, "last 5"),
    ]  # fmt: skip
    assert (await importing.all(products))[0].extra == {"Mine": "kept"}


async def test_a_variant_left_out_of_the_file_is_retired_and_comes_back_with_it(importing: Importing) -> None:
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,10,5")
    (red, blue) = (await importing.catalogue.product("a")).variants
    await importing.rows("a,A,Shade,Red,10,5")
    assert [v.label for v in (await importing.catalogue.product("a")).variants] == ["Red"]
    assert (await importing.catalogue.variant(blue.variant_id)).retired
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,10,5")
    assert [v.variant_id for v in (await importing.catalogue.product("a")).variants] == [
        red.variant_id,
        blue.variant_id,
    ]


async def test_a_refused_row_retires_nothing(importing: Importing) -> None:
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,10,5")
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,-1,5")
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,10,5,surplus")
    assert [v.label for v in (await importing.catalogue.product("a")).variants] == ["Red", "Blue"]


async def test_prices_without_options_do_not_touch_a_product_with_variants(importing: Importing) -> None:
    await importing.rows("a,A,Shade,Red,10,5", "a,,,Blue,10,5")
    report = await importing.file("Handle,Title,Price\na,A,99\n")
    assert [problem.column_name for problem in report.refused] == ["Option1 value"]
    assert [v.price_minor for v in (await importing.catalogue.product("a")).variants] == [1000, 1000]


async def test_units_in_deals_and_sold_survive_an_import(importing: Importing) -> None:
    await importing.rows("a,A,Shade,Red,10,24")
    (variant,) = await importing.all(variants)
    where = (variant.id, (await importing.all(locations))[0].id, "dl_1")
    await importing.database.write(lambda connection: moves.allot(connection, "m1", *where, 20))
    await importing.database.write(lambda connection: moves.sold(connection, "m2", *where, 5))
    # (file says, total, available, in deals, sold, problems): 20 units are in deals or sold
    for says, total, available, refused in ((24, 24, 4, 0), (30, 30, 10, 0), (20, 20, 0, 0), (19, 20, 0, 1)):
        report = await importing.rows(f"a,A,Shade,Red,10,{says}")
        (pool,) = await importing.all(pools)
        assert (pool.total, pool.available, pool.in_deals, pool.sold) == (total, available, 15, 5)
        assert len(report.refused) == refused
    assert "20 units are in deals or sold" in report.refused[0].why
    assert report.refused[0].line == 2


async def test_the_file_counts_how_far_it_came(importing: Importing) -> None:
    told: list[tuple[int, int]] = []
    text = "Handle,Title,Price\n" + "".join(f"p{n},P{n},1\n" for n in range(90))
    report = await import_bytes(
        importing.database, text.encode(), importing.settings, lambda done, of: told.append((done, of))
    )
    assert told == [(40, 90), (80, 90), (90, 90)]
    assert report.summary == "90 added, 0 changed, 0 unchanged, 0 rows refused; 90 variants, +0 units"


async def test_a_shade_keeps_its_colour_after_somebody_else_looked_it_up(importing: Importing) -> None:
    ImageColor.getrgb("teal")  # Pillow now keeps numbers for it

    await importing.file("Title,URL handle,Option1 name,Option1 value,Price\nLiner,liner,Colour,Teal,9.00\n")

    (variant,) = (await importing.catalogue.product("liner")).variants
    assert variant.swatch == "#008080"
