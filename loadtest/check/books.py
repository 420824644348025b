"""The server's books, as an outsider gets them.

What arrives: an API signed in as admin or manager, and a show. What leaves: `Books` of one quiet moment, or the last
that could be had where it never became quiet; `Books.quiet` says which. It does not judge them.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from livecommerce.audit.books import AnyRow, BeginRow, Books
from livecommerce.client.api import Api
from livecommerce.clock import Clock, RealClock

# A busy worker copies some ten thousand movements a second; a payment that nobody pressed is no reason to wait.
PATIENCE_SECONDS = 60.0
_AGAIN_SECONDS = 0.25
_decode_lines = msgspec.json.Decoder(AnyRow).decode_lines


async def fetch_books(
    api: Api,
    show_id: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    keep: Path | None = None,
    clock: Clock | None = None,
) -> Books:
    """The show's books once nothing is under way (`Books.quiet`), or as they stand after `patience_seconds`.

    With `keep` the lines lie in that file as they came, for `books_from`. Raises `Refused` as the API does;
    `UNAVAILABLE` where it broke off. Cancelling it leaves at most a part of the file.
    """
    clock = clock or RealClock()
    deadline = clock.monotonic() + patience_seconds
    while True:
        last_try = clock.monotonic() >= deadline
        books = await _read(api, show_id, keep, only_if_quiet=not last_try)
        if books.quiet or last_try:
            return books
        await clock.sleep(_AGAIN_SECONDS)


def books_from(path: Path) -> Books:
    """The books that `fetch_books` kept in this file; a line that was cut off is left out: see `Books.whole`."""
    books = Books()
    with path.open("rb") as file:
        for line in file:
            with contextlib.suppress(msgspec.DecodeError):
                for row in _decode_lines(line):
                    books.take(row)
    return books


async def _read(api: Api, show_id: str, keep: Path | None, only_if_quiet: bool) -> Books:
    """All rows; only the first where something is under way and `only_if_quiet`: the rest would be read in vain."""
    books = Books()
    with contextlib.ExitStack() as open_files:
        file = open_files.enter_context(keep.open("wb")) if keep else None
        async with contextlib.aclosing(api.pieces(f"/api/staff/shows/{show_id}/books")) as pieces:
            async for rows in _rows(pieces, file):
                for row in rows:
                    books.take(row)
                if only_if_quiet and isinstance(rows[0], BeginRow) and books.pending.total:
                    break
    return books


async def _rows(pieces: AsyncIterator[bytes], file: BinaryIO | None) -> AsyncIterator[list[AnyRow]]:
    rest = b""
    async for piece in pieces:
        if file is not None:
            file.write(piece)
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline and (rows := _decode_lines(whole)):
            yield rows
