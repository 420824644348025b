"""Endpoints for whoever tests or audits a show: its books, and passes for simulated viewers.

What arrives: calls with a settled identity. What leaves: the rows of `audit.books` as lines of JSON, a piece at a time
with the loop free in between; and signed passes, which nothing remembers. It judges nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Annotated

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from livecommerce.audit.books import AnyRow, BooksReader, BrokenRow
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Table
from livecommerce.ids import new_id
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.names import clean_name
from livecommerce.people.tokens import Tokens

log = structlog.get_logger(__name__)
table = Table()

PASSES_MAX = 2000
MINUTES_MAX = 600
# Between two pieces the loop is free for about as long as a piece took: reading gets half of it at most.
_PAUSE_SECONDS = 0.003
_PASSES_PER_TURN = 100  # signing one takes about 20 µs
_encode_lines = msgspec.json.Encoder().encode_lines


class RehearsalRequest(msgspec.Struct, frozen=True):
    """`prefix` begins the name of each; a number follows. The passes are good for `minutes`."""

    count: Annotated[int, msgspec.Meta(ge=1, le=PASSES_MAX)]
    prefix: Annotated[str, msgspec.Meta(min_length=1, max_length=30)] = "Simulated"
    minutes: Annotated[int, msgspec.Meta(ge=1, le=MINUTES_MAX)] = 60


class RehearsalPass(msgspec.Struct, frozen=True):
    viewer_id: str
    token: str


class RehearsalPasses(msgspec.Struct, frozen=True):
    passes: tuple[RehearsalPass, ...]


@table.get(
    "/api/staff/shows/{show_id}/books",
    auth="staff",
    roles=("admin", "manager"),
    answer=Response,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.BUSY),
)
async def show_books(call: Call) -> Response:
    """Everything needed to prove from outside that a show's stock adds up, as lines of JSON (`application/x-ndjson`).

    Each line names its kind in `row`: `begin`, `pool`, `deal`, `level`, `hold`, `reservation`, `order`, `movement`,
    `event`, and `end`, without which the books are not whole; `broken` instead of it says why they are not. While
    `pending` is not 0 the books may rightly disagree: ask again.
    """
    parts, show_id = call.parts, call.path("show_id")
    await parts.shows.for_staff(call.the_staff(), show_id)  # refuses what is not there and what is not hers
    pieces = BooksReader(parts.database, parts.redis, parts.engine, parts.clock).pieces(show_id)
    first = await anext(pieces)  # what is away now is still refused with a status of its own
    return StreamingResponse(_lines(first, pieces), media_type="application/x-ndjson")


@table.post(
    "/api/staff/shows/{show_id}/rehearsal-passes",
    auth="staff",
    roles=("admin",),
    body=RehearsalRequest,
    answer=RehearsalPasses,
    refuses=(R.NOT_FOUND, R.FORBIDDEN, R.MALFORMED),
)
async def rehearsal_passes(call: Call, body: RehearsalRequest) -> RehearsalPasses:
    """Passes for simulated viewers of this show, who are marked as such wherever they speak; nothing is kept of them.

    They open this show only, and are not renewed. In production they are refused unless the setting REHEARSALS allows
    them, and so is whoever comes with one: they can take real stock.
    """
    settings, people, show_id = call.parts.settings, call.parts.people, call.path("show_id")
    if settings.mode == "production" and not settings.rehearsals:
        raise Refused(R.FORBIDDEN)
    staff = call.the_staff()
    await call.parts.shows.for_staff(staff, show_id)
    made: dict[str, RehearsalPass] = {}  # by id: two that were made within one millisecond might be alike
    while len(made) < body.count:
        made |= _sign(people.tokens, show_id, body, len(made), min(body.count - len(made), _PASSES_PER_TURN))
        await asyncio.sleep(0)
    log.info(
        "rehearsal_passes_minted", by=staff.account_id, show_id=show_id, count=body.count, minutes=body.minutes
    )  # fmt: skip
    return RehearsalPasses(tuple(made.values()))


def _sign(
    tokens: Tokens, show_id: str, body: RehearsalRequest, begin: int, count: int
) -> dict[str, RehearsalPass]:  # fmt: skip
    signed = {}
    for number in range(begin + 1, begin + count + 1):
        viewer = ViewerIdentity(new_id("vw"), clean_name(f"{body.prefix} {number}"), "simulated")
        token = tokens.for_rehearsal(viewer, show_id, body.minutes).token
        signed[viewer.viewer_id] = RehearsalPass(viewer.viewer_id, token)
    return signed


async def _lines(first: Sequence[AnyRow], pieces: AsyncGenerator[list[AnyRow], None]) -> AsyncIterator[bytes]:
    yield _encode_lines(first)
    try:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield _encode_lines(piece)
                await asyncio.sleep(_PAUSE_SECONDS)
    except Exception as error:
        # The status has gone out long since; the reader must still learn that this is not all.
        word = error.why.value.word if isinstance(error, Refused) else R.INTERNAL.value.word
        log.warning("books_broke_off", why=word, error=type(error).__name__)
        yield _encode_lines([BrokenRow(word)])
