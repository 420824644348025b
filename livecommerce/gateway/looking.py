"""How a show stands, for whoever films it or fetches its picture: asked again and again while the picture comes.

What arrives: a show's id. What leaves: its facts, or that nobody knows. The picture needs no ledger: where that is away
or hangs, it goes on, and the end of its show is noticed as soon as it is back. It does not know who asks.
"""

import asyncio

import structlog

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import ShowFacts
from livecommerce.shows.service import Shows

log = structlog.get_logger(__name__)

# Whoever looks does so between two pieces of the picture.
_PATIENCE_SECONDS = 1.0


async def facts_if_known(shows: Shows, show_id: str) -> ShowFacts | None:
    """The show's facts, at most a second old; None where nobody knows them now. Refuses NOT_FOUND."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await shows.facts(show_id)
    except Exception as error:  # a database that is away says so in many ways
        if isinstance(error, Refused) and error.why is R.NOT_FOUND:
            raise
        log.warning("nobody_knows_the_show", show_id=show_id, error=repr(error))
        return None


async def facts_last_known(shows: Shows, show_id: str) -> ShowFacts:
    """The show's facts; where nobody knows them now, as they were. Refuses NOT_FOUND, and as `Shows.facts` for a show
    that nobody asked for before."""
    before = shows.facts_before(show_id)
    return await shows.facts(show_id) if before is None else await facts_if_known(shows, show_id) or before


async def refuse_over(shows: Shows, show_id: str) -> None:
    """Refuses SHOW_OVER, NOT_FOUND; nothing where nobody knows."""
    facts = await facts_if_known(shows, show_id)
    if facts is not None and facts.status in ("ended", "cancelled"):
        raise Refused(R.SHOW_OVER)
