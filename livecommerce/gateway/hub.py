"""The hub: every socket of this process, the halls they sit in, and the few tasks that serve them all.

What arrives: admitted sockets, their typed messages, the relay's news. What leaves: answers, refusals with numbers,
and what halls tell their seats. It decides nothing about stock, shows or orders: it asks those who do, measures how
long they took, and turns their `Refused` into words for the one who asked. No task per viewer: a join, a question or a
release is a short task of its own; a reservation is a callback of the engine's batch.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import structlog
from redis.asyncio import Redis

from livecommerce.clock import Clock
from livecommerce.ending import end
from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.addresses import AddressMarks
from livecommerce.gateway.admission import Admission, Credits
from livecommerce.gateway.asked import Asked
from livecommerce.gateway.hall import DESK_ROLES, Hall
from livecommerce.gateway.http_line import HttpLines, make_http_line
from livecommerce.gateway.judge import Judged
from livecommerce.gateway.measures import (
    ANSWER,
    LOOP_LAG,
    RELAY_BREAKS,
    RELAY_LAG,
    RELAY_LOST,
    RELAY_UP,
    ROOMS,
    SOCKETS,
)
from livecommerce.gateway.socket import LiveSocket, make_protocol
from livecommerce.gateway.speech import Speech
from livecommerce.gateway.wheel import Wheel
from livecommerce.protocol.facts import Hold
from livecommerce.protocol.from_viewer import (
    Accept,
    AnyFromViewer,
    Delay,
    Hello,
    OfferSeen,
    Ping,
    Proof,
    React,
    Release,
    Reserve,
    Say,
    Token,
    Vote,
)
from livecommerce.protocol.to_viewer import Answer, Pong
from livecommerce.rooms.links import hosts_of
from livecommerce.rooms.moderation import TalkRules
from livecommerce.rooms.relay import Relay
from livecommerce.rooms.words import WordList
from livecommerce.settings import Settings
from livecommerce.shows.starter_words import STARTERS
from livecommerce.shows.talk_rules import KeptTalkRules

if TYPE_CHECKING:
    from livecommerce.gateway.door import Door
    from livecommerce.orders.service import Orders
    from livecommerce.reservations.batcher import Tell
    from livecommerce.reservations.engine import ReservationEngine
    from livecommerce.shows.offer_books import OfferBooks
    from livecommerce.shows.service import Shows

log = structlog.get_logger(__name__)

IN_FLIGHT_MAX = 8  # requests of one socket that wait for an answer
JOINS_MAX = 256  # welcomes being prepared at once: what is read together; the others queue, bounded by the sockets
# So many seconds' worth of accepts may be on the line without having proved who they are, and half the sockets at most:
# beyond it the one that has been there longest goes, so that a crowd that says nothing keeps nobody out.
STRANGERS_SECONDS = 2
COMPARE_SECONDS = 1.7  # uneven periods, so that the jobs of a process do not fall together
SECOND_SECONDS = 1.03
DRAIN_BATCHES_PER_SECOND = 10
DRAIN_BATCH_MIN = 50  # a small room goes at once
TALK_KEPT_SECONDS_MAX = 2.0  # for the lines that are not in the show log yet, when the process ends

_TAGS: dict[type[AnyFromViewer], str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(AnyFromViewer)}
_ANSWERS = {kind: ANSWER.of(kind) for kind in ("reserve", "release", "accept")}

# Which code a socket is closed with when its hello is refused; whatever is not listed may be tried again.
_CLOSE_FOR: dict[R, Close] = {
    R.TOKEN_EXPIRED: Close.TOKEN_EXPIRED,
    R.TOKEN_INVALID: Close.TOKEN_INVALID,
    R.SIGN_IN: Close.TOKEN_INVALID,
    R.ORIGIN: Close.FORBIDDEN,
    R.FORBIDDEN: Close.FORBIDDEN,
    R.NOT_INVITED: Close.FORBIDDEN,
    R.PLACES_TAKEN: Close.FORBIDDEN,
    R.BANNED: Close.BANNED,
    R.NOT_FOUND: Close.NOT_FOUND,
    R.SHOW_OVER: Close.SHOW_OVER,
    R.SERVER_FULL: Close.FULL,
    R.TOO_MANY: Close.FULL,
}


def rules_of(kept: KeptTalkRules, settings: Settings) -> TalkRules:
    """The merchant's lists and the server's settings as what rooms ask."""
    starters = [word for name in kept.starters for word in STARTERS[name]]
    words = WordList((*settings.banned_words, *starters, *kept.words), kept.allowed)
    return TalkRules(words, hosts_of((settings.base_url, *settings.allowed_origins, *kept.link_hosts)))


class Hub:
    """One per web process. `start` before the first socket; `drain` when it is about to stop; `aclose` last."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        redis: Redis,
        door: "Door",
        shows: "Shows",
        engine: "ReservationEngine",
        orders: "Orders",
        offers: "OfferBooks | None" = None,
        judge: "Judged | None" = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.door = door
        self.shows = shows
        self.engine = engine
        self.orders = orders
        self.offer_books = offers  # None: nothing is offered here
        self.judge = judge or Judged(None, settings, clock)
        self.talk_rules = rules_of(KeptTalkRules(), settings)
        self._talk_rules_version = -1
        self.process_id = secrets.token_hex(6)
        self.admission = Admission(settings, clock.monotonic())
        self._marks = AddressMarks(settings.secret)
        self._speech = Speech(self)
        self.wheel = Wheel(clock.monotonic())
        self.relay = Relay(redis, clock, self._heard, self._relay_changed, RELAY_LAG.observe)
        self.joins = asyncio.Semaphore(JOINS_MAX)
        self.rooms: dict[str, Hall] = {}
        self._opening: dict[str, asyncio.Task[Hall]] = {}
        self._by_channel: dict[str, Hall] = {}
        self._sockets: set[LiveSocket] = set()
        self._strangers: dict[LiveSocket, None] = {}  # who has not said who it is, or could not; longest first
        self._strangers_max = max(1, min(settings.sockets_max // 2, STRANGERS_SECONDS * settings.accepts_per_second))
        self._slowest_ms: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._to_drain: list[LiveSocket] = []
        self._draining: asyncio.Task[None] | None = None
        self.http_lines = HttpLines(self.wheel, clock, settings.http_lines_max)
        self.protocol_class = make_protocol(self)
        self.http_class = make_http_line(self.http_lines)

    async def start(self) -> None:
        """Begin to serve: the relay, the wheel, the ticks."""
        await self.relay.start()
        self._loops = [
            asyncio.create_task(each, name=f"hub-{name}")
            for name, each in {
                "wheel": self._repeat(1.0, self._turn_wheel),
                "ticks": self._repeat(self.settings.talk_tick_ms / 1000, self._tick),
                "seconds": self._repeat(SECOND_SECONDS, self._second),
                "compare": self._repeat(COMPARE_SECONDS, self._compare),
            }.items()
        ]

    async def drain(self) -> None:
        """Send everybody away with a time to come back, spread over `drain_seconds`; returns when all were told."""
        for socket in list(self._sockets):
            socket.shutdown()
        while self._draining is not None and not self._draining.done():
            await asyncio.shield(self._draining)

    async def aclose(self) -> None:
        """End every task and the relay's connection. Lines of talk that were shown are written into the show log first,
        within a bound. Sockets that are still open are cut."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TALK_KEPT_SECONDS_MAX):
                await asyncio.gather(*(hall.keep_talk() for hall in self.rooms.values()), return_exceptions=True)
        await end([*self._loops, *self._tasks, *self._opening.values(), self._draining])
        await self.relay.aclose()
        for socket in list(self._sockets):
            socket.cut()

    def slowest_answer_ms(self, show_id: str) -> int:
        """The longest a reserve, release or accept of this show took here, socket in to answer out."""
        return round(self._slowest_ms.get(show_id, 0.0))

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a short task of its own; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("hub_task_failed", exc_info=error)

    # --- jobs -------------------------------------------------------------------------------------------------------

    async def _repeat(self, period_seconds: float, job: Any) -> None:
        while True:
            due = self.clock.monotonic() + period_seconds
            await self.clock.sleep(period_seconds)
            LOOP_LAG.observe(max(0.0, self.clock.monotonic() - due))
            try:
                waiting = job()
                if waiting is not None:
                    await waiting
            except Exception:
                log.exception("hub_job_failed")

    def _turn_wheel(self) -> None:
        self.wheel.turn(self.clock.monotonic())

    def _tick(self) -> None:
        for hall in self.rooms.values():
            hall.tick()

    async def refresh_talk_rules(self) -> None:
        """Follow the merchant's word lists; made anew only where they changed. While the ledger is away, the last ones
        stand."""
        try:
            kept = await self.shows.talk_rules.get()
        except Refused:
            return
        if kept.version != self._talk_rules_version:
            self._talk_rules_version = kept.version
            self.talk_rules = rules_of(kept, self.settings)
            for hall in self.rooms.values():
                hall.room.moderation.rules = self.talk_rules

    def _second(self) -> None:
        self.in_background(self.refresh_talk_rules())
        SOCKETS.set(len(self._sockets))
        ROOMS.set(len(self.rooms))
        RELAY_LOST.inc(self.relay.lost)
        self.relay.lost = 0
        for hall in self.rooms.values():
            hall.second()

    async def _compare(self) -> None:
        for hall in list(self.rooms.values()):
            if hall.is_idle:
                await self._close_hall(hall)
            elif hall.ready and self.relay.up:
                await hall.compare()

    # --- the relay --------------------------------------------------------------------------------------------------

    def _heard(self, channel: str, message: list[Any]) -> None:
        hall = self._by_channel.get(channel)
        if hall is not None:  # an empty hall is falsy, and must hear on for those who come back
            hall.hear(message)

    def _relay_changed(self, up: bool) -> None:
        RELAY_UP.set(1 if up else 0)
        if not up:
            RELAY_BREAKS.inc()
        for hall in self.rooms.values():
            hall.relay_changed(up)
            if up and hall.ready:
                self.in_background(hall.compare())
                self.in_background(hall.refresh_levels())
                self.in_background(hall.tell_own_again())

    # --- sockets come and go ----------------------------------------------------------------------------------------

    def admit(self, socket: LiveSocket) -> None:
        """Before the handshake's answer: origin and caps. Raises `Refused`, and then nothing was counted."""
        if self._draining is not None:
            raise Refused(R.UNAVAILABLE, after_ms=random.randint(0, self.settings.drain_seconds * 1000))
        self.admission.check_origin(socket.origin, socket.host, socket.cookie)
        self.admission.enter(socket.address, self.clock.monotonic())
        socket.admitted = True
        self._sockets.add(socket)

    def is_stranger(self, socket: LiveSocket) -> None:
        """It has opened and has yet to say who it is; or it could not, and has yet to go."""
        self._strangers[socket] = None
        if len(self._strangers) > self._strangers_max:
            next(iter(self._strangers)).give_way()

    def is_no_stranger(self, socket: LiveSocket) -> None:
        self._strangers.pop(socket, None)

    def lost(self, socket: LiveSocket) -> None:
        """The connection is gone."""
        self.wheel.drop(socket)
        self._sockets.discard(socket)
        self._strangers.pop(socket, None)
        if socket.admitted:
            self.admission.leave(socket.address)
        if socket.hall is not None:
            socket.hall.leave(socket)

    def received(self, socket: LiveSocket, message: AnyFromViewer) -> None:
        """One message, in order. Nothing here waits."""
        if socket.credits is None:
            socket.credits = Credits()
        now_seconds = self.clock.monotonic()
        try:
            socket.credits.take(_TAGS[type(message)], now_seconds)
            self._dispatch(socket, message, now_seconds)
        except Refused as refused:
            socket.refuse(_about(message), refused, strike=refused.why in (R.TOO_MANY, R.MALFORMED))

    def _dispatch(self, socket: LiveSocket, message: AnyFromViewer, now_seconds: float) -> None:
        if isinstance(message, Reserve) and socket.stage == "seated":
            self._reserve(socket, message, now_seconds)  # first, because it comes by the thousand in one second
            return
        if isinstance(message, Ping):
            socket.send(Pong(message.at, self.clock.now_ms()))
            return
        if isinstance(message, Hello):
            if socket.stage != "greeting":
                raise Refused(R.MALFORMED, expected="one hello, as the first message")
            socket.enter()
            self.in_background(self._enter(socket, message))
            return
        if socket.stage != "seated":
            raise Refused(R.MALFORMED, expected="hello first; everything else after its welcome")
        assert socket.hall is not None
        assert socket.identity is not None
        match message:
            case Say():
                self._speech.say(socket, message)
            case React():
                socket.hall.room.crowd.heart()
            case Delay(ms):
                if socket.role == "viewer":  # a desk listens with the sound off, and looks back
                    socket.hall.room.delays.take(ms, now_seconds)
            case Release(rid):
                self._release(socket, rid, now_seconds)
            case Accept(rid):
                self._accept(socket, rid, now_seconds)
            case OfferSeen(offer_id, did):
                socket.hall.offers.mark(socket.identity.viewer_id, offer_id, did)
            case Vote(cid, question_id):
                self.ask(socket, cid, self._speech.vote(socket, cid, question_id))
            case Proof(token):
                self.engine.prove(socket.show_id, socket.identity.viewer_id, token)
            case Token(token):
                renewed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.ask(socket, "token", self._renew(socket, token, renewed))
                socket.renewing = renewed

    # --- hello ------------------------------------------------------------------------------------------------------

    async def _enter(self, socket: LiveSocket, hello: Hello) -> None:
        try:
            async with self.joins:
                await self._prove(socket, hello)
                await self._seat(socket, hello)
        except Refused as refused:
            self._turn_away(socket, refused)
        except Exception:
            log.exception("join_failed", show_id=socket.show_id)
            self._turn_away(socket, Refused(R.INTERNAL, after_ms=random.randint(1000, 5000)))

    async def _prove(self, socket: LiveSocket, hello: Hello) -> None:
        token = hello.token or socket.token
        proved = await self.door.verify_socket(token, socket.cookie, socket.origin, socket.show_id, host=socket.host)
        socket.identity, socket.role, until_ms = proved
        socket.renewed(until_ms)
        socket.stream = "desk" if socket.role in DESK_ROLES else hello.device
        socket.token = socket.cookie = ""
        socket.address_mark = self._marks.of(socket.address)
        staff_role = "" if socket.role == "viewer" else socket.role
        await self.shows.may_enter(socket.show_id, socket.identity, hello.invitation, staff_role=staff_role)

    async def _seat(self, socket: LiveSocket, hello: Hello) -> None:
        hall = await self._hall(socket.show_id)
        if socket.stage != "entering":
            return
        hall.register(socket)
        self._bound_sockets_of(hall, socket)
        await hall.enter(socket, hello)

    def _bound_sockets_of(self, hall: Hall, socket: LiveSocket) -> None:
        """One identity, so many sockets: the oldest goes."""
        assert socket.identity is not None
        mine = [each for each in hall.sockets_of(socket.identity.viewer_id) if each.stage in ("entering", "seated")]
        for oldest in mine[: max(0, len(mine) - self.settings.sockets_per_viewer_max)]:
            oldest.close(Close.ELSEWHERE, "You opened this show in too many places; this is the oldest.")

    async def _hall(self, show_id: str) -> Hall:
        """The show's hall, opened at most once; whoever waits shares the outcome."""
        if (hall := self.rooms.get(show_id)) is not None:
            return hall
        opening = self._opening.get(show_id)
        if opening is None:
            opening = self._opening[show_id] = asyncio.create_task(self._open_hall(show_id))
        return await asyncio.shield(opening)

    async def _open_hall(self, show_id: str) -> Hall:
        hall = Hall(self, show_id)
        self._by_channel[hall.channel] = hall
        try:
            await hall.open()
        except BaseException:
            self._by_channel.pop(hall.channel, None)
            await self.relay.leave(hall.channel)
            raise
        finally:
            self._opening.pop(show_id, None)
        self.rooms[show_id] = hall
        return hall

    async def _close_hall(self, hall: Hall) -> None:
        self.rooms.pop(hall.show_id, None)
        self._by_channel.pop(hall.channel, None)
        self._slowest_ms.pop(hall.show_id, None)
        await self.relay.leave(hall.channel)

    def _turn_away(self, socket: LiveSocket, refused: Refused) -> None:
        if socket.stage != "entering":
            return
        self.is_stranger(socket)
        socket.refuse("hello", refused)
        code = _CLOSE_FOR.get(refused.why, Close.RESYNC)
        after_ms = refused.after_ms if refused.after_ms is not None else 1000
        socket.close(code, refused.text, after_ms + random.randint(0, 2000))

    async def _renew(self, socket: LiveSocket, token: str, renewed: "asyncio.Future[None]") -> None:
        try:
            await self._take_over(socket, token)
        finally:
            renewed.set_result(None)
            if socket.renewing is renewed:
                socket.renewing = None

    async def _take_over(self, socket: LiveSocket, token: str) -> None:
        proved = await self.door.verify_socket(token, "", socket.origin, socket.show_id, host=socket.host)
        viewer, _, until_ms = proved
        assert socket.identity is not None
        if viewer.viewer_id != socket.identity.viewer_id:
            raise Refused(R.TOKEN_INVALID)
        if viewer.verified:  # she confirmed her address while she watches
            socket.identity = msgspec.structs.replace(socket.identity, verified=viewer.verified)
        socket.renewed(until_ms)

    # --- questions to other parts -----------------------------------------------------------------------------------

    def ask(self, socket: LiveSocket, re: str, work: Coroutine[Any, Any, None]) -> None:
        """A question to another part, as a short task; its refusal goes to whoever asked."""
        try:
            _refuse_too_many(socket)
        except Refused:
            work.close()
            raise
        socket.in_flight += 1
        self.in_background(self._asked(socket, re, work))

    async def _asked(self, socket: LiveSocket, re: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Refused as refused:
            _refuse(socket, re, refused)
        except Exception:
            log.exception("request_failed", show_id=socket.show_id)
            _refuse(socket, re, Refused(R.INTERNAL))
        finally:
            socket.in_flight -= 1

    # --- stock ------------------------------------------------------------------------------------------------------

    def _reserve(self, socket: LiveSocket, message: Reserve, now_seconds: float) -> None:
        assert socket.identity is not None
        assert socket.hall is not None
        _refuse_too_many(socket)
        lines = [(line.deal_id, line.qty) for line in message.lines]
        socket.hall.room.refuse_part_of_bundle(lines)
        rid, offer_id = message.rid, message.offer_id
        tell = self._teller(socket, "reserve", rid, now_seconds)
        if offer_id:
            tell = socket.hall.offers.counting_taken(tell, socket.identity.viewer_id, offer_id, rid, lines)
        if socket.renewing is None:
            mark = socket.address_mark
            self.engine.reserve_soon(socket.show_id, socket.identity, rid, lines, message.wait, tell, mark)
        else:
            self.in_background(self._reserve_as_renewed(socket, socket.renewing, message, lines, tell))
        _is_asked(socket, rid)

    async def _reserve_as_renewed(
        self,
        socket: LiveSocket,
        renewed: "asyncio.Future[None]",
        message: Reserve,
        lines: list[tuple[str, int]],
        tell: "Tell[Hold]",
    ) -> None:
        """Her pass came before her tap and is still being looked at: who she is by it is who reserves."""
        await asyncio.shield(renewed)
        assert socket.identity is not None
        mark = socket.address_mark
        try:
            self.engine.reserve_soon(socket.show_id, socket.identity, message.rid, lines, message.wait, tell, mark)
        except Refused as refused:
            tell(None, refused, 0)

    def _release(self, socket: LiveSocket, rid: str, now_seconds: float) -> None:
        assert socket.identity is not None
        _refuse_too_many(socket)
        tell = self._teller(socket, "release", rid, now_seconds)
        self.engine.release_soon(socket.show_id, socket.identity.viewer_id, rid, tell)
        _is_asked(socket, rid)

    def _accept(self, socket: LiveSocket, rid: str, now_seconds: float) -> None:
        assert socket.identity is not None
        _refuse_too_many(socket)
        tell = self._teller(socket, "accept", rid, now_seconds)
        self.engine.accept_soon(socket.show_id, socket.identity.viewer_id, rid, tell)
        _is_asked(socket, rid)

    def _teller(self, socket: LiveSocket, kind: str, rid: str, started: float) -> "Tell[Hold]":
        """What the engine calls with the outcome. A function and not a task or a future: this is the hot path."""

        def tell(hold: Hold | None, error: Exception | None, version: int) -> None:
            socket.in_flight -= 1
            assert socket.asked is not None
            later = socket.asked.answer(rid, version if error is None else 0)
            if hold is not None:
                socket.tell(Answer(rid, hold))
            elif isinstance(error, Refused):
                _refuse(socket, rid, error)
                if error.why is R.SOLD_OUT and socket.hall is not None and socket.identity is not None:
                    socket.hall.offers.sold_out(socket.identity.viewer_id, error)
            else:
                log.error("request_failed", show_id=socket.show_id, exc_info=error)
                _refuse(socket, rid, Refused(R.INTERNAL))
            if later is not None:
                socket.tell(later.own())
            self.measure(socket.show_id, kind, self.clock.monotonic() - started)

        return tell

    def measure(self, show_id: str, kind: str, seconds: float) -> None:
        _ANSWERS[kind].observe(seconds)
        if seconds * 1000 > self._slowest_ms.get(show_id, 0.0):
            self._slowest_ms[show_id] = seconds * 1000

    # --- going ------------------------------------------------------------------------------------------------------

    def drain_soon(self, socket: LiveSocket) -> None:
        """This socket is to go; all of them are told in batches, each with its own time to come back."""
        self._to_drain.append(socket)
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        await asyncio.sleep(0)  # uvicorn calls `shutdown` on every connection in one go: let it finish
        batches = max(1, self.settings.drain_seconds * DRAIN_BATCHES_PER_SECOND // 2)
        size = max(DRAIN_BATCH_MIN, -(-len(self._to_drain) // batches))
        log.info("hub_drains", sockets=len(self._to_drain))
        returns_ms = self._spread_returns(len(self._to_drain))
        while self._to_drain:
            batch, self._to_drain = self._to_drain[:size], self._to_drain[size:]
            for socket in batch:
                after_ms = next(returns_ms, self.settings.drain_seconds * 1000)
                socket.close(Close.MOVING, "This server is being replaced. Come back.", after_ms)
            if self._to_drain:
                await self.clock.sleep(1 / DRAIN_BATCHES_PER_SECOND)

    def _spread_returns(self, count: int) -> Iterator[int]:
        """One return for each, no two in the same part of the time: drawn freely, some of ten thousand would come
        twice as thick as others. In no order, so that those who are told together do not come together."""
        spread_ms = self.settings.drain_seconds * 1000
        parts = list(range(count))
        random.shuffle(parts)
        return iter([int(spread_ms * (part + random.random()) / count) for part in parts])


def _refuse_too_many(socket: LiveSocket) -> None:
    if socket.in_flight >= IN_FLIGHT_MAX:
        raise Refused(R.TOO_MANY, after_ms=1000)


def _is_asked(socket: LiveSocket, rid: str) -> None:
    """After the engine has taken a request, and before it tells: it never does so within the call."""
    socket.in_flight += 1
    if socket.asked is None:
        socket.asked = Asked()
    socket.asked.ask(rid)


def _refuse(socket: LiveSocket, re: str, refused: Refused) -> None:
    if socket.stage == "seated":
        socket.refuse(re, refused)


def _about(message: AnyFromViewer) -> str:
    """What a refusal names: the rid or cid where the message has one, else its type."""
    if isinstance(message, Reserve | Release | Accept):
        return message.rid
    if isinstance(message, Say | Vote):
        return message.cid
    return str(type(message).__struct_config__.tag)
