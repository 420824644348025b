"""The shape of Shopify's product CSV: its columns under their old and new names, and bytes → numbered rows.

What arrives: the bytes of a file. What leaves: a `Sheet` whose rows know their line, with cells under our own column
names and everything unknown kept under the name the file gave it; or `Refused(IMPORT)` with `line` and `column` in
its facts where the file as a whole cannot be read. It knows nothing of what a product needs: that is `plan`.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from livecommerce.errors import R, Refused

Field = Literal[
    "handle", "title", "body", "vendor", "type", "tags", "published", "status",
    "option1_name", "option1", "option2_name", "option2", "option3_name", "option3",
    "sku", "barcode", "price", "was", "quantity", "grams", "requires_shipping", "taxable", "swatch",
    "image", "image_position", "image_alt", "variant_image",
]  # fmt: skip

# Our name, and the names it goes by: other tools', old exports', and last the one of today's exports.
NAMES: dict[Field, tuple[str, ...]] = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title",),
    "body": ("Body HTML", "Body (HTML)", "Description"),
    "vendor": ("Vendor",),
    "type": ("Type",),
    "tags": ("Tags",),
    "published": ("Published", "Published on online store"),
    "status": ("Status",),
    "option1_name": ("Option1 Name", "Option1 name"),
    "option1": ("Option1 Value", "Option1 value"),
    "option2_name": ("Option2 Name", "Option2 name"),
    "option2": ("Option2 Value", "Option2 value"),
    "option3_name": ("Option3 Name", "Option3 name"),
    "option3": ("Option3 Value", "Option3 value"),
    "sku": ("Variant SKU", "SKU"),
    "barcode": ("Variant Barcode", "Barcode"),
    "price": ("Variant Price", "Price"),
    "was": ("Compare At Price", "Variant Compare At Price", "Compare-at price"),
    "quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "grams": ("Variant Grams", "Weight value (grams)"),
    "requires_shipping": ("Variant Requires Shipping", "Requires shipping"),
    "taxable": ("Variant Taxable", "Charge tax"),
    "swatch": ("Variant Swatch",),  # ours: the colour of a shade as #rrggbb
    "image": ("Image Src", "Product image URL"),
    "image_position": ("Image Position", "Image position"),
    "image_alt": ("Image Alt Text", "Image alt text"),
    "variant_image": ("Variant Image", "Variant image URL"),
}
FIELD_OF: dict[str, Field] = {name.casefold(): field for field, names in NAMES.items() for name in names}

# Columns without a field of ours that still belong to the variant of their row, not to the product.
_VARIANT_EXTRA = frozenset(
    name.casefold()
    for name in (
        "Cost per item", "Inventory tracker", "Continue selling when out of stock", "Weight unit for display",
        "Fulfillment service", "Tax code", "Unit price total measure", "Unit price total measure unit",
        "Unit price base measure", "Unit price base measure unit",
    )
)  # fmt: skip

CELL_CHARACTERS_MAX = 131_072  # the csv module's own limit; a longer cell is a quote that was never closed
ROWS_MAX = 200_000
_WIDE_BOMS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def belongs_to_variant(column: str) -> bool:
    """True for an unknown column that says something about one variant rather than about the product."""
    folded = column.casefold()
    return folded.startswith(("variant ", "price /", "compare-at ")) or folded in _VARIANT_EXTRA


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the file. `line` is where it begins, counted from 1; a quoted cell may span several lines."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The file: its columns in order, and its rows. `fields` says at which index a field of ours stands."""

    columns: tuple[str, ...]
    fields: dict[Field, int]
    extra: tuple[int, ...]
    rows: tuple[Row, ...]

    def cell(self, row: Row, field: Field) -> str:
        """The stripped cell, or "" where the file has no such column."""
        index = self.fields.get(field)
        return "" if index is None else row.cells[index].strip()

    def raw(self, row: Row, field: Field) -> str:
        index = self.fields.get(field)
        return "" if index is None else row.cells[index]

    def has(self, field: Field) -> bool:
        return field in self.fields

    def column_of(self, field: Field) -> int | None:
        """The column's number as a spreadsheet counts it, from 1."""
        index = self.fields.get(field)
        return None if index is None else index + 1

    def is_ragged(self, row: Row) -> bool:
        return len(row.cells) != len(self.columns)


def read_sheet(data: bytes) -> Sheet:
    """The file as a sheet.

    A byte order mark is accepted. Refused as a whole, in this order: another encoding than UTF-8, NUL characters,
    quotes that do not close, no rows, no handle or title column, a column named twice, too many rows.
    """
    text = _decoded(data)
    records = _records(text)
    header = next(records, None)
    if header is None:
        raise _refused("it is empty. Export the products as CSV and try again.", 1, 1)
    columns = tuple(name.strip() for name in header.cells)
    while columns and not columns[-1]:
        columns = columns[:-1]
    fields, extra = _placed(columns, header.line)
    rows = []
    for record in records:
        if not any(cell.strip() for cell in record.cells):
            continue
        rows.append(Row(record.line, _without_empty_tail(record.cells, len(columns))))
        if len(rows) > ROWS_MAX:
            raise _refused(f"it has more than {ROWS_MAX} rows. Split it.", record.line, 1)
    return Sheet(columns, fields, extra, tuple(rows))


def _decoded(data: bytes) -> str:
    if data.startswith(_WIDE_BOMS):
        raise _refused("it is in UTF-16 or UTF-32. Save it as CSV in UTF-8.", 1, 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The decoder counts from after the mark, the file does not.
        start = error.start + (len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0)
        line, column = _place(data[:start].decode("utf-8-sig", "replace"))
        raise _refused(
            f"line {line}, character {column} is not UTF-8 (byte 0x{data[start]:02x}). Save it as CSV in UTF-8.",
            line, column,
        ) from None  # fmt: skip
    nul = text.find("\0")
    if nul >= 0:
        line, column = _place(text[:nul])
        raise _refused(f"line {line}, character {column} is a NUL. Save it as CSV in UTF-8.", line, column)
    return text


def _place(before: str) -> tuple[int, int]:
    """Line and character, both from 1, of what follows `before`."""
    text = before.replace("\r\n", "\n").replace("\r", "\n")
    return text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1


def _records(text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = f"the quotes of the row that begins on line {line} do not close properly ({error})."
            raise _refused(why, line, 1) from None
        yield Row(line, tuple(cells))
        line = reader.line_num + 1


def _placed(columns: tuple[str, ...], line: int) -> tuple[dict[Field, int], tuple[int, ...]]:
    fields: dict[Field, int] = {}
    extra: list[int] = []
    seen: dict[str, int] = {}
    for index, name in enumerate(columns):
        field = FIELD_OF.get(name.casefold())
        key = field or name.casefold()
        if key in seen and name:
            why = f'columns {seen[key] + 1} and {index + 1} ("{name}") say the same. Keep one of them.'
            raise _refused(why, line, index + 1)
        seen[key] = index
        if field is None:
            extra.append(index)
        else:
            fields[field] = index
    if "handle" not in fields:
        raise _refused(_no_handle(columns), line, 1)
    return fields, tuple(extra)


def _no_handle(columns: tuple[str, ...]) -> str:
    for separator, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and separator in columns[0]:
            return f"its columns are separated by {word}. Save it with commas."
    return 'its first line has no column "Handle" or "URL handle". The first line must name the columns.'


def _without_empty_tail(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    # Spreadsheets add empty cells at the end of rows; what stands in a cell beyond the header is never dropped.
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _refused(why: str, line: int, column: int) -> Refused:
    return Refused(R.IMPORT, why=why, facts={"line": line, "column": column})
