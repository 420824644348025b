"""The server under test, as its staff and its viewers meet it: over the HTTP API and the socket.

What arrives: an address and a staff account. What leaves: shows with cards and deals, commands, passes for the crowd
and one witness in a show; or `TargetError`, in words for whoever runs the test.
It knows the API and the protocol, and nothing of the server's insides.
"""

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from livecommerce import __version__
from livecommerce.client import Api, Closed, ShowSocket
from livecommerce.client.api import TIMEOUT_SECONDS
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import (
    CardFacts,
    CardListed,
    CardShown,
    CornerName,
    DealAnnounced,
    DealClosed,
    DealOpened,
    DealStatus,
    Level,
    Stamped,
)
from livecommerce.protocol.to_viewer import AnyToViewer, Levels, Snapshot, State, Welcome
from loadtest.measure.addresses import addresses_of, is_this_machine
from loadtest.orders import ViewerPass

T = TypeVar("T")

# A process that is replaced is away for seconds, and a door that asks for patience names less.
RETRY_SECONDS_MAX = 20.0
_RETRY_PAUSE_SECONDS_MAX = 1.0
_PASSES_A_CALL = 2000
_UNITS_A_CALL = 1_000_000
WITNESS_SECONDS_MAX = 30.0


class TargetError(Exception):
    """The server cannot be tested as it was asked for; `text` says why and what to do."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class ShopFacts(msgspec.Struct, frozen=True):
    """What the server says of itself to everybody."""

    name: str
    currency: str
    mode: Literal["demo", "development", "production"]
    version: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class CardHandle:
    card_id: str
    deal_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShowHandle:
    show_id: str
    cards: tuple[CardHandle, ...]

    @property
    def deal_ids(self) -> tuple[str, ...]:
        return tuple(deal_id for card in self.cards for deal_id in card.deal_ids)


class Target:
    """One server, signed in to. Use `async with await Target.open(…) as target`, or end it with `aclose`.

    Whatever it asks for carries an id of its own or changes nothing, and is asked again for some seconds where the
    server is away or asks for patience. Cancelling a call leaves its outcome unknown.
    """

    def __init__(self, api: Api, shop: ShopFacts, *, own: bool, verify: bool, warnings: tuple[str, ...]) -> None:
        """Use `open`."""
        self.api = api
        self.shop = shop
        self.warnings = warnings
        self._own = own
        self._verify = verify

    @classmethod
    async def open(
        cls, url: str, email: str, password: str, *, i_own_this_host: bool = False, verify: bool = True,
        own: bool = False, any_version: bool = False,
    ) -> "Target":  # fmt: skip
        """Signed in at the server as an administrator, with everything looked at that would stop a run later.

        Nothing is sent to a host that is not this machine unless `i_own_this_host`. `own` says that we started it:
        stock may then be added. Raises `TargetError`: no address, another machine, nothing listens, no livecommerce
        server, another version (a warning where only the last number differs), wrong password, a role that may not,
        rehearsals forbidden.
        """
        await refuse_other_machine(url, i_own_this_host)
        api = Api(url, verify=verify)
        try:
            shop = await _shop_of(api)
            warnings = _judge_version(shop, any_version)
            await _sign_in(api, email, password)
            if shop.mode == "production":
                await _refuse_without_rehearsals(api)
        except BaseException:
            await api.aclose()
            raise
        return cls(api, shop, own=own, verify=verify, warnings=warnings)

    async def __aenter__(self) -> "Target":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self.api.aclose()

    @property
    def url(self) -> str:
        return self.api.base_url

    def socket_url(self, show_id: str) -> str:
        return f"ws{self.url.removeprefix('http')}/live/{show_id}"

    # --- shows ------------------------------------------------------------------------------------------------------

    async def create_show(
        self, title: str, *, corner: CornerName = "open_house", cards: int, deals_per_card: int, quota: int,
        hold_seconds: int = 300, pay_seconds: int = 600, limit: int = 1,
    ) -> ShowHandle:  # fmt: skip
        """A draft with so many cards, each deal `quota` units of a variant of the target's own catalogue.

        Raises `TargetError` where the catalogue has too few variants or, on a server that is not ours, too little
        stock; nothing was made then.
        """
        plan = await self._variants_for(cards, deals_per_card, quota)
        try:
            show = await self._insist(lambda: self.api.post("/api/staff/shows", {"title": title, "corner": corner}))
            made = [await self._add_card(show["show_id"], row, quota, hold_seconds, pay_seconds, limit) for row in plan]
        except Refused as refused:
            raise TargetError(f"The server refuses the show “{title}”: {refused.text}") from None
        return ShowHandle(show["show_id"], tuple(made))

    async def _add_card(
        self, show_id: str, variant_ids: Sequence[str], quota: int, hold_seconds: int, pay_seconds: int, limit: int
    ) -> CardHandle:
        deals = [
            {
                "variant_id": variant_id, "quota": quota, "limit_per_viewer": limit, "hold_seconds": hold_seconds,
                "pay_seconds": pay_seconds, "hold_cap_seconds": 0,  # viewers that never tire
            }
            for variant_id in variant_ids
        ]  # fmt: skip
        body = {"kind": "deal", "deals": deals}
        # Asked once: a card has no id of the caller's, and a second one in the draft would be a card too many.
        card: dict[str, Any] = await self.api.post(f"/api/staff/shows/{show_id}/cards", body)
        return CardHandle(card["card_id"], tuple(deal["deal_id"] for deal in card["deals"]))

    async def go_live(self, show_id: str) -> None:
        """Raises `Refused`."""
        await self.command(show_id, do="go_live")

    async def end_show(self, show_id: str) -> None:
        """The show is over, whether we ended it or somebody else did. Raises `Refused`."""
        try:
            await self.command(show_id, do="end")
        except Refused as refused:
            if refused.why is not R.SHOW_OVER:
                raise

    async def command(self, show_id: str, **command: Any) -> None:
        """A command of the host (`do="show_card", card_id=…`), once, however often it must be asked. Raises `Refused`
        for what trying again cannot help, or did not within `RETRY_SECONDS_MAX`."""
        body = {"command_id": secrets.token_urlsafe(12), "command": command}
        await self._insist(lambda: self.api.post(f"/api/staff/shows/{show_id}/commands", body))

    async def set_line(self, show_id: str, card_id: str, text: str) -> None:
        """The card's talking line, where a planned moment travels (`loadtest.marks`). Raises `Refused`."""
        await self._insist(lambda: self.api.patch(f"/api/staff/shows/{show_id}/cards/{card_id}", {"line": text}))

    async def passes(self, show_id: str, count: int, minutes: int, prefix: str = "Viewer") -> list[ViewerPass]:
        """Passes of so many simulated newcomers, good for `minutes`. Raises `TargetError` where the server gives
        none: too old, in production without REHEARSALS=yes, or to a role that may not."""
        made: list[ViewerPass] = []
        while len(made) < count:
            body = {"count": min(_PASSES_A_CALL, count - len(made)), "prefix": prefix, "minutes": minutes}
            try:
                made += await self._passes_at_once(show_id, body)
            except Refused as refused:
                raise TargetError(f"The server gives no passes for simulated viewers: {refused.text}") from None
        return made

    async def _passes_at_once(self, show_id: str, body: dict[str, Any]) -> list[ViewerPass]:
        path = f"/api/staff/shows/{show_id}/rehearsal-passes"
        answer = await self._insist(lambda: self.api.post(path, body))
        return [ViewerPass(each["viewer_id"], each["token"]) for each in answer["passes"]]

    def witness(self, show_id: str, viewer_pass: ViewerPass) -> "Witness":
        """One more viewer, of our own, who tells what the room is told."""
        tls: ssl.SSLContext | None = None
        if self.url.startswith("https:") and not self._verify:
            tls = ssl.create_default_context()
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        return Witness(ShowSocket(self.socket_url(show_id), viewer_pass.token, ssl=tls))

    # --- stock ------------------------------------------------------------------------------------------------------

    async def _variants_for(self, cards: int, deals_per_card: int, quota: int) -> list[tuple[str, ...]]:
        """The variants of each card. A card has a variant once; the fullest ones are taken first, so that a catalogue
        with little stock carries as much as it can."""
        location_id, free = await self._free_units()
        if len(free) < deals_per_card:
            raise TargetError(
                f"The target's catalogue has {len(free)} variants on sale, and a card is to have {deals_per_card} "
                "deals, each of another variant. Import more products, or ask for fewer deals a card."
            )
        rows = []
        for _ in range(cards):
            row = sorted(free, key=lambda variant_id: -free[variant_id])[:deals_per_card]
            for variant_id in row:
                free[variant_id] -= quota
            rows.append(tuple(row))
        short = {variant_id: -units for variant_id, units in free.items() if units < 0}
        if short and not self._own:
            raise TargetError(
                f"The target's catalogue has too little stock: {cards} cards of {deals_per_card} deals with {quota} "
                f"units each need {sum(short.values())} units more than lie free. Add stock in the shop, or lower the "
                "quota; a server that is not ours gets no stock from a test."
            )
        for variant_id, units in short.items():
            for begin in range(0, units, _UNITS_A_CALL):
                await self._add_stock(variant_id, location_id, min(_UNITS_A_CALL, units - begin))
        return rows

    async def _free_units(self) -> tuple[str, dict[str, int]]:
        """The location that deals sell from, and what lies free there of each variant on sale."""
        try:
            locations = (await self._insist(lambda: self.api.get("/api/staff/locations")))["locations"]
            location_id = next((str(each["location_id"]) for each in locations if each["is_default"]), "")
            free: dict[str, int] = {}
            page, pages = 1, 1
            while page <= pages:
                number = str(page)
                found = await self._insist(lambda number=number: self.api.get("/api/staff/products", page=number))  # type: ignore[misc]
                free |= _free_units_on(found["products"], location_id)
                page, pages = page + 1, found["pages"]
        except Refused as refused:
            raise TargetError(f"The target's catalogue cannot be read: {refused.text}") from None
        return location_id, free

    async def _add_stock(self, variant_id: str, location_id: str, units: int) -> None:
        body = {
            "move_id": secrets.token_urlsafe(12), "variant_id": variant_id, "location_id": location_id, "delta": units,
        }  # fmt: skip
        await self._insist(lambda: self.api.post("/api/staff/stock", body))

    async def _insist(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, asked again for `RETRY_SECONDS_MAX` where the server is away or asks for patience."""
        deadline = asyncio.get_running_loop().time() + RETRY_SECONDS_MAX
        while True:
            try:
                return await ask()
            except Refused as refused:
                pause = min((refused.after_ms or 200) / 1000, _RETRY_PAUSE_SECONDS_MAX)
                if refused.why.value.status not in (429, 503) or asyncio.get_running_loop().time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)


def _free_units_on(products: Sequence[dict[str, Any]], location_id: str) -> dict[str, int]:
    return {
        str(variant["variant_id"]): sum(
            int(pool["available"]) for pool in variant["pools"] if pool["location_id"] == location_id
        )
        for product in products
        if product["published"]
        for variant in product["variants"]
        if not variant["retired"]
    }


class Witness:
    """A viewer of our own in a show: what the room was told last, and a way to wait for what it is told next.

    Use as `async with target.witness(…) as witness`; it is in the room once that was entered. It comes back by itself
    after breaks. Raises `TargetError` where it cannot come in.
    """

    def __init__(self, socket: ShowSocket) -> None:
        self.levels: dict[str, Level] = {}
        self.statuses: dict[str, DealStatus] = {}
        self.events: list[tuple[str, Stamped]] = []  # (epoch, event), as heard; what a break hid is not among them
        self._socket = socket
        self._welcomed = False
        self._changed = asyncio.Condition()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Witness":
        self._listening = asyncio.create_task(self._listen(), name="witness")
        try:
            await self.until(lambda: self._welcomed, "a welcome")
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._socket.aclose()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    @property
    def position(self) -> tuple[str, int]:
        """(epoch, offset) of the last event heard."""
        return self._socket.epoch, self._socket.offset

    @property
    def stock(self) -> dict[str, tuple[int, int, int, int, int]]:
        """Deal → available, held, paying, sold, waiting: as a sample of the run has it."""
        return {
            deal_id: (level.available, level.held, level.paying, level.sold, level.waiting)
            for deal_id, level in self.levels.items()
        }

    async def until(self, true: Callable[[], T], what: str, seconds: float = WITNESS_SECONDS_MAX) -> T:
        """What `true` says, once it is true of what was heard. Raises `TargetError` after `seconds`, or where the
        server sent the witness away."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                while not (result := true()):
                    self._refuse_to_wait_alone()
                    await self._changed.wait()
                return result
        except TimeoutError:
            raise TargetError(f"The witness in the show waited {seconds:.0f} s in vain for {what}.") from None

    async def seen(self, offset: int, seconds: float = WITNESS_SECONDS_MAX) -> None:
        """Return once the event with this offset was heard, or one after it."""
        await self.until(lambda: self._socket.offset >= offset, f"event {offset}", seconds)

    async def heard(
        self, kind: type[T], matches: Callable[[T], bool] = lambda _: True, *, after: int = 0,
        seconds: float = WITNESS_SECONDS_MAX,
    ) -> Stamped:  # fmt: skip
        """The first event of that kind which matches and came after offset `after`, once it was heard."""

        def found() -> Stamped | None:
            for _, stamped in self.events:
                if stamped.offset > after and isinstance(stamped.event, kind) and matches(stamped.event):
                    return stamped
            return None

        event = await self.until(found, kind.__name__, seconds)
        assert event is not None
        return event

    async def until_deals(
        self, deal_ids: Sequence[str], status: DealStatus, seconds: float = WITNESS_SECONDS_MAX
    ) -> None:
        """Return once the room was told that all these deals are in this status."""
        await self.until(
            lambda: all(self.statuses.get(deal_id) == status for deal_id in deal_ids), f"deals {status}", seconds
        )

    # --- listening --------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            async for message in self._socket:
                async with self._changed:
                    self._fold(message)
                    self._changed.notify_all()
        finally:
            async with self._changed:
                self._changed.notify_all()

    def _refuse_to_wait_alone(self) -> None:
        assert self._listening is not None, "the witness was not entered"
        if self._listening.done():
            error = None if self._listening.cancelled() else self._listening.exception()
            why = f"{error.code} {error.text}" if isinstance(error, Closed) else repr(error)
            raise TargetError(f"The server sent the witness in the show away: {why}")

    def _fold(self, message: AnyToViewer) -> None:
        match message:
            case Welcome(snapshot=snapshot):
                self._welcomed = True
                if isinstance(snapshot, Snapshot):
                    self._fold_snapshot(snapshot)
            case State(epoch, events):
                for stamped in events:
                    self.events.append((epoch, stamped))
                    self._fold_event(stamped)
            case Levels(deals=deals):
                self.levels.update(deals)

    def _fold_snapshot(self, snapshot: Snapshot) -> None:
        self.levels = dict(snapshot.levels)
        for card in snapshot.cards:
            self._fold_card(card)

    def _fold_card(self, card: CardFacts) -> None:
        self.statuses.update({deal.deal_id: deal.status for deal in card.deals})

    def _fold_event(self, stamped: Stamped) -> None:
        match stamped.event:
            case CardShown(card) | CardListed(card):
                self._fold_card(card)
            case DealAnnounced(deal_id=deal_id):
                self.statuses[deal_id] = "announced"
            case DealOpened(deal_id=deal_id):
                self.statuses[deal_id] = "open"
            case DealClosed(deal_id=deal_id):
                self.statuses[deal_id] = "closed"


# --- may it be tested at all? -----------------------------------------------------------------------------------------


async def refuse_other_machine(url: str, i_own_this_host: bool) -> None:
    """Raises `TargetError` for what is no address of a server, and, unless `i_own_this_host`, for a host of which any
    address is not this machine's own: ten thousand viewers are an attack where nobody asked for them."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise TargetError(f"{url} has no port that could exist.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"{url} is no address of a server; expected http://host:port or https://host.")
    try:
        addresses = await asyncio.to_thread(addresses_of, parts.hostname, port)
    except OSError as error:
        raise TargetError(f"The name {parts.hostname} leads nowhere: {error.strerror or error}.") from None
    others = [address for address in addresses if not is_this_machine(address)]
    if others and not i_own_this_host:
        raise TargetError(
            f"{parts.hostname} ({', '.join(others)}) is not this machine. A load test of somebody else's server is an "
            "attack. If it is yours, say so with --i-own-this-host."
        )


async def _shop_of(api: Api) -> ShopFacts:
    try:
        return await api.get("/api/shop", ShopFacts)
    except msgspec.DecodeError:
        raise TargetError(f"What answers at {api.base_url} is no livecommerce server.") from None
    except Refused as refused:
        if isinstance(refused.__cause__, httpx.HTTPError):
            raise TargetError(_no_answer(api.base_url, refused.__cause__)) from None
        if refused.why is R.NOT_FOUND:
            raise TargetError(f"What answers at {api.base_url} is no livecommerce server.") from None
        raise TargetError(f"The server at {api.base_url} cannot say what it is: {refused.text}") from None


def _no_answer(url: str, error: httpx.HTTPError) -> str:
    """Why no answer came, in words. The order is from the narrowest reason to the widest."""
    said = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            f"The certificate of {url} is not one this machine trusts. If it is your own, say so with --no-verify. "
            f"({said})"
        )
    if "SSL" in said:
        return f"What listens at {url} does not speak TLS. Try http:// instead. ({said})"
    if isinstance(error, httpx.ConnectTimeout):
        return f"{url} does not answer: no connection within the time allowed. Is a firewall in between?"
    if isinstance(error, httpx.ConnectError):
        return f"Nothing listens at {url}. Is the server running, and is this its port? ({said})"
    if isinstance(error, httpx.TimeoutException):
        return f"{url} took the connection and then said nothing for {TIMEOUT_SECONDS:.0f} s. Is the server stuck?"
    return f"{url} broke off instead of answering; is it a web server, and is it http or https? ({said})"


def _judge_version(shop: ShopFacts, any_version: bool) -> tuple[str, ...]:
    """Warnings. Refuses another major or minor version: the protocol may have moved."""
    if shop.version == __version__:
        return ()
    words = f"The server is version {shop.version}, this load tester {__version__}."
    if shop.version.split(".")[:2] != __version__.split(".")[:2] and not any_version:
        raise TargetError(f"{words} Use the load tester that came with the server, or insist with --any-version.")
    return (words,)


async def _sign_in(api: Api, email: str, password: str) -> None:
    try:
        signed_in: dict[str, Any] = await api.post("/api/login", {"email": email, "password": password})
        me: dict[str, Any] = await api.get("/api/me")
    except Refused as refused:
        raise TargetError(f"Signing in as {email} did not work: {refused.text}{_HINTS.get(refused.why, '')}") from None
    role = signed_in["staff"]["role"]
    if role != "admin":
        raise TargetError(f"{email} is {role} there, and only an admin may give passes to simulated viewers.")
    if me["staff"] is None:
        raise TargetError(
            f"The server's session is not kept at {api.base_url}: its cookies are for https. Use its public address."
        )


_HINTS = {
    R.WRONG_PASSWORD: " The password comes from LOADTEST_PASSWORD, else it is asked for.",
    R.ORIGIN: " It knows itself under another address: use its PUBLIC_URL.",
}


async def _refuse_without_rehearsals(api: Api) -> None:
    """A shop in production takes simulated viewers only where its owner allowed them."""
    try:
        await api.post("/api/staff/shows/none/rehearsal-passes", {"count": 1, "prefix": "Viewer", "minutes": 1})
    except Refused as refused:
        if refused.why is R.NOT_FOUND:  # no such show: it would have given passes for one
            return
        raise TargetError(
            "The server is in production and takes no simulated viewers. If it is to be tested all the same, start it "
            f"with REHEARSALS=yes, and take that back afterwards. ({refused.text})"
        ) from None
