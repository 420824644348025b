"""Rows of a sheet → drafts of products, and a list of what cannot be taken, with line, column and what to do.

What arrives: a `Sheet` and the shop's currency. What leaves: a `Plan`; nothing is read or written here. A bad cell
costs its own row, never the rows around it. It knows no database: whether a draft adds or changes is `importer`'s.
"""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import msgspec
import nh3
from PIL import ImageColor

from livecommerce.catalogue.csv_shape import Field, Row, Sheet, belongs_to_variant
from livecommerce.catalogue.facts import DEFAULT_OPTIONS
from livecommerce.catalogue.money import PriceError, parse_minor

HANDLE = re.compile(r"\w[\w-]{0,199}")
TITLE_CHARACTERS_MAX = 255
OPTION_CHARACTERS_MAX = 255
QUANTITY_MAX = 1_000_000
GRAMS_MAX = 10_000_000
VARIANTS_MAX = 2048
_OPTION_FIELDS: tuple[tuple[Field, Field], ...] = (
    ("option1_name", "option1"), ("option2_name", "option2"), ("option3_name", "option3"),
)  # fmt: skip
_YES, _NO = frozenset(("true", "yes", "1")), frozenset(("false", "no", "0"))
_SWATCH = re.compile(r"#[0-9a-fA-F]{6}")
_SHADE_OPTIONS = frozenset(("color", "colour", "couleur", "shade", "teinte", "tone", "颜色", "色号"))


class Problem(msgspec.Struct, frozen=True):
    """Why a row of the file was not taken (or not wholly). `column` counts from 1; 0 where it is about the row."""

    line: int
    column: int
    column_name: str
    handle: str
    why: str
    what_to_do: str


@dataclass(slots=True)
class VariantDraft:
    """One variant as the file has it. None: the file has no such column, what is stored stays."""

    line: int
    options: tuple[str, ...]
    price_minor: int | None
    was_minor: int | None
    has_was: bool
    sku: str | None
    barcode: str | None
    quantity: int | None
    grams: int | None
    requires_shipping: bool | None
    taxable: bool | None
    swatch: str
    image_url: str
    extra: dict[str, str]

    @property
    def key(self) -> str:
        return options_key(self.options)


@dataclass(frozen=True, slots=True)
class ImageDraft:
    url: str
    position: int
    alt: str


@dataclass(slots=True)
class ProductDraft:
    """One product as the file has it. None: the file has no such column, what is stored stays."""

    line: int
    handle: str
    title: str
    body_html: str | None = None
    vendor: str | None = None
    type: str | None = None
    tags: tuple[str, ...] | None = None
    published: bool | None = None
    option_names: tuple[str, ...] = ()
    variants: dict[str, VariantDraft] = field(default_factory=dict)
    images: dict[str, ImageDraft] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    # A row of this product was refused: what the file does not show may stand in that row, so nothing is retired.
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    products: tuple[ProductDraft, ...]
    problems: tuple[Problem, ...]
    has_images: bool
    has_options: bool
    # Where the file has each field of ours: the column's number from 1, and the name it gave it.
    columns: dict[Field, tuple[int, str]]


class _BadCell(Exception):
    def __init__(self, field: Field | None, why: str, what_to_do: str, *, column: int = 0, name: str = "") -> None:
        self.field, self.why, self.what_to_do, self.column, self.name = field, why, what_to_do, column, name


def options_key(options: tuple[str, ...]) -> str:
    """A variant's identity within its product: its option values, in order. SKUs are blank in real catalogues."""
    return json.dumps(options, ensure_ascii=False, separators=(",", ":"))


def clean_html(text: str) -> str:
    """Product text with the harmless markup kept; scripts, styles, events and foreign frames are gone."""
    return nh3.clean(text)


def make_plan(sheet: Sheet, currency: str) -> Plan:
    """What the file asks for. Each row is taken whole or refused with a problem of its own."""
    return _Planner(sheet, currency).plan()


class _Planner:
    def __init__(self, sheet: Sheet, currency: str) -> None:
        self.sheet = sheet
        self.currency = currency
        self.products: dict[str, ProductDraft] = {}
        self.problems: list[Problem] = []

    def plan(self) -> Plan:
        for row in self.sheet.rows:
            try:
                self._take(row)
            except _BadCell as bad:
                self._refuse(row, bad)
        for handle in {problem.handle.lower() for problem in self.problems} & self.products.keys():
            self.products[handle].incomplete = True
        has = self.sheet.has
        columns = {name: (index + 1, self.sheet.columns[index]) for name, index in self.sheet.fields.items()}
        return Plan(tuple(self.products.values()), tuple(self.problems), has("image"), has("option1"), columns)

    def _refuse(self, row: Row, bad: _BadCell) -> None:
        column = bad.column or (self.sheet.column_of(bad.field) if bad.field else None) or 0
        name = bad.name or (self.sheet.columns[column - 1] if 0 < column <= len(self.sheet.columns) else "")
        index = self.sheet.fields["handle"]
        handle = row.cells[index].strip()[:200] if index < len(row.cells) else ""
        self.problems.append(Problem(row.line, column, name, handle, bad.why, bad.what_to_do))

    def _take(self, row: Row) -> None:
        sheet = self.sheet
        if sheet.is_ragged(row):
            raise _BadCell(
                None,
                f"The row has {len(row.cells)} cells, the first line names {len(sheet.columns)} columns.",
                "Look for a missing or an unquoted comma in this row.",
                column=min(len(row.cells), len(sheet.columns)) + 1,
            )
        draft, is_first = self._product_of(row)
        if not is_first:
            self._check_title(row, draft)
        problem: _BadCell | None = None
        try:
            self._take_image(row, draft)
        except _BadCell as bad:
            problem = bad
        if self._has_variant(row) or (is_first and self.sheet.has("option1")):
            self._take_variant(row, draft)
        else:
            self._keep_extra(row, draft)
        if problem is not None:
            # The variant is taken; its picture is not, and the report says so.
            raise problem

    def _product_of(self, row: Row) -> tuple[ProductDraft, bool]:
        sheet = self.sheet
        handle = sheet.cell(row, "handle").lower()
        if not handle:
            raise _BadCell("handle", "The handle is missing.", "Write the product's handle in each of its rows.")
        if not HANDLE.fullmatch(handle):
            what = "Use letters, digits and hyphens, at most 200."
            raise _BadCell("handle", "The handle cannot stand in an address.", what)
        known = self.products.get(handle)
        if known is not None:
            return known, False
        title = sheet.cell(row, "title")
        if len(title) > TITLE_CHARACTERS_MAX:
            raise _BadCell("title", "The title is too long.", f"Use at most {TITLE_CHARACTERS_MAX} characters.")
        draft = ProductDraft(row.line, handle, title)
        self._fill_product(row, draft)
        self.products[handle] = draft
        return draft, True

    def _fill_product(self, row: Row, draft: ProductDraft) -> None:
        sheet = self.sheet
        if sheet.has("body"):
            draft.body_html = clean_html(sheet.raw(row, "body"))
        if sheet.has("vendor"):
            draft.vendor = sheet.cell(row, "vendor")
        if sheet.has("type"):
            draft.type = sheet.cell(row, "type")
        if sheet.has("tags"):
            draft.tags = tuple(dict.fromkeys(tag.strip() for tag in sheet.cell(row, "tags").split(",") if tag.strip()))
        if sheet.has("published") or sheet.has("status"):
            listed = self._flag(row, "published")
            draft.published = listed is not False and sheet.cell(row, "status").lower() in ("", "active")
        if sheet.cell(row, "status"):
            draft.extra["Status"] = sheet.cell(row, "status")
        draft.option_names = tuple(
            name for name_field, _ in _OPTION_FIELDS if (name := sheet.cell(row, name_field)[:OPTION_CHARACTERS_MAX])
        )
        draft.extra |= self._extra(row, of_variant=False)

    def _check_title(self, row: Row, draft: ProductDraft) -> None:
        title = self.sheet.cell(row, "title")
        if title and draft.title and title != draft.title:
            why = f'This handle belongs to "{draft.title}" of line {draft.line}.'
            raise _BadCell("handle", why, "Give this product a handle of its own.")

    def _has_variant(self, row: Row) -> bool:
        cell = self.sheet.cell
        return any(cell(row, name) for name in ("option1", "option2", "option3", "sku", "price", "quantity", "barcode"))

    def _take_variant(self, row: Row, draft: ProductDraft) -> None:
        options = self._options(row, draft)
        key = options_key(options)
        if key in draft.variants:
            why = f"{' / '.join(options)} stands already on line {draft.variants[key].line}."
            raise _BadCell("option1", why, "Keep one of the two rows.")
        if len(draft.variants) >= VARIANTS_MAX:
            raise _BadCell("option1", f"A product has at most {VARIANTS_MAX} variants.", "Split the product.")
        was = self._price(row, "was")
        draft.variants[key] = VariantDraft(
            line=row.line, options=options, price_minor=self._price(row, "price"), was_minor=was,
            has_was=self.sheet.has("was"), sku=self._text(row, "sku"), barcode=self._text(row, "barcode"),
            quantity=self._quantity(row), grams=self._grams(row),
            requires_shipping=self._flag(row, "requires_shipping"), taxable=self._flag(row, "taxable"),
            swatch=self._swatch(row, draft, options), image_url=self._url(row, "variant_image"),
            extra=self._variant_extra(row, draft),
        )  # fmt: skip

    def _options(self, row: Row, draft: ProductDraft) -> tuple[str, ...]:
        values = [self.sheet.cell(row, value_field) for _, value_field in _OPTION_FIELDS]
        while values and not values[-1]:
            values.pop()
        if any(len(value) > OPTION_CHARACTERS_MAX for value in values):
            raise _BadCell("option1", "An option is too long.", f"Use at most {OPTION_CHARACTERS_MAX} characters.")
        if values and not all(values):
            raise _BadCell("option1", "An option before the last one is empty.", "Fill the options from the first on.")
        if not values and draft.variants:
            raise _BadCell("option1", "This variant has no option.", "Say what tells it apart from the others.")
        return tuple(values) or DEFAULT_OPTIONS

    def _price(self, row: Row, name: Field) -> int | None:
        text = self.sheet.cell(row, name)
        if not text:
            return None
        try:
            return parse_minor(text, self.currency)
        except PriceError as error:
            raise _BadCell(name, f"{text[:40]} is not a price that can be taken.", str(error)) from None

    def _quantity(self, row: Row) -> int | None:
        text = self.sheet.cell(row, "quantity")
        if not text:
            return None
        if text.startswith("-"):
            raise _BadCell("quantity", f"Stock cannot be {text[:20]}.", "Write 0 or more.")
        if not (text.isascii() and text.isdigit()) or int(text) > QUANTITY_MAX:
            what = f"Write a whole number from 0 to {QUANTITY_MAX}."
            raise _BadCell("quantity", f"{text[:40]} is no number of units.", what)
        return int(text)

    def _grams(self, row: Row) -> int | None:
        text = self.sheet.cell(row, "grams")
        if not text:
            return None
        try:
            grams = Decimal(text)
        except InvalidOperation:
            grams = Decimal(-1)
        if not grams.is_finite() or not 0 <= grams <= GRAMS_MAX:
            raise _BadCell(
                "grams", f"{text[:40]} is no weight in grams.", "Write grams as a number, or leave it empty."
            )
        return round(grams)

    def _flag(self, row: Row, name: Field) -> bool | None:
        text = self.sheet.cell(row, name).lower()
        if not text:
            return None
        if text not in _YES | _NO:
            raise _BadCell(name, f"{text[:40]} is neither true nor false.", "Write TRUE or FALSE.")
        return text in _YES

    def _text(self, row: Row, name: Field) -> str | None:
        return self.sheet.cell(row, name)[:OPTION_CHARACTERS_MAX] if self.sheet.has(name) else None

    def _swatch(self, row: Row, draft: ProductDraft, options: tuple[str, ...]) -> str:
        given = self.sheet.cell(row, "swatch")
        if given:
            if not _SWATCH.fullmatch(given):
                raise _BadCell("swatch", f"{given[:40]} is no colour.", "Write it as #rrggbb, such as #9b4a4f.")
            return given.lower()
        # A shade whose name is a colour's name needs no hexadecimal number to be shown.
        for name, value in zip(draft.option_names, options, strict=False):
            if name.casefold() in _SHADE_OPTIONS:
                return _colour_named(value.casefold().replace(" ", ""))
        return ""

    def _url(self, row: Row, name: Field) -> str:
        url = self.sheet.cell(row, name)
        if url and (not url.lower().startswith(("https://", "http://")) or len(url) > 2048 or re.search(r"\s", url)):
            what = "Write an address that begins with https://, or upload the picture."
            raise _BadCell(name, "This is no web address of a picture.", what)
        return url

    def _take_image(self, row: Row, draft: ProductDraft) -> None:
        url = self._url(row, "image")
        if not url:
            return
        position = self.sheet.cell(row, "image_position")
        if position and not (position.isascii() and position.isdigit() and 0 < int(position) < 100_000):
            what = "Write 1, 2, 3 …, or leave it empty."
            raise _BadCell("image_position", f"{position[:20]} is no place of a picture.", what)
        if url not in draft.images:
            place = int(position) if position else len(draft.images) + 1
            draft.images[url] = ImageDraft(url, place, self.sheet.cell(row, "image_alt")[:512])

    def _extra(self, row: Row, *, of_variant: bool) -> dict[str, str]:
        columns = self.sheet.columns
        return {
            columns[index]: row.cells[index]
            for index in self.sheet.extra
            if row.cells[index].strip() and belongs_to_variant(columns[index]) == of_variant
        }

    def _variant_extra(self, row: Row, draft: ProductDraft) -> dict[str, str]:
        extra = self._extra(row, of_variant=True)
        # A product's column that says something else in a later row is kept with the variant of that row.
        for name, text in self._extra(row, of_variant=False).items():
            if draft.extra.get(name) != text:
                extra[name] = text
        return extra

    def _keep_extra(self, row: Row, draft: ProductDraft) -> None:
        """A row that only adds a picture: what else stands in it is kept with the product, numbered by its line."""
        for name, text in (self._extra(row, of_variant=False) | self._extra(row, of_variant=True)).items():
            if draft.extra.get(name) != text:
                draft.extra[f"{name} (line {row.line})"] = text


def _colour_named(name: str) -> str:
    """`#rrggbb` of a colour's name, "" for a word that is none. The map alone will not do: Pillow puts numbers in the
    place of the names that it has looked up."""
    if name not in ImageColor.colormap:
        return ""
    red, green, blue = ImageColor.getrgb(name)[:3]
    return f"#{red:02x}{green:02x}{blue:02x}"
