"""What the merchant does not want to read in any of her shows: her word lists, kept in the ledger.

What arrives: lists as staff wrote them. What leaves: the same, cleaned and bounded, with a version, so that rooms make
their own form of it once; one process reads them once a second for all its rooms. Who changed them and when stands
beside them. It judges no line.
"""

from typing import Annotated, Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import talk_rules
from livecommerce.people.identity import StaffIdentity
from livecommerce.shows.reading import FRESH_SECONDS
from livecommerce.shows.starter_words import StarterList

ENTRIES_MAX = 2000
_ROW = 1  # one shop, one row

Entry = Annotated[str, msgspec.Meta(max_length=60)]
Entries = Annotated[tuple[Entry, ...], msgspec.Meta(max_length=ENTRIES_MAX)]


class EditTalkRules(msgspec.Struct, frozen=True):
    """The lists as a whole. `version` is the one that was read: where somebody changed them since, it is refused."""

    version: int
    words: Entries = ()
    allowed: Entries = ()
    link_hosts: Entries = ()
    starters: tuple[StarterList, ...] = ()


class KeptTalkRules(msgspec.Struct, frozen=True):
    """`words` no line may contain (`rooms/words.py` says how they are written), `allowed` phrases are never found,
    `link_hosts` are further places that links may lead to, `starters` are the ready lists that are switched on."""

    version: int = 0
    words: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    link_hosts: tuple[str, ...] = ()
    starters: tuple[StarterList, ...] = ()
    changed_at_ms: int | None = None
    changed_by: str = ""


class TalkRules:
    """One per process; what it keeps can be read again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: KeptTalkRules | None = None
        self._kept_at = float("-inf")

    async def get(self, *, fresh: bool = False) -> KeptTalkRules:
        """The merchant's word lists, at most a second old; `fresh` for whoever is about to edit them."""
        now = self._clock.monotonic()
        if fresh or self._kept is None or now - self._kept_at >= FRESH_SECONDS:
            async with self._database.read() as connection:
                self._kept = await _read(connection)
            self._kept_at = now
        return self._kept

    async def edit(self, staff: StaffIdentity, edit: EditTalkRules) -> KeptTalkRules:
        """The lists anew; every room follows within seconds. Refuses CONFLICT where they have another version than the
        one that was read, and MALFORMED for a host with blanks in it."""

        async def work(connection: AsyncConnection) -> KeptTalkRules:
            return await _write(connection, edit, staff.name, self._clock.now_ms())

        self._kept = await self._database.write(work)
        self._kept_at = self._clock.monotonic()
        return self._kept


async def _read(connection: AsyncConnection) -> KeptTalkRules:
    row = (await connection.execute(select(talk_rules).where(talk_rules.c.id == _ROW))).first()
    if row is None:
        return KeptTalkRules()
    lists: dict[str, Any] = dict(row.lists)
    made = {"version": row.version, "changed_at_ms": row.changed_at_ms, "changed_by": row.changed_by}
    return msgspec.convert({**lists, **made}, KeptTalkRules)


async def _write(connection: AsyncConnection, edit: EditTalkRules, by: str, now_ms: int) -> KeptTalkRules:
    if any(len(host.split()) != 1 for host in edit.link_hosts):
        raise Refused(R.MALFORMED, expected="hosts such as shop.example, one each", facts={"field": "link_hosts"})
    lists = {
        "words": _clean(edit.words), "allowed": _clean(edit.allowed), "link_hosts": _clean(edit.link_hosts),
        "starters": list(dict.fromkeys(edit.starters)),
    }  # fmt: skip
    values = {"lists": lists, "version": edit.version + 1, "changed_at_ms": now_ms, "changed_by": by}
    if edit.version == 0:
        if not await insert_new(connection, talk_rules, id=_ROW, **values):
            raise Refused(R.CONFLICT)
    else:
        same = (talk_rules.c.id == _ROW, talk_rules.c.version == edit.version)
        if (await connection.execute(update(talk_rules).where(*same).values(values))).rowcount == 0:
            raise Refused(R.CONFLICT)
    return await _read(connection)


def _clean(entries: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(entry for each in entries if (entry := " ".join(each.split()))))
