"""Signed lists of tickets, made as soon as a deal is closed and everything about it is in the ledger.

What arrives: nothing but time. What leaves: `ticket_lists`. A deal is closed in the ledger only when nobody holds or
pays any more; once nobody waits for it either, every entry about it is in the journal, so one copy of the journal made
after that has them all. Where Redis lost the deal, the list says of its open ends that nobody knows.
"""

from dataclasses import dataclass

import structlog

from livecommerce.background.journal import JournalToLedger
from livecommerce.errors import R, Refused
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.shows.tickets import TicketLists

log = structlog.get_logger(__name__)

MADE_AT_ONCE_MAX = 20


@dataclass(frozen=True, slots=True)
class TicketListDuty:
    """One leader's duty; two at once do no harm."""

    lists: TicketLists
    journal: JournalToLedger
    engine: ReservationEngine
    name: str = "ticket_lists"
    every_seconds: float = 2.37
    deadline_seconds: float = 60.0

    async def run(self, lease_epoch: int) -> None:
        """Make what can be made, some lists a turn. One deal's trouble never keeps the others waiting."""
        made = 0
        for show_id, deal_id in await self.lists.to_make():
            if made == MADE_AT_ONCE_MAX:
                return
            try:
                if await self._is_waited_for(show_id, deal_id):
                    continue  # a long line is let go in parts, heartbeat by heartbeat
                await self.journal.drain(show_id)
                if await self.lists.make(deal_id):
                    made += 1
                    log.info("ticket_list_signed", show_id=show_id, deal_id=deal_id)
            except Refused as refused:
                log.warning("ticket_list_waits", show_id=show_id, deal_id=deal_id, refusal=refused.why.value.word)

    async def _is_waited_for(self, show_id: str, deal_id: str) -> bool:
        try:
            _, levels = await self.engine.levels(show_id)
        except Refused as refused:
            if refused.why is not R.REBUILDING:
                raise
            return False
        level = levels.get(deal_id)
        return level is not None and level.waiting > 0
