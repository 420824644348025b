"""Endpoints of the demo's page. In every other mode they do not exist.

What arrives: a visitor, a press of one of the page's two buttons. What leaves: one-time codes for the three frames, the
sum of the round. "Kill the server" kills this very process, without a word of farewell; the supervisor starts the next.
"""

import asyncio
import os
import signal
from typing import Annotated

import msgspec
from starlette.responses import FileResponse, Response

from livecommerce.demo.board import Buyers, Phase, Wish, read_board, wish
from livecommerce.demo.goods import CLIP_FILES, GOODS
from livecommerce.demo.seed import read_cast
from livecommerce.demo.story import STEPS, Frame
from livecommerce.errors import R, Refused
from livecommerce.gateway.api import Call, Nothing, Table

table = Table()

_CODE_SECONDS = 120
# Long enough for the answer to leave before the process dies.
_KILL_AFTER_SECONDS = 0.15
_BUYERS_MAX = 2000


class StoryStep(msgspec.Struct, frozen=True):
    """A step of the story: the page has words for `key`, and turns to `frame`."""

    at_seconds: float
    key: str
    frame: Frame


class Arrived(msgspec.Struct, frozen=True):
    """What the page needs to open its three frames and to tell its story."""

    show_id: str
    you_code: str
    rival_code: str
    host_code: str
    arrived_at_ms: int
    story: tuple[StoryStep, ...]
    next_rearm_ms: int


class ServerState(msgspec.Struct, frozen=True):
    up: bool
    restarts: int


class Sum(msgspec.Struct, frozen=True):
    """The round so far. `oversold` counts units held or sold beyond those there are: it is 0, or we have failed."""

    phase: Phase
    story_began_ms: int
    units: int
    taps: int
    held: int
    sold: int
    oversold: int
    waiting: int
    slowest_answer_ms: int
    seconds_to_rearm: int
    buyers: Buyers
    server: ServerState


class BuyersRequest(msgspec.Struct, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=_BUYERS_MAX)] = 500


def _only_in_demo(call: Call) -> None:
    if call.parts.settings.mode != "demo":
        raise Refused(R.NOT_FOUND, what="page")


@table.post("/api/demo/arrive", answer=Arrived, refuses=(R.NOT_FOUND, R.UNAVAILABLE), csrf=False)
async def arrive(call: Call) -> Arrived:
    """A visitor arrives: three identities and a story that starts now."""
    _only_in_demo(call)
    parts = call.parts
    board = await read_board(parts.redis)
    if not board.show_id:
        raise Refused(R.UNAVAILABLE, after_ms=1000)
    cast = await asyncio.to_thread(read_cast, parts.settings)
    link = await parts.people.link_for(cast.host_account_id, board.show_id)
    you = await parts.people.new_viewer("You", link.link_id)
    rival = await parts.people.new_viewer("Rival", link.link_id)
    watch, desk = f"/watch/{board.show_id}", f"/console/shows/{board.show_id}"
    codes = parts.people.codes
    await wish(parts.redis, Wish("arrived", visitor_id=you.viewer_id, rival_id=rival.viewer_id))
    return Arrived(
        board.show_id,
        await codes.issue("viewer", you.viewer_id, watch, _CODE_SECONDS),
        await codes.issue("viewer", rival.viewer_id, watch, _CODE_SECONDS),
        await codes.issue("account", cast.host_account_id, desk, _CODE_SECONDS),
        parts.clock.now_ms(),
        tuple(StoryStep(step.at_seconds, step.key, step.frame) for step in STEPS),
        board.rearm_at_ms,
    )


@table.get("/api/demo/sum", answer=Sum, refuses=(R.NOT_FOUND,))
async def the_sum(call: Call) -> Sum:
    """The sum of the round that runs."""
    _only_in_demo(call)
    board = await read_board(call.parts.redis)
    left_ms = max(0, board.rearm_at_ms - call.parts.clock.now_ms())
    return Sum(
        board.phase,
        board.story_began_ms,
        board.units,
        board.taps,
        board.held,
        board.sold,
        board.oversold,
        board.waiting,
        board.slowest_answer_ms,
        -(-left_ms // 1000),
        board.buyers,
        ServerState(True, call.parts.settings.restarts),
    )


@table.post(
    "/api/demo/buyers",
    body=BuyersRequest,
    refuses=(R.NOT_FOUND, R.MALFORMED, R.TOO_MANY, R.UNAVAILABLE),
    csrf=False,
)
async def send_buyers(call: Call, body: BuyersRequest) -> Nothing:
    """Send a crowd of buyers, on sockets of their own: one crowd at a time, and none before the show is on air."""
    _only_in_demo(call)
    board = await read_board(call.parts.redis)
    if not board.show_id:
        raise Refused(R.UNAVAILABLE, after_ms=1000)
    if board.buyers.running:
        raise Refused(R.TOO_MANY, after_ms=5000)
    await wish(call.parts.redis, Wish("buyers", count=body.count))
    return Nothing()


@table.post("/api/demo/kill", refuses=(R.NOT_FOUND,), csrf=False)
async def kill(call: Call) -> Nothing:
    """Kill this web process (SIGKILL). Nobody is told; everybody comes back."""
    _only_in_demo(call)
    asyncio.get_running_loop().call_later(_KILL_AFTER_SECONDS, os.kill, os.getpid(), signal.SIGKILL)
    return Nothing()


@table.get("/demo/media/{name}", answer=Response, refuses=(R.NOT_FOUND,))
async def media(call: Call) -> Response:
    """The demo's clip and its poster."""
    _only_in_demo(call)
    name = call.path("name")
    if name not in CLIP_FILES:
        raise Refused(R.NOT_FOUND, what="file")
    return FileResponse(GOODS / name, headers={"cache-control": "public, max-age=3600"})
