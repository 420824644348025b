"""The people of the shop, as the other parts know them: staff who sign in, viewers who come in, and how each is proved.

What arrives: credentials of any kind. What leaves: a `StaffIdentity` or a `ViewerIdentity`, passes for them, or a
refusal. Each kind of credential has a file of its own beside this one; here they are put together. HTTP, cookies and
origins are the door's business.
"""

from typing import NamedTuple

from redis.asyncio import Redis
from sqlalchemy import select

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, org_units
from livecommerce.people.accounts import Account, Accounts
from livecommerce.people.attempts import Attempts
from livecommerce.people.bans import Bans
from livecommerce.people.codes import Codes
from livecommerce.people.identity import StaffIdentity, StaffRole, ViewerIdentity
from livecommerce.people.links import Links, ShareLink
from livecommerce.people.merchant import ApiKeys
from livecommerce.people.organisation import Organisation, OrgUnit
from livecommerce.people.passwords import Passwords
from livecommerce.people.post import Post
from livecommerce.people.sessions import NewSession, Sessions
from livecommerce.people.texts import gateway_for
from livecommerce.people.tokens import Pass, Tokens
from livecommerce.people.verification import Verification
from livecommerce.people.viewers import NOBODY, Attribution, ViewerKind, Viewers
from livecommerce.settings import Settings


class Login(NamedTuple):
    staff: StaffIdentity
    session: NewSession


class Entered(NamedTuple):
    """Whom a one-time code signed in, the short pass, and the long one that renews it."""

    who: ViewerIdentity | StaffIdentity
    target: str
    token: Pass
    renewal: Pass


class People:
    """All ways in. Every method says in its docstring what it refuses; nothing here is kept between calls."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        settings: Settings,
        clock: Clock,
        passwords: Passwords | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self.tokens = Tokens(settings, clock)
        self.sessions = Sessions(database, clock)
        self.accounts = Accounts(database, clock, passwords or Passwords())
        self.organisation = Organisation(database)
        self.viewers = Viewers(database, clock)
        self.links = Links(database, settings, clock)
        self.codes = Codes(database, clock)
        self.api_keys = ApiKeys(database, clock)
        self.bans = Bans(database, clock)
        self.attempts = Attempts(redis, settings, clock)
        self.verification = Verification(
            database, self.attempts, Post(settings), gateway_for(settings), settings, clock
        )

    # --- staff ------------------------------------------------------------------------------------------------------

    async def add_account(self, email: str, name: str, role: StaffRole, unit: str, password: str) -> StaffIdentity:
        """A new account at `unit` (an id or a name; empty: headquarters, made at the first need).

        Raises `NOT_FOUND` for the unit, then what `Accounts.add` refuses.
        """
        place = await self._place(unit)
        return await self.accounts.add(email, name, role, place.org_unit_id, password)

    async def reset_password(self, email: str, password: str) -> None:
        """A new password; every session and pass of the account ends. Refuses as `Accounts.reset`."""
        await self.accounts.reset(email, password)

    async def login(self, email: str, password: str, address: str, replaces: str = "") -> Login:
        """A fresh session. Raises `LOCKED_OUT` with the time to wait, `WRONG_PASSWORD`; `UNAVAILABLE` without Redis.

        `address` is the client's, for the bound on attempts; `replaces` is the session the browser came with.
        """
        who = email.strip().lower()
        await self.attempts.count(who, address)
        account = await self.accounts.prove(email, password)
        await self.attempts.forgive(who, address)
        session = await self.sessions.begin(account.staff.account_id, account.generation, replaces)
        return Login(account.staff, session)

    async def staff_of_pass(self, token: str) -> tuple[StaffIdentity, int]:
        """Who a staff pass stands for and when it runs out. Raises `TOKEN_EXPIRED`, `TOKEN_INVALID`; the latter also
        where the account was reset or disabled since."""
        proved = self.tokens.staff(token)
        account = await self._still_there(proved.account_id, proved.generation)
        return account.staff, proved.expires_at_ms

    async def renew_staff(self, renewal: str) -> tuple[StaffIdentity, Pass]:
        """A new short pass for a long one. Refuses as `staff_of_pass`."""
        proved = self.tokens.staff_renewal(renewal)
        account = await self._still_there(proved.account_id, proved.generation)
        return account.staff, self.tokens.for_staff(account.staff.account_id, account.generation)

    async def pass_for_staff(self, staff: StaffIdentity) -> Pass:
        """A short pass for somebody whose session was just proved: the socket takes it."""
        account = await self.accounts.find(staff.account_id)
        return self.tokens.for_staff(staff.account_id, account.generation)

    # --- viewers ----------------------------------------------------------------------------------------------------

    async def new_viewer(self, name: str, link_id: str = "", kind: ViewerKind = "guest") -> ViewerIdentity:
        """A viewer, credited to the link she came by. Raises `MALFORMED` for the name, `NOT_FOUND` for the link."""
        return await self.viewers.make(name, kind, await self._came_by(link_id))

    async def change_viewer(self, viewer: ViewerIdentity, name: str, link_id: str = "") -> ViewerIdentity:
        """The same viewer with another name; a link is credited where none was before. Refuses as `new_viewer`."""
        return await self.viewers.change(viewer, name, await self._came_by(link_id))

    async def merchant_viewer(
        self,
        external_ref: str,
        name: str,
        kind: ViewerKind = "merchant",
        link_id: str = "",
        advisor_id: str = "",
        shop_id: str = "",
    ) -> ViewerIdentity:
        """The viewer of the merchant's own customer, the same each time. A link's attribution wins over the named
        advisor and shop. Raises `MALFORMED` for the name, `NOT_FOUND` for link, advisor or shop."""
        came_by = await self._came_by(link_id) if link_id else await self._credited(advisor_id, shop_id)
        return await self.viewers.of_merchant(external_ref, name, kind, came_by)

    async def enter(self, code: str) -> Entered:
        """Whom a one-time code signs in. Raises `CODE_SPENT`; also where the account behind it is gone."""
        spent = await self.codes.spend(code)
        try:
            if spent.kind == "viewer":
                viewer = await self.viewers.find(spent.subject_id)
                return Entered(
                    viewer, spent.target, self.tokens.for_viewer(viewer), self.tokens.renewal_for_viewer(viewer)
                )
            staff, generation = await self.accounts.find(spent.subject_id)
        except Refused as refused:
            raise Refused(R.CODE_SPENT) from refused
        return Entered(
            staff,
            spent.target,
            self.tokens.for_staff(staff.account_id, generation),
            self.tokens.renewal_for_staff(staff.account_id, generation),
        )

    # --- links and names --------------------------------------------------------------------------------------------

    async def link_for(self, advisor_id: str, show_id: str) -> ShareLink:
        """The advisor's own link to the show, made at the first asking. Raises `NOT_FOUND` for the advisor."""
        advisor = (await self.accounts.find(advisor_id)).staff
        return await self.links.default_for(advisor_id, await self.shop_of(advisor), show_id)

    async def shop_of(self, staff: StaffIdentity) -> str:
        """The shop a member of staff works in; empty for people of a region or of headquarters."""
        unit = await self.organisation.unit(staff.org_unit_id)
        return unit.org_unit_id if unit.kind == "shop" else ""

    async def names(self, advisor_id: str, shop_id: str) -> tuple[str, str]:
        """(advisor's name, shop's name) as customers read them; empty where there is none."""
        async with self._database.read() as connection:
            advisor = await connection.execute(select(accounts.c.name).where(accounts.c.id == advisor_id))
            shop = await connection.execute(select(org_units.c.name).where(org_units.c.id == shop_id))
            return advisor.scalar_one_or_none() or "", shop.scalar_one_or_none() or ""

    # --- helpers ----------------------------------------------------------------------------------------------------

    async def _still_there(self, account_id: str, generation: int) -> Account:
        try:
            account = await self.accounts.find(account_id)
        except Refused:
            raise Refused(R.TOKEN_INVALID) from None
        if account.generation != generation:
            raise Refused(R.TOKEN_INVALID)
        return account

    async def _place(self, unit: str) -> OrgUnit:
        root = await self.organisation.headquarters()
        if root is None:
            root = await self.organisation.add("headquarters", self._settings.shop_name)
        if not unit:
            return root
        for place in await self.organisation.below(root.path):
            if unit in (place.org_unit_id, place.name):
                return place
        raise Refused(R.NOT_FOUND, what="place in the organisation")

    async def _came_by(self, link_id: str) -> Attribution:
        if not link_id:
            return NOBODY
        link = await self.links.find(link_id)
        return Attribution(link.advisor_id, link.shop_id, link.link_id)

    async def _credited(self, advisor_id: str, shop_id: str) -> Attribution:
        if shop_id and (await self.organisation.unit(shop_id)).kind != "shop":
            raise Refused(R.NOT_FOUND, what="shop")
        if advisor_id:
            advisor = (await self.accounts.find(advisor_id)).staff
            shop_id = shop_id or await self.shop_of(advisor)
        return Attribution(advisor_id, shop_id, "")
