"""The claims of one room: a line that was understood becomes a reservation; its author alone is told what came of it.

What arrives: what `shows/claims.py` read in a line that may be said. What leaves: one request to the engine under a rid
made of the line's own id, so that the same line is one claim however often it comes; and `Claimed`, with what was
understood or why not. It decides nothing about stock: the engine judges a claim as it judges a tap.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import structlog

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, HoldLine
from livecommerce.protocol.to_viewer import Claimed
from livecommerce.shows.claims import Claim, Unclear

if TYPE_CHECKING:
    from livecommerce.gateway.hall import Hall
    from livecommerce.gateway.hub import Hub
    from livecommerce.gateway.socket import LiveSocket

log = structlog.get_logger(__name__)

KNOWN_MAX = 5000  # lines remembered as having claimed, so that one that comes again is not said again
IN_FLIGHT_MAX = 8  # as for taps
# Refusals of the chat that do not keep a line that comes again from its answer.
ASKED_AGAIN = (R.REPEATED, R.SLOW_MODE)


def rid_of(cid: str) -> str:
    """The rid of the claim in the line `cid`. The engine keeps rids per viewer, so two people may share a cid."""
    return "clm_" + hashlib.blake2b(cid.encode("utf-8", "surrogatepass"), digest_size=15).hexdigest()


class ClaimDesk:
    """One per room and process."""

    def __init__(self, hub: "Hub", hall: "Hall") -> None:
        self._hub = hub
        self._hall = hall
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def knows(self, viewer_id: str, cid: str) -> bool:
        """True where this line claimed here before."""
        return (viewer_id, cid) in self._known

    def answer(self, socket: "LiveSocket", cid: str, read: Claim | Unclear) -> None:
        """Carry it out, or say why not. The answer is hers whatever becomes of the line in the chat."""
        assert socket.identity is not None
        self._remember(socket.identity.viewer_id, cid)
        if isinstance(read, Unclear):
            socket.send(self._unclear(cid, read))
            return
        rid, lines = rid_of(cid), [(deal_id, read.qty) for deal_id in read.deal_ids]
        try:
            if socket.in_flight >= IN_FLIGHT_MAX:
                raise Refused(R.TOO_MANY, after_ms=1000)
            self._hall.room.refuse_part_of_bundle(lines)
            mark = socket.address_mark
            asked = asyncio.ensure_future(
                self._hub.engine.reserve(socket.show_id, socket.identity, rid, lines, address=mark)
            )
        except Refused as refused:
            socket.send(self._refused(cid, rid, read, refused))
            return
        self._answer_later(socket, cid, rid, read, asked)

    def _answer_later(
        self, socket: "LiveSocket", cid: str, rid: str, claim: Claim, asked: "asyncio.Future[Hold]"
    ) -> None:
        started = self._hub.clock.monotonic()
        socket.in_flight += 1

        def tell(done: "asyncio.Future[Hold]") -> None:
            socket.in_flight -= 1
            if done.cancelled():
                return
            error = done.exception()
            if error is not None and not isinstance(error, Refused):
                log.error("claim_failed", show_id=socket.show_id, exc_info=error)
                error = Refused(R.INTERNAL)
            socket.tell(
                self._held(cid, rid, claim, done.result()) if error is None else self._refused(cid, rid, claim, error)
            )
            if error is not None and error.why is R.SOLD_OUT and socket.identity is not None:
                self._hall.offers.sold_out(socket.identity.viewer_id, error)
            self._hub.measure(socket.show_id, "reserve", self._hub.clock.monotonic() - started)

        asked.add_done_callback(tell)

    # --- in words -------------------------------------------------------------------------------------------------

    def _held(self, cid: str, rid: str, claim: Claim, hold: Hold) -> Claimed:
        name = self._hall.room.shelf.name(claim.deal_ids)
        if hold.state == "held":
            until = time.strftime("%H:%M UTC", time.gmtime((hold.due_at_ms or 0) / 1000))
            text = f"Reserved for you: {name} × {claim.qty}, until {until}."
        elif hold.state == "entered":
            text = f"You are in the draw: {name} × {claim.qty}."
        else:
            text = f"{name} × {claim.qty}: your claim is {hold.state}."
        return Claimed(cid, rid, text, claim.code, _lines(claim), hold)

    def _refused(self, cid: str, rid: str, claim: Claim, refused: Refused) -> Claimed:
        row = refused.why.value
        facts = {key: value for key, value in refused.facts.items() if value is None or isinstance(value, str | int)}
        text = f"{self._hall.room.shelf.name(claim.deal_ids)} × {claim.qty}: {refused.text}"
        if refused.why is R.SOLD_OUT and len(claim.deal_ids) == 1:
            text += f" You may wait: you would be number {refused.facts.get('place', 1)} in the line."
        return Claimed(
            cid, rid, text, claim.code, _lines(claim), None, row.number, row.word, row.again, refused.after_ms,
            facts=facts,
        )  # fmt: skip

    def _unclear(self, cid: str, unclear: Unclear) -> Claimed:
        shelf = self._hall.room.shelf
        codes = shelf.codes_now()
        labels = ", ".join(shelf.labels(unclear.choices))
        if unclear.why == "two_cards":
            row, text = R.CLAIM_ONE_CARD.value, R.CLAIM_ONE_CARD.value.text
        elif unclear.why in ("no_code", "nothing"):
            row = R.CLAIM_CODE.value
            text = f"{row.text} {'Now: ' + ', '.join(codes) + '.' if codes else 'Nothing can be claimed right now.'}"
        elif unclear.why == "words":
            row = R.CLAIM_WORDS.value
            text = f"{row.text.format(words=', '.join(unclear.words))} There are: {labels}."
        else:
            row = R.CLAIM_WHICH.value
            text = f"{row.text} There are: {labels}."
        facts: dict[str, str | int | None] = {"words": " ".join(unclear.words)} if unclear.words else {}
        return Claimed(
            cid, "", text, unclear.code, (), None, row.number, row.word, row.again, None, unclear.choices,
            codes, facts,
        )  # fmt: skip

    def _remember(self, viewer_id: str, cid: str) -> None:
        self._known[viewer_id, cid] = None
        self._known.move_to_end((viewer_id, cid))
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)


def _lines(claim: Claim) -> tuple[HoldLine, ...]:
    return tuple(HoldLine(deal_id, claim.qty) for deal_id in claim.deal_ids)
