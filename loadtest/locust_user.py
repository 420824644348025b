"""Viewers of a show as Locust users: the same protocol, for teams who have Locust's web page and distribution.

What arrives: Locust's options (`--show`, `--email`, …) and its spawn orders. What leaves: events for Locust's figures,
of type WS, named join, return, reserve, release, say and state, with the server's number and word where it refused.

    locust -f loadtest/locust_user.py --host http://127.0.0.1:8080 --show SHOW_ID

`ShowUser` is the base to build on, `Viewer` the example that runs. Each viewer's actions follow a plan made in advance
(`loadtest.crowd`), and a time counts from the planned moment: who waits for a slow server is late for what comes next,
and that is measured. Locust itself keeps the number of viewers: a closed load, with an open plan inside.

It has no checker and merges no raw histograms: whether stock adds up is what `livecommerce loadtest` proves.
"""

# First of all: Locust makes sockets and TLS cooperative, before anybody else takes hold of them.
import locust  # noqa: F401

# isort: split
import contextlib
import ipaddress
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from math import inf
from typing import Any, ClassVar, Literal, cast
from urllib.parse import urlsplit

import gevent
import requests
from gevent.event import AsyncResult
from locust import User, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import WorkerRunner

from livecommerce.client import return_delay_seconds
from livecommerce.errors import Close, R
from livecommerce.protocol.facts import CardListed, CardShown, DealClosed, DealOpened, Hold
from livecommerce.protocol.from_viewer import Hello, Release, Reserve, Say, WantLine
from livecommerce.protocol.to_viewer import Answer, AnyToViewer, RefusedMessage, Said, Snapshot, State, Welcome
from loadtest.crowd.arrivals import poisson, seeded
from loadtest.crowd.behaviour import Reaction, draw_of
from loadtest.crowd.parameters import CrowdParameters
from loadtest.crowd.talk import Language, line_of_chat
from loadtest.locust_line import Line, LineEnded
from loadtest.marks import marked, planned_us_of
from loadtest.measure.addresses import addresses_of, is_this_machine

CROWD = CrowdParameters()
HTTP_SECONDS_MAX = 15.0
PASS_MINUTES = 240
PASSES_AT_ONCE = 200
# Marks are microseconds since this instant (September 2020) by the clocks of the hosts: they fit the mark's 15 digits.
MARKS_BEGIN_US = 1_600_000_000_000_000
# An older mark is not of this run: another load tester's clock begins elsewhere.
MARK_AGE_US_MAX = 600_000_000
HOST_LEAD_SECONDS = 0.5


class Unusable(Exception):
    """The server or the options cannot be used as they are; the text says why and what to do."""


# --- the server, over HTTP ------------------------------------------------------------------------------------------


class Shop:
    """The server's API as far as Locust needs it: is the show there, and passes for its viewers. One per process."""

    def __init__(self, base_url: str, show_id: str, email: str, password: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.show_id = show_id
        self._email = email
        self._password = password
        self._staff: requests.Session | None = None
        self._passes: list[str] = []
        self._asking = threading.Lock()

    def look(self) -> None:
        """Raises `Unusable` where there is no such show, or nothing can happen in it."""
        status = self.call("GET", f"/api/shows/{self.show_id}")["show"]["status"]
        if status not in ("scheduled", "live", "interrupted"):
            raise Unusable(f"The show {self.show_id} is {status}: nobody can watch it. Put it on air first.")

    def take_pass(self, name: str) -> str:
        """A pass of a newcomer of her own: from the staff's stock of simulated viewers, else by the public door."""
        if not self._email:
            return str(self.call("POST", "/api/viewers", {"name": name})["token"])
        with self._asking:
            if not self._passes:
                body = {"count": PASSES_AT_ONCE, "prefix": "Locust", "minutes": PASS_MINUTES}
                made = self.as_staff("POST", f"/api/staff/shows/{self.show_id}/rehearsal-passes", body)
                self._passes = [each["token"] for each in made["passes"]]
            return self._passes.pop()

    def command(self, **command: Any) -> None:
        """A command of the host, as staff."""
        body = {"command_id": secrets.token_urlsafe(12), "command": command}
        self.as_staff("POST", f"/api/staff/shows/{self.show_id}/commands", body)

    def as_staff(self, method: str, path: str, body: Any = None) -> Any:
        if self._staff is None:
            staff = requests.Session()
            credentials = {"email": self._email, "password": self._password}
            self.call("POST", "/api/login", credentials, staff)
            self._staff = staff
        return self.call(method, path, body, self._staff)

    def call(self, method: str, path: str, body: Any = None, session: requests.Session | None = None) -> Any:
        """One call's answer. Raises `Unusable` with the server's number and words."""
        headers = {} if method == "GET" else {"origin": self.base_url}
        # A session of its own for each stranger: with one cookie jar all newcomers would be the same viewer.
        with_cookies = session or requests.Session()
        if csrf := with_cookies.cookies.get("lc_csrf"):
            headers["x-csrf-token"] = csrf
        try:
            answer = with_cookies.request(
                method, self.base_url + path, json=body, headers=headers, timeout=HTTP_SECONDS_MAX
            )
        except requests.RequestException as error:
            raise Unusable(f"No answer from {self.base_url}: {error}") from None
        try:
            said = answer.json() if answer.content else None
        except requests.JSONDecodeError:
            raise Unusable(
                f"{self.base_url}{path} is no page of a livecommerce server ({answer.status_code})."
            ) from None
        if not answer.ok:
            told = said if isinstance(said, dict) else {}
            number, text = told.get("number", answer.status_code), told.get("text", answer.reason)
            raise Unusable(f"{method} {path}: {number} {text}")
        return said


# --- options, and whether they can be meant ---------------------------------------------------------------------------


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: Any) -> None:
    group = parser.add_argument_group("livecommerce")
    group.add_argument("--show", env_var="LOADTEST_SHOW", default="", help="Id of the show that the viewers join.")
    group.add_argument(
        "--email",
        env_var="LOADTEST_EMAIL",
        default="",
        help="Staff account (admin): passes come from the rehearsal endpoint. Its password: LOADTEST_PASSWORD. "
        "Without it each viewer comes in by the public door.",
    )
    group.add_argument(
        "--card-every",
        type=float,
        default=0.0,
        help="Show the show's card anew every so many seconds, marked with its planned moment: this is what `state` "
        "measures. Needs --email of somebody who may host. 0: never.",
    )
    group.add_argument(
        "--i-own-this-host", action="store_true", help="Needed where the server is not this machine: it is mine."
    )


def shop_of(environment: Environment) -> Shop:
    """The one of this process, made and looked at when it is first asked for. Raises `Unusable`."""
    options: Any = environment.parsed_options
    base_url = (environment.host or "").rstrip("/")
    key = (base_url, options.show, options.email)
    with _MAKING:
        if key not in _SHOPS:
            shop = Shop(*key, os.environ.get("LOADTEST_PASSWORD", ""))
            _refuse(base_url, options)
            shop.look()
            _SHOPS[key] = shop
        return _SHOPS[key]


_SHOPS: dict[tuple[str, str, str], Shop] = {}
_MAKING = threading.Lock()


def _refuse(base_url: str, options: Any) -> None:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unusable(f"--host {base_url or '(missing)'}: expected an address such as http://127.0.0.1:8080.")
    if not options.show:
        raise Unusable("--show is missing: the id of the show, as it stands in its address /watch/…")
    if options.email and "LOADTEST_PASSWORD" not in os.environ:
        raise Unusable("--email needs its password in the environment variable LOADTEST_PASSWORD.")
    if options.card_every and not options.email:
        raise Unusable("--card-every shows cards as the host: it needs --email.")
    if options.card_every and options.card_every < 2 * HOST_LEAD_SECONDS:
        raise Unusable(f"--card-every is at least {2 * HOST_LEAD_SECONDS:g} s, not {options.card_every:g}.")
    if not options.i_own_this_host and not _is_ours(parts.hostname):
        raise Unusable(
            f"{parts.hostname} is not this machine. A load test of somebody else's server is an attack. "
            "If it is yours, say so with --i-own-this-host."
        )


def _is_ours(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
        addresses = [host]
    except ValueError:
        try:
            addresses = addresses_of(host)
        except OSError as error:
            raise Unusable(f"The name {host} leads nowhere: {error.strerror or error}.") from None
    return all(is_this_machine(address) for address in addresses)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _look_first(environment: Environment, **_: Any) -> None:
    """Without Locust's page all options are known now: what cannot be meant ends before a single viewer comes."""
    options = environment.parsed_options
    if options is not None and options.headless and not isinstance(environment.runner, WorkerRunner):
        try:
            shop_of(environment)
        except Unusable as unusable:
            print(f"locust_user: {unusable}", file=sys.stderr)
            sys.exit(1)


# --- the host's hand --------------------------------------------------------------------------------------------------


def now_us() -> int:
    """Microseconds of the clock that marks are written in: the host's wall clock, so that several hosts agree as well
    as their clocks do."""
    return time.time_ns() // 1000 - MARKS_BEGIN_US


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def _start_host(environment: Environment, **_: Any) -> None:
    options: Any = environment.parsed_options
    if options.card_every and not isinstance(environment.runner, WorkerRunner):
        _HANDS.append(gevent.spawn(_show_cards, environment, options.card_every))


@events.test_stop.add_listener  # type: ignore[untyped-decorator]
def _stop_host(**_: Any) -> None:
    while _HANDS:
        _HANDS.pop().kill(block=False)


_HANDS: list[Any] = []


def _show_cards(environment: Environment, every_seconds: float) -> None:
    """Take the card off the picture and put it on again, at planned moments which its line tells."""
    planned_us = now_us()
    try:
        shop = shop_of(environment)
        card_id = _card_of(shop)
        while True:
            planned_us += round(every_seconds * 1e6)
            _sleep_until_us(planned_us - round(HOST_LEAD_SECONDS * 1e6))
            shop.command(do="hide_card", card_id=card_id)
            line = {"line": marked("Again on the picture", planned_us)}
            shop.as_staff("PATCH", f"/api/staff/shows/{shop.show_id}/cards/{card_id}", line)
            _sleep_until_us(planned_us)
            shop.command(do="show_card", card_id=card_id)
    except Unusable as unusable:
        _fire(environment, "HTTP", "show_card", 0.0, exception=unusable)


def _card_of(shop: Shop) -> str:
    """The card on the picture, else the first one of the rundown. Showing a card opens its deals that are drafts."""
    plan = shop.as_staff("GET", f"/api/staff/shows/{shop.show_id}")
    if not plan["cards"]:
        raise Unusable(f"The show {shop.show_id} has no card that --card-every could show.")
    return str(plan["on_air"] or plan["cards"][0]["card_id"])


def _sleep_until_us(at_us: int) -> None:
    gevent.sleep(max(0.0, (at_us - now_us()) / 1e6))


# --- one viewer -------------------------------------------------------------------------------------------------------


class ShowUser(User):
    """A viewer in the show for as long as Locust keeps her. Build on it with tasks of your own.

    In a task: `self.say()`, `self.reserve(deal_id)`, `self.release(hold)`, `self.think(reaction)`; `self.open_deals`.
    Each call returns what the server answered, or None where it refused (`self.refused`) or stayed silent; all of that
    is in Locust's figures already. After a break she comes back by full jitter, resumes, and sends what has no answer
    again under its own id.
    """

    abstract = True

    device: ClassVar[Literal["phone", "desk"]] = "phone"
    language: Language | None = None  # None: drawn by the crowd's weights
    actions_per_minute: ClassVar[float] = 6.0
    patience_seconds: ClassVar[float] = CROWD.patience_seconds
    tries_max: ClassVar[int] = 5
    # Refusals that are ordinary answers of a shop that works. They are counted under a name of their own
    # ("reserve 400 sold_out") and are no failures.
    answers: ClassVar[frozenset[int]] = frozenset(
        row.value.number for row in (R.SOLD_OUT, R.LIMIT, R.DEAL_NOT_OPEN, R.DEAL_CLOSED, R.SLOW_MODE, R.HELD_BACK)
    )

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        number = next(_NUMBERS)
        self.rng = seeded(os.getpid(), "viewer", number)
        self.name = f"Viewer {os.getpid()}-{number}"
        self.viewer_id = ""
        self.epoch, self.offset = "", 0
        self.open_deals: dict[str, None] = {}  # in the order in which they opened
        self.refused: RefusedMessage | None = None
        self.planned = 0.0  # of what she does now, by `time.perf_counter`
        self._thought_seconds = 0.0
        self._began = 0.0
        self._plan: Iterator[float] = iter(())
        self._line: Line | None = None
        self._listening: Any = None
        self._waiting: dict[str, tuple[Any, Any]] = {}  # rid or cid → message, waiter
        self._token = ""
        self._speaks: Language = self.language or cast("Language", draw_of(self.rng, CROWD.languages))

    # --- coming and going ---------------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """In the room, or `StopUser`, with each failed try counted as a failed join."""
        try:
            self._token = shop_of(self.environment).take_pass(self.name)
        except Unusable as unusable:
            self._note("join", time.perf_counter(), unusable)
            raise StopUser from None
        # From here on: a viewer of an evening has her pass before she comes to the door.
        self._come_in("join", time.perf_counter())
        self._listening = gevent.spawn(self._listen)
        self._began = time.perf_counter()
        self._plan = poisson(self.rng, self.actions_per_minute / 60, inf)
        gevent.sleep(self.wait_time())  # else everybody would act the moment she is in

    def on_stop(self) -> None:
        if self._listening is not None:
            self._listening.kill()  # before the line is closed: else the listener would take our leaving for a break
        if self._line is not None:
            self._line.close()

    def wait_time(self) -> float:
        """Seconds to her next planned action. A time of thinking moves the plan; a slow answer does not."""
        self.planned = self._began + self._thought_seconds + next(self._plan, inf)
        return max(0.0, min(self.planned - time.perf_counter(), 86_400.0))

    # --- what a task can do -------------------------------------------------------------------------------------------

    def say(self, text: str = "") -> Said | None:
        """A line of chat; her own words, or one of the crowd's."""
        cid = secrets.token_urlsafe(9)
        said = self._ask("say", cid, Say(cid, text or line_of_chat(self.rng, self._speaks)), self.planned)
        return said if isinstance(said, Said) else None

    def reserve(self, deal_id: str, qty: int = 1) -> Hold | None:
        rid = secrets.token_urlsafe(12)
        hold = self._ask("reserve", rid, Reserve(rid, (WantLine(deal_id, qty),)), self.planned)
        return hold if isinstance(hold, Hold) else None

    def release(self, hold: Hold) -> Hold | None:
        """Give it back; counted from now, the moment she decided."""
        gone = self._ask("release", hold.rid, Release(hold.rid), time.perf_counter())
        return gone if isinstance(gone, Hold) else None

    def think(self, reaction: Reaction) -> None:
        """Wait as a person does. It is not the server's time: the plan moves with it."""
        seconds = reaction.draw_seconds(self.rng)
        self._thought_seconds += seconds
        gevent.sleep(seconds)

    def hear(self, message: AnyToViewer) -> None:
        """Called for everything she hears, after it was counted. For classes of your own."""

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, name: str, re: str, message: Any, planned: float) -> Any:
        waiter = AsyncResult()
        # Recorded before the question goes out: the listener may send it again, or hear the answer, at once.
        self._waiting[re] = (message, waiter)
        self.refused = None
        try:
            self._send(message)
            answer = waiter.get(timeout=self.patience_seconds)
        except gevent.Timeout:
            words = f"no answer within {self.patience_seconds:g} s"
            return self._note(name, planned, TimeoutError(words))
        except LineEnded as ended:
            return self._note(name, planned, ended)
        finally:
            self._waiting.pop(re, None)
        if not isinstance(answer, RefusedMessage):
            self._note(name, planned)
            return answer
        self.refused = answer
        if answer.number in self.answers:
            return self._note(f"{name} {answer.number} {answer.word}", planned)
        return self._note(name, planned, ServerRefused(f"{answer.number} {answer.word}: {answer.text}"))

    def _send(self, message: Any) -> None:
        if self._line is not None:
            # The listener meets the same break, comes back, and sends it again.
            with contextlib.suppress(LineEnded):
                self._line.send(message)

    def _note(self, name: str, planned: float, exception: Exception | None = None, size: int = 0) -> None:
        _fire(self.environment, "WS", name, (time.perf_counter() - planned) * 1000, size, exception, self.context())

    # --- listening ----------------------------------------------------------------------------------------------------

    def _come_in(self, name: str, planned: float) -> None:
        """Until she is welcome; each try is noted. Raises `StopUser` where trying again cannot help, or did not."""
        for tries in count():
            try:
                welcome = self._enter()
            except LineEnded as ended:
                self._note(name, planned, ended)
                if not ended.come_back or tries + 1 >= self.tries_max:
                    raise StopUser from None
                delay = ended.after_seconds if ended.after_seconds is not None else return_delay_seconds(tries)
                gevent.sleep(delay)
                planned = time.perf_counter()
            else:
                self._note(name, planned)
                self._hear(welcome, 0)
                return

    def _enter(self) -> Welcome:
        line = Line(str(self.environment.host), self.environment.parsed_options.show)
        try:
            welcome = line.enter(Hello(self.epoch, self.offset, self.device, self._token))
        except BaseException:
            line.drop()
            raise
        self._line = line
        return welcome

    def _listen(self) -> None:
        try:
            while True:
                line = self._line
                assert line is not None
                try:
                    for message, size in line.receive():
                        self._hear(message, size)
                except LineEnded as ended:
                    self._lost(line, ended)
                    self._come_in("return", time.perf_counter())
        except StopUser:
            self.stop(force=True)

    def _lost(self, line: Line, ended: LineEnded) -> None:
        line.drop()
        self._line = None
        if ended.number != Close.MOVING:  # a server that is replaced says so, and when to come back: no failure
            self._note("line", time.perf_counter(), ended)
        for message, waiter in list(self._waiting.values()):
            if isinstance(message, Say):  # a line said twice is worse than one lost
                waiter.set_exception(ended)
        if not ended.come_back:
            raise StopUser
        gevent.sleep(ended.after_seconds if ended.after_seconds is not None else return_delay_seconds(0))

    def _hear(self, message: AnyToViewer, size: int) -> None:
        match message:
            case Welcome():
                self._welcomed(message)
            case State():
                self._hear_state(message, size)
            case Answer(rid, hold):
                self._answered(rid, hold)
            case Said(cid=cid):
                self._answered(cid, message)
            case RefusedMessage(re=re):
                self._answered(re, message)
        self.hear(message)

    def _welcomed(self, message: Welcome) -> None:
        self.viewer_id = message.you.viewer_id
        if not message.recovered:
            self.epoch, self.offset = message.epoch, message.offset
        if isinstance(message.snapshot, Snapshot):
            self.open_deals.clear()
            for card in message.snapshot.cards:
                self._hear_card(card)
        for asked, _ in list(self._waiting.values()):
            if not isinstance(asked, Say):
                self._send(asked)

    def _answered(self, re: str, answer: Any) -> None:
        row = self._waiting.get(re)
        if row is not None:
            row[1].set(answer)

    def _hear_state(self, message: State, size: int) -> None:
        fresh = [stamped for stamped in message.events if stamped.offset > self.offset]
        if not fresh:
            return
        if message.epoch != self.epoch or fresh[0].offset != self.offset + 1:
            gap = f"gap: expected event {self.offset + 1}, got {fresh[0].offset}"
            self._note("state", time.perf_counter(), ServerRefused(gap))
            assert self._line is not None
            self._line.drop()  # the listener comes back with what she has
            return
        self.offset = fresh[-1].offset
        for stamped in fresh:
            match stamped.event:
                case CardShown(card):
                    self._count_card(planned_us_of(card.line), size)
                    self._hear_card(card)
                case CardListed(card):
                    self._hear_card(card)
                case DealOpened(deal_id=deal_id):
                    self.open_deals[deal_id] = None
                case DealClosed(deal_id=deal_id):
                    self.open_deals.pop(deal_id, None)

    def _count_card(self, planned_us: int | None, size: int) -> None:
        if planned_us is not None and 0 <= (age_us := now_us() - planned_us) <= MARK_AGE_US_MAX:
            self._note("state", time.perf_counter() - age_us / 1e6, size=size)

    def _hear_card(self, card: Any) -> None:
        for deal in card.deals:
            if deal.status == "open":
                self.open_deals[deal.deal_id] = None
            else:
                self.open_deals.pop(deal.deal_id, None)


class ServerRefused(Exception):
    """What the server refused, as its number and words; or what it got wrong."""


_NUMBERS = count(1)


def _fire(
    environment: Environment,
    kind: Literal["WS", "HTTP"],
    name: str,
    milliseconds: float,
    size: int = 0,
    exception: Exception | None = None,
    context: dict[str, Any] | None = None,
) -> None:
    """One line of Locust's figures."""
    environment.events.request.fire(  # type: ignore[no-untyped-call]
        request_type=kind,
        name=name,
        response_time=max(0.0, milliseconds),
        response_length=size,
        exception=exception,
        context=context or {},
    )


# --- the example ------------------------------------------------------------------------------------------------------


class Viewer(ShowUser):
    """Watches most of the time, says something now and then, takes a deal that is open and gives it back.

    The unit goes back after a moment, so that a long run does not sell the shop out. Make your own class to change it.
    """

    thinking = Reaction(1_500.0, 0.5)

    @task(6)
    def watch(self) -> None:
        """Nothing to send: whoever watches is measured by the cards she gets."""

    @task(3)
    def chat(self) -> None:
        self.say()

    @task(1)
    def tap(self) -> None:
        if self.open_deals:
            hold = self.reserve(self.rng.choice(list(self.open_deals)))
            if hold is not None:
                self.think(self.thinking)
                self.release(hold)
