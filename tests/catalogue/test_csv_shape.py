"""Bytes → rows: names of columns old and new, encodings, quotes, and where the trouble is."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.catalogue.csv_shape import FIELD_OF, read_sheet
from livecommerce.errors import R, Refused

OLD = "Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Variant Image"  # noqa: E501
NEW = "URL handle,Title,Description,Option1 name,Option1 value,SKU,Inventory quantity,Price,Compare-at price,Product image URL,Variant image URL"  # noqa: E501


def refused(data: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        read_sheet(data)
    assert caught.value.why is R.IMPORT
    return caught.value


def test_old_and_new_names_of_columns_mean_the_same() -> None:
    assert read_sheet(OLD.encode()).fields == read_sheet(NEW.encode()).fields
    assert len(read_sheet(NEW.encode()).fields) == 11


def test_capitals_in_names_of_columns_do_not_matter() -> None:
    assert FIELD_OF["variant price"] == FIELD_OF["price"] == "price"
    assert read_sheet(b"HANDLE,title\n").fields == {"handle": 0, "title": 1}


def test_a_byte_order_mark_is_accepted() -> None:
    sheet = read_sheet(b"\xef\xbb\xbfHandle,Title\na,A\n")
    assert sheet.cell(sheet.rows[0], "handle") == "a"


def test_quoted_newlines_keep_rows_together_and_lines_right() -> None:
    sheet = read_sheet(b'Handle,Title,Body (HTML)\r\na,A,"one\r\ntwo, ""three"""\r\nb,B,x\r\n')
    assert [(row.line, row.cells[2]) for row in sheet.rows] == [(2, 'one\r\ntwo, "three"'), (4, "x")]


def test_another_encoding_is_refused_with_line_and_column() -> None:
    latin = "Handle,Title\na,Thé\nb,Crème\n".encode("latin-1")
    why = refused(latin)
    assert why.facts == {"line": 2, "column": 5}
    assert "UTF-8" in why.text
    assert refused(b"\xef\xbb\xbf" + latin).facts == {"line": 2, "column": 5}
    assert refused("Handle,Title\na,A".encode("utf-16")).facts == {"line": 1, "column": 1}


@pytest.mark.parametrize(
    ("data", "says", "line", "column"),
    [
        (b"", "empty", 1, 1),
        (b"Title,Price\nA,1\n", "Handle", 1, 1),
        (b"Handle;Title\na;A\n", "semicolons", 1, 1),
        (b"Handle\tTitle\na\tA\n", "tabs", 1, 1),
        (b"Handle,Title,URL handle\n", "say the same", 1, 3),
        (b'Handle,Title\na,A\nb,"open\nc,C\n', "quotes", 3, 1),
        (b'Handle,Title\na,"A"x\n', "quotes", 2, 1),
        (b"Handle,Title\na,A\0\n", "NUL", 2, 4),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(data: bytes, says: str, line: int, column: int) -> None:
    why = refused(data)
    assert says in why.text
    assert why.facts == {"line": line, "column": column}


def test_empty_rows_and_empty_cells_at_the_end_are_nobodys_fault() -> None:
    sheet = read_sheet(b"Handle,Title,\na,A,,,\n\n,,\nb,B\n")
    assert [row.line for row in sheet.rows] == [2, 5]
    assert not any(sheet.is_ragged(row) for row in sheet.rows)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    caught: Refused | None = None
    try:
        read_sheet(b"Handle,Title\n" + data)
    except Refused as refusal:
        caught = refusal
    assert caught is None or (caught.why is R.IMPORT and caught.facts["line"] >= 1 and caught.facts["column"] >= 1)


cell = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(cell, cell, cell), max_size=6))
def test_every_cell_that_was_written_is_read_again(rows: list[tuple[str, str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("Handle", "Title", "Mine"), *rows])
    sheet = read_sheet(file.getvalue().encode())
    assert [row.cells for row in sheet.rows] == [row for row in rows if any(each.strip() for each in row)]
