"""Staff accounts: made, given a new password, disabled; a login is proved here and nowhere else.

What arrives: an e-mail address, a name, a role, a place in the organisation, a password. What leaves: identities, or
refusals that do not tell a stranger which addresses have an account. Sessions and passes are others' business: the
account's `generation` is what they are measured against.
"""

import re
from typing import NamedTuple

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, org_units
from livecommerce.people.identity import StaffIdentity, StaffRole
from livecommerce.people.names import clean_name
from livecommerce.people.passwords import Passwords, refuse_weak

EMAIL_LENGTH_MAX = 254
_EMAIL = re.compile(r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")


class Account(NamedTuple):
    """An account that is not disabled."""

    staff: StaffIdentity
    generation: int


class Accounts:
    """The accounts of the shop."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def add(self, email: str, name: str, role: StaffRole, org_unit_id: str, password: str) -> StaffIdentity:
        """A new account. Raises `Refused`: `MALFORMED` address or name, `WEAK_PASSWORD`, `EXISTS`."""
        address = clean_email(email)
        shown = clean_name(name)
        refuse_weak(password, address, shown)
        kept_hash = await self._passwords.hash(password)
        account_id = new_id("acc")
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                insert(accounts).values(
                    id=account_id,
                    email=address,
                    name=shown,
                    password_hash=kept_hash,
                    role=role,
                    org_unit_id=org_unit_id,
                    created_at_ms=now_ms,
                )
            )

        try:
            await self._database.write(work)
        except IntegrityError:
            raise Refused(R.EXISTS, what="an account with this address") from None
        return (await self.find(account_id)).staff

    async def reset(self, email: str, password: str) -> None:
        """A new password; every session and pass of the account ends. Raises `NOT_FOUND`, `WEAK_PASSWORD`."""
        address = clean_email(email)
        row = await self._row(accounts.c.email == address)
        if row is None:
            raise Refused(R.NOT_FOUND, what="account")
        refuse_weak(password, address, row.name)
        kept_hash = await self._passwords.hash(password)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                update(accounts)
                .where(accounts.c.id == row.id)
                .values(password_hash=kept_hash, generation=accounts.c.generation + 1)
            )

        await self._database.write(work)

    async def disable(self, account_id: str) -> None:
        """The account can do nothing from the next request on. Its name stays on what it did."""
        now_ms = self._clock.now_ms()

        async def work(connection: AsyncConnection) -> None:
            changed = {"disabled_at_ms": now_ms, "generation": accounts.c.generation + 1}
            still_enabled = accounts.c.disabled_at_ms.is_(None)
            await connection.execute(update(accounts).where(accounts.c.id == account_id, still_enabled).values(changed))

        await self._database.write(work)

    async def prove(self, email: str, password: str) -> Account:
        """The account of this address and password. Raises `Refused(WRONG_PASSWORD)` after the same work, whether the
        address is unknown, the account disabled or the password wrong."""
        address = email.strip().lower()
        row = await self._row(accounts.c.email == address) if _is_email(address) else None
        usable = row is not None and row.disabled_at_ms is None
        right = await self._passwords.check(password, row.password_hash if row is not None and usable else None)
        if row is None or not right:
            raise Refused(R.WRONG_PASSWORD)
        if self._passwords.is_outdated(row.password_hash):
            await self._keep_stronger(row.id, row.generation, password)
        return _account(row)

    async def find(self, account_id: str) -> Account:
        """Raises `Refused(NOT_FOUND)` for an account that is not there or is disabled."""
        row = await self._row(accounts.c.id == account_id)
        if row is None or row.disabled_at_ms is not None:
            raise Refused(R.NOT_FOUND, what="account")
        return _account(row)

    async def _row(self, condition: object) -> "Row[tuple[object, ...]] | None":
        query: Select[tuple[object, ...]] = (
            select(accounts, org_units.c.path)
            .join(org_units, org_units.c.id == accounts.c.org_unit_id)
            .where(condition)  # type: ignore[arg-type]
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).first()

    async def _keep_stronger(self, account_id: str, generation: int, password: str) -> None:
        kept_hash = await self._passwords.hash(password)

        async def work(connection: AsyncConnection) -> None:
            unchanged = (accounts.c.id == account_id) & (accounts.c.generation == generation)
            await connection.execute(update(accounts).where(unchanged).values(password_hash=kept_hash))

        await self._database.write(work)


def clean_email(email: str) -> str:
    """Lower case, without spaces around it. Whether it is somebody's only a letter to it could tell."""
    address = email.strip().lower()
    if not _is_email(address):
        raise Refused(R.MALFORMED, expected="an e-mail address")
    return address


def _is_email(address: str) -> bool:
    return len(address) <= EMAIL_LENGTH_MAX and _EMAIL.match(address) is not None


def _account(row: "Row[tuple[object, ...]]") -> Account:
    staff = StaffIdentity(row.id, row.name, row.email, row.role, row.org_unit_id, row.path)
    return Account(staff, row.generation)
