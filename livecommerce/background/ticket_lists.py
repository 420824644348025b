"""Signed lists of tickets, made as soon as a deal is closed and everything about it is in the ledger.

What arrives: nothing but time. What leaves: `ticket_lists`. A deal is closed in the ledger only when nobody holds or
pays any more; by then every entry about it is in the journal, so one copy of the journal made after that has them all.
"""

from dataclasses import dataclass

import structlog

from livecommerce.background.journal import JournalToLedger
from livecommerce.errors import Refused
from livecommerce.shows.tickets import TicketLists

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TicketListDuty:
    """One leader's duty; two at once do no harm."""

    lists: TicketLists
    journal: JournalToLedger
    name: str = "ticket_lists"
    every_seconds: float = 2.37
    deadline_seconds: float = 60.0

    async def run(self, lease_epoch: int) -> None:
        """Make what can be made. One deal's trouble never keeps the others waiting."""
        for show_id, deal_id in await self.lists.to_make():
            try:
                await self.journal.drain(show_id)
                if await self.lists.make(deal_id):
                    log.info("ticket_list_signed", show_id=show_id, deal_id=deal_id)
            except Refused as refused:
                log.warning("ticket_list_waits", show_id=show_id, deal_id=deal_id, refusal=refused.why.value.word)
