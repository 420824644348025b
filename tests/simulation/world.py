"""One seed, one history: processes that die, a network that loses things, people who want the same few units.

What arrives: a seed, the real Valkey, and for a history with money the real ledger. What leaves: a `History`: its
digest, which is the same for the same seed, and what happened, or an `AssertionError` that says what must not have.
Most seeds are about stock alone (engine, batcher, script; judged call by call by `oracle`); every `SHOP_EVERY`th is a
shop with orders, a bank and webhooks (`shop`). Everything runs on virtual time, so an hour costs nothing.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import structlog
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

import livecommerce.ids as ids
import livecommerce.reservations.drawing as drawing
from livecommerce.background.holds import Heartbeats
from livecommerce.errors import R, Refused
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import Hold, HoldLevel
from livecommerce.reservations import DealStock, ReservationEngine, keys
from livecommerce.reservations.batcher import BATCH_MAX
from livecommerce.reservations.states import DrawPhase
from livecommerce.reservations.tokens import LEVELS, read, token_key
from livecommerce.settings import Settings, read_settings
from tests.simulation.loop import Process, SeededLoop, Stuck
from tests.simulation.network import START_S, Network, Server, Weather, connection_class
from tests.simulation.oracle import DRAW_SALT, DRAW_SEED, Breach, Oracle, same_books

T = TypeVar("T")

SHOP_EVERY = 24
SHOW = "sh_1"
OFFER_SECONDS, HOLD_MS, PAY_MS, KEEP_MS = 1, 2_000, 3_000, 2_700
# After every fault has ended, so long until nothing is held, offered or being paid any more.
QUIET_SECONDS = 14.0
SETTINGS = read_settings(
    {
        "OFFER_SECONDS": str(OFFER_SECONDS), "PAY_RETRY_SECONDS": "2", "REBUILD_SECONDS": "1",
        "LIVECOMMERCE_SECRET": "simulated" * 4,
        "WEBHOOK_SECRET": "simulated too" * 3,
    },
    data=Path("/nowhere"), mode="development",
)  # fmt: skip


class Gone(Exception):
    """The process that was asked died, or hung up: whether it happened is not known."""


@dataclass
class History:
    seed: int
    digest: str
    kind: str
    virtual_seconds: float
    happened: Counter[str] = field(default_factory=Counter)


class SimulatedClock:
    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        return START_S * 1000 + round(self._loop.time() * 1000)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Instance:
    """One process of ours: parts made anew at each start, nothing kept from the one before."""

    def __init__(self, world: "World", role: str) -> None:
        self.world, self.role = world, role
        self.is_up = False
        self.process = world.loop.spawn(role)
        self.process.on_death.append(lambda: world.on_death(self))

    async def start(self) -> None:
        world = self.world
        self.redis = world.new_redis()
        self.engine = ReservationEngine(self.redis, world.settings, world.clock)
        self.engine._batcher.batch_max = world.batch_max  # type: ignore[union-attr]  # one server: one batcher
        await self.engine.start()
        if self.role == "worker":
            self.repeat("heartbeat", Heartbeats(self.engine, world.clock).beat_due, 0.25)
            self.repeat("unpaid", self._free_what_was_not_paid, 1.0)
            self.repeat("draws", self.draw_what_is_due, 0.5)

    def repeat(self, name: str, call: Callable[[], Awaitable[Any]], seconds: float) -> None:
        """A duty, as the worker does it: again and again, whatever it was refused for."""

        async def forever() -> None:
            while True:
                with contextlib.suppress(*self.world.away_errors):
                    await call()
                self.world.happened[name] += 1
                await asyncio.sleep(seconds * self.world.chance.uniform(0.9, 1.1))

        self.world.loop.run_in(self.process, self.world.guarded(forever()))

    async def _free_what_was_not_paid(self) -> None:
        for viewer_id, rid in await self.engine.paying_past_due(SHOW):
            await self.engine.free(SHOW, viewer_id, rid, "expired")

    async def draw_what_is_due(self) -> None:
        world = self.world
        for deal_id, ends_s in world.windows.items():
            if ends_s <= world.loop.time():
                with contextlib.suppress(Refused):
                    await world.draw(self, deal_id)

    async def aclose(self) -> None:
        await self.engine.aclose()


class World:
    """A history about stock alone; `shop.Shop` is one with money."""

    kind = "stock"
    instance_class = Instance
    viewers, actions = 5, 6
    away_errors: tuple[type[Exception], ...] = (Refused,)  # what a duty may fail with; the next turn goes on

    def __init__(self, seed: int, server: Server) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        # So few people never fill a call of 64. Where one or two do, the next is on its way beside it.
        self.batch_max = (BATCH_MAX, 2, 1)[seed // 2 % 3]
        self.loop = SeededLoop(self.chance)
        self.settings: Settings = SETTINGS
        self.clock = SimulatedClock(self.loop)
        self.happened: Counter[str] = Counter()
        self.weather = self._weather()
        self.server = server
        server.clock_step_s, server.now = 0.0, self.loop.time
        server.syncs = self.chance.random() < 0.5
        self.network = Network(self.loop, self.chance, server, Weather())
        self.connection_class = connection_class(self.network)
        self.oracle = Oracle(SHOW, server.ask, server.now_ms, on_time=self.weather.calm)
        server.watch = self.oracle.watch
        self.instances: list[Instance] = []
        self.dead: list[str] = []
        self.failures: list[BaseException] = []
        self.told: dict[tuple[str, str], Hold] = {}
        self._tickets: dict[tuple[str, str], set[int]] = {}  # of holds that were in a draw
        self._token_key = token_key(self.settings.secret)
        # Deals that are drawn, and when their window ends; and what each deal's "held" promises.
        self.windows: dict[str, float] = {}
        self.levels: dict[str, HoldLevel] = {}
        self.buried = False

    def _weather(self) -> Weather:
        if self.chance.random() < 0.25:
            return Weather()
        faults = ("slow", "lost", "answer_lost", "silent", "twice", "script_flush", "late")
        # A few kinds at a time, each from rare to often: what all of them together hide, some of them show.
        kinds = self.chance.sample(faults, self.chance.randint(1, 4))
        return Weather(**{kind: self.chance.choice((0.01, 0.05, 0.15)) for kind in kinds})

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(self) -> History:
        with _drawn(self.seed, self.clock), _small_parts():
            self.server.ask("FLUSHALL")
            self.server.ask("SCRIPT", "FLUSH")  # or the first history of a run would be another one
            main = self.loop.run_in(self.loop.outside, self._live())
            self.loop.set_exception_handler(self._on_error)
            try:
                self.loop.run_until_complete(main)
            except Stuck:
                raise Breach("everybody waits and nothing can happen any more") from None
            except (asyncio.CancelledError, RuntimeError):
                if not self.failures:
                    raise
            finally:
                self._bury()
        if self.failures:
            raise self.failures[0]
        return History(self.seed, self.oracle.digest.hexdigest(), self.kind, self.loop.time(), self.happened)

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What fails in a step that nobody waits for, the oracle's verdict among it, ends the history."""
        if "handle" in context:
            self.failures.append(context["exception"])
            loop.stop()

    def _bury(self) -> None:
        """Nobody runs any more. What still waited is closed here, where its last words are not heard."""
        self.buried = True
        for process in self.loop.processes:
            process.alive = False
        for task in [task for process in self.loop.processes for task in process.tasks if not task.done()]:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            with contextlib.suppress(BaseException):
                task.get_coro().close()  # type: ignore[union-attr]
        self.loop.graveyard.clear()
        self.server.watch = lambda _command, _answer: None
        self.loop.close()

    async def guarded(self, work: Awaitable[T]) -> T | None:
        """What fails here fails the history, whoever was to look at it."""
        try:
            return await work
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            if not self.buried:
                self.failures.append(error)
                self.loop.stop()
            raise

    async def _live(self) -> None:
        for role in ("web", "web", "worker"):
            await self._start(role)
        await self.prepare()
        self.network.weather = self.weather
        people = [self._task(self.person(number)) for number in range(1, self.viewers + 1)]
        others = [self._task(self.merchant())] + ([] if self.weather.calm else [self._task(self.chaos())])
        await asyncio.gather(*people)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.network.weather = Weather()
        self.network.away_until = 0.0
        self.server.clock_step_s = 0.0
        for instance in self.instances:
            instance.process.steps_to_live = 0
        while self.dead:
            await self._start(self.dead.pop())
        await self.come_to_rest()

    def _task(self, work: Awaitable[Any]) -> "asyncio.Task[Any]":
        return self.loop.run_in(self.loop.outside, self.guarded(work))

    def new_redis(self) -> Redis:
        pool = ConnectionPool(
            connection_class=self.connection_class, retry=Retry(NoBackoff(), 0), protocol=2, driver_info=None
        )
        return Redis(connection_pool=pool)

    # --- processes --------------------------------------------------------------------------------------------------

    async def _start(self, role: str) -> None:
        instance = self.instance_class(self, role)
        self.instances.append(instance)
        with contextlib.suppress(Gone):
            await self.call(instance, lambda each: each.start())
            instance.is_up = True

    def on_death(self, instance: Instance) -> None:
        self.happened["killed"] += 1
        self.instances.remove(instance)
        self.dead.append(instance.role)

    def some(self, role: str) -> Instance | None:
        alive = [each for each in self.instances if each.role == role and each.is_up]
        return self.chance.choice(alive) if alive else None

    async def call(self, instance: Instance, ask: Callable[[Any], Awaitable[T]]) -> T:
        """A request to a process, as from outside. Raises `Gone` where it dies before it answers."""
        answer: asyncio.Future[T] = self.loop.create_future()
        if not instance.process.alive:
            raise Gone
        instance.process.on_death.append(lambda: answer.done() or answer.set_exception(Gone()))
        task = self.loop.run_in(instance.process, ask(instance))  # type: ignore[arg-type]

        def told(task: "asyncio.Task[T]") -> None:
            if answer.done():
                task.cancelled() or task.exception()
            elif task.cancelled():
                answer.set_exception(Gone())
            elif (error := task.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(task.result())

        task.add_done_callback(told, context=self.loop.outside.context)
        try:
            return await answer
        except asyncio.CancelledError:
            if self.chance.random() < 0.7:  # her line is cut, and the process hears of that, or not
                task.cancel()
            raise

    # --- what goes wrong --------------------------------------------------------------------------------------------

    async def chaos(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0.2, 2.5))
            await self.chance.choice(self.ills())()

    def ills(self) -> list[Callable[[], Awaitable[None]]]:
        return [
            self._kill, self._kill, self._stop_gently, self._server_away, self.server_restarts,
            self._step_the_servers_clock,
        ]  # fmt: skip

    async def _kill(self) -> None:
        if not self.instances:
            return
        victim = self.chance.choice(self.instances)
        if self.chance.random() < 0.5:
            self.loop.kill(victim.process)
        else:
            victim.process.steps_to_live = self.chance.randint(1, 120)
        await asyncio.sleep(self.chance.uniform(0.1, 1.5))
        while self.dead:
            await self._start(self.dead.pop())

    async def _stop_gently(self) -> None:
        """SIGTERM: the call in flight is cut off."""
        victim = self.some("web")
        if victim is None:
            return
        self.happened["stopped"] += 1
        with contextlib.suppress(Gone):
            await self.call(victim, lambda each: each.aclose())
        if victim in self.instances:
            self.loop.kill(victim.process)
        while self.dead:
            await self._start(self.dead.pop())

    async def _server_away(self) -> None:
        self.happened["away"] += 1
        self.network.away_until = self.loop.time() + self.chance.uniform(0.1, 4.0)

    async def server_restarts(self) -> None:
        """Killed, and started with all that it had: every line is cut, and it knows no script any more."""
        self.happened["restarted"] += 1
        self.network.cut_all()
        self.server.ask("SCRIPT", "FLUSH")
        self.network.away_until = self.loop.time() + self.chance.uniform(0.1, 2.0)

    async def _step_the_servers_clock(self) -> None:
        self.happened["clock_step"] += 1
        self.server.clock_step_s = self.chance.choice((-3600.0, 0.0, 3600.0, 1.5, -0.5))

    # --- who wants what ---------------------------------------------------------------------------------------------

    DEALS = ("dl_a", "dl_b")

    async def prepare(self) -> None:
        self.quotas = {deal_id: self.chance.randint(1, 4) for deal_id in self.DEALS}
        self.rules = {deal_id: self.chance.choice(("skip", "wait")) for deal_id in self.DEALS}
        self.limit = self.chance.randint(1, 3)
        self.more_rules, show_limit = self._more_rules()
        web = self.instances[0]
        await self.call(web, lambda each: each.engine.open_show(SHOW, show_limit))
        for deal_id in self.DEALS:
            if self.chance.random() < 0.25:
                self.windows[deal_id] = self.chance.uniform(0.5, 5.0)
            await self._put_at_a_level_that_is_offered(web, deal_id)

    async def _put_at_a_level_that_is_offered(self, web: Instance, deal_id: str) -> None:
        """`fsync` where this server syncs, nowhere else; `ledger` nowhere, since these processes have none."""
        wanted: HoldLevel = self.chance.choice(("soft", "soft", "fsync", "ledger"))
        self.levels[deal_id] = wanted
        offered = wanted == "soft" or (wanted == "fsync" and self.server.syncs)
        try:
            await self.call(web, lambda each: each.engine.put_deal(SHOW, self.deal(deal_id)))
        except Refused as refused:
            if offered or refused.why is not R.MALFORMED:
                raise
            self.happened["level_not_offered"] += 1
            self.levels[deal_id] = "soft"
            await self.call(web, lambda each: each.engine.put_deal(SHOW, self.deal(deal_id)))
            return
        if not offered:
            raise Breach(f"{deal_id} was opened at level {wanted}, which nobody can keep here")

    def _more_rules(self) -> tuple[dict[str, dict[str, Any]], int | None]:
        """Whom the deals count beyond the guest, for what address and time; and the show's limit. Most have none."""
        draw = self.chance.choice
        if self.chance.random() < 0.7:
            return {deal_id: {} for deal_id in self.DEALS}, None
        kinds = ("guest", "guest", "verified", "member")
        rules: dict[str, dict[str, Any]] = {
            deal_id: {
                "limit_by": draw(kinds), "address_cap": draw((0, 0, 2)), "hold_cap_ms": draw((0, 0, 2 * HOLD_MS))
            }
            for deal_id in self.DEALS
        }  # fmt: skip
        return rules, draw((0, 0, 4))

    def deal(self, deal_id: str, units: int | None = None, move: str = "opening") -> DealStock:
        units = self.quotas[deal_id] if units is None else units
        return DealStock(
            deal_id, units, self.limit, HOLD_MS, PAY_MS, "open", move_id=move, head_wants_more=self.rules[deal_id],
            level=self.levels[deal_id], drawn=deal_id in self.windows, **self.more_rules[deal_id],
        )  # type: ignore[arg-type]  # fmt: skip

    async def person(self, number: int) -> None:
        # A customer of the merchant's, two who are the same verified person, and guests; behind two addresses.
        viewer = ViewerIdentity(
            f"vw_{number}", f"Viewer {number}", "merchant" if number == 1 else "guest",
            verified="vperson" if number in (2, 3) else "",
        )  # fmt: skip
        mine: list[str] = []
        for _ in range(self.actions):
            await asyncio.sleep(self.chance.expovariate(1.4))
            await self._act(viewer, mine)
        # And here she vanishes, whatever she has.

    async def _act(self, viewer: ViewerIdentity, mine: list[str]) -> None:
        drawn = self.chance.random()
        if drawn < 0.45 or not mine:
            rid = f"rid-{len(mine):05}"
            mine.append(rid)
            lines = [(self.chance.choice(self.DEALS), self.chance.choice((1, 1, 1, 2)))]
            if self.chance.random() < 0.2:
                lines = [(deal_id, 1) for deal_id in self.DEALS]
            wait = self.chance.random() < 0.4
            devices = 2 if self.chance.random() < 0.25 else 1
            address = f"ad_{int(viewer.viewer_id[3:]) % 2}"
            # She changes her mind: another bag in the place of one that she has.
            old = self.chance.choice(mine[:-1]) if mine[1:] and self.chance.random() < 0.15 else ""
            self.happened["changed_bag"] += bool(old)

            def reserve(each: Any) -> Awaitable[Any]:
                held: Awaitable[Any] = each.engine.reserve(SHOW, viewer, rid, lines, wait and not old, address, old)
                return held

            await asyncio.gather(*(self.ask_until_known(viewer, rid, reserve) for _ in range(devices)))
            return
        rid = self.chance.choice(mine)
        verbs: list[Callable[[Any], Awaitable[Any]]] = [
            lambda each: each.engine.release(SHOW, viewer.viewer_id, rid),
            lambda each: each.engine.accept(SHOW, viewer.viewer_id, rid),
            lambda each: each.engine.accept(SHOW, viewer.viewer_id, rid),
            lambda each: each.engine.begin_pay(SHOW, viewer.viewer_id, rid, PAY_MS),
            lambda each: each.engine.begin_pay(SHOW, viewer.viewer_id, rid, PAY_MS),
            lambda each: each.engine.settle(SHOW, viewer.viewer_id, rid),
            lambda each: each.engine.free(SHOW, viewer.viewer_id, rid, "cancelled", 0),
            lambda each: each.engine.reacquire(SHOW, viewer.viewer_id, rid),
            lambda each: each.engine.holds_of(SHOW, viewer.viewer_id),
            lambda each: each.engine.keep(SHOW, viewer.viewer_id, rid, KEEP_MS),
        ]
        await self.ask_until_known(viewer, rid, self.chance.choice(verbs))

    async def ask_until_known(
        self, viewer: ViewerIdentity, rid: str, ask: Callable[[Any], Awaitable[T]], tries: int = 4,
        on_try: Callable[[int], None] = lambda _number: None,
    ) -> T | R | None:  # fmt: skip
        """The same again, through whatever process there is, until the answer is one; None where she gives up."""
        for number in range(tries):
            web = self.some("web")
            if web is not None:
                on_try(number)
                try:
                    async with asyncio.timeout(self.chance.choice((0.02, 1.0, 8.0, 8.0))):
                        answer = await self.call(web, ask)
                    self.hear(viewer.viewer_id, rid, answer)
                    return answer
                except Refused as refused:
                    self.happened[refused.why.value.word] += 1
                    if refused.why not in (R.BUSY, R.REBUILDING, R.UNAVAILABLE):
                        return refused.why
                except (Gone, TimeoutError):
                    self.happened["unknown"] += 1
            await asyncio.sleep(self.chance.uniform(0.05, 0.8))
        return None

    def hear(self, viewer_id: str, rid: str, answer: Any) -> None:
        """An accepted rid always is the same hold, whoever asks and wherever."""
        if not isinstance(answer, Hold):
            return
        key = viewer_id, rid
        self.happened[answer.state] += 1
        before = self.told.setdefault(key, answer)
        same_ticket = before.ticket == answer.ticket
        if any(line.deal_id in self.windows for line in answer.lines):
            # A hold of a draw has the ticket of its arrival, and from the draw on the one that was drawn.
            tickets = self._tickets.setdefault(key, set())
            tickets.add(answer.ticket)
            first_is_told = answer.state != "entered" or answer.ticket == min(tickets)
            same_ticket = len(tickets) <= 2 and first_is_told
        if not same_ticket or before.lines != answer.lines:
            raise Breach(f"{viewer_id}/{rid} was told {before} and then {answer}")
        if answer.token:
            self._promised(viewer_id, answer)

    def _promised(self, viewer_id: str, hold: Hold) -> None:
        """The signed token says what the answer says, at the level of its weakest line."""
        promise = read(self._token_key, hold.token)
        lines = tuple((line.deal_id, line.qty) for line in hold.lines)
        level = min((self.levels.get(deal_id, "soft") for deal_id, _ in lines), key=LEVELS.index)
        told = promise and (promise.viewer_id, promise.rid, promise.ticket, promise.lines, promise.level)
        if told != (viewer_id, hold.rid, hold.ticket, lines, level):
            raise Breach(f"{hold} carries the token {promise}; its level is {level}")
        self.happened[f"held_at_{level}"] += 1

    async def draw(self, each: Any, deal_id: str) -> None:
        """The window is over: as the worker says so, or a host who does not wait; anybody may, at once and again."""
        made = await each.engine.draw(SHOW, deal_id, DRAW_SEED, DRAW_SALT)
        if made.phase == DrawPhase.DRAWN and made.entrants:
            self.happened["drawn"] += 1

    async def merchant(self) -> None:
        """Adds units, closes deals and opens them again; a move that was told before is told again."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.5, 4.0))
            web = self.some("web")
            if web is not None:
                with contextlib.suppress(Refused, Gone):
                    await self.call(web, self._change())

    def _change(self) -> Callable[[Any], Awaitable[Any]]:
        deal_id, move = self.chance.choice(self.DEALS), self.chance.choice(("opening", "more"))
        stock, away = self.deal(deal_id, self.chance.randint(0, 2), move), self.chance.choice(("out-1", "out-2"))
        status: Any = self.chance.choice(("open", "open", "open", "closing", "closed", "announced"))
        return self.chance.choice(
            [
                lambda each: each.engine.put_deal(SHOW, stock),
                lambda each: each.engine.set_deal_status(SHOW, deal_id, status),
                lambda each: each.engine.set_deal_status(SHOW, deal_id, "open"),
                lambda each: each.engine.take_out(SHOW, deal_id, away, 1),
                lambda each: self.draw(each, deal_id),
            ]
        )

    async def come_to_rest(self) -> None:
        """No fault any more: what ran ends, what was not paid is freed, and both sides have the same books."""
        web = self.some("web")
        assert web is not None
        until, under_way = self.loop.time() + QUIET_SECONDS, True
        while under_way:
            await asyncio.sleep(1.0)
            levels: Any = "not told"
            with contextlib.suppress(Refused):  # its line broke before the calm, and it finds out now
                _, levels = await self.call(web, lambda each: each.engine.levels(SHOW))
                under_way = any(level.held or level.paying for level in levels.values())
            if under_way and self.loop.time() > until:
                raise Breach(f"it never comes to rest: {levels}")
        assert self.oracle.model is not None
        flat = self.server.ask("HGETALL", keys.rids(SHOW))
        same_books(self.oracle.model, dict(zip(flat[::2], flat[1::2], strict=True)))


@contextlib.contextmanager
def _small_parts() -> Iterator[None]:
    """A draw among five people goes in several parts too."""
    kept = drawing._DRAWN_PER_CALL, drawing._ENTRANTS_PER_PAGE
    drawing._DRAWN_PER_CALL, drawing._ENTRANTS_PER_PAGE = 2, 3
    try:
        yield
    finally:
        drawing._DRAWN_PER_CALL, drawing._ENTRANTS_PER_PAGE = kept


@contextlib.contextmanager
def _drawn(seed: int, clock: SimulatedClock) -> Iterator[None]:
    """Random words and the time in new ids come from the seed; nothing is logged."""
    chance = random.Random(f"words of {seed}")
    drawn: dict[str, Any] = {
        "token_bytes": chance.randbytes,
        "token_hex": lambda size=16: chance.randbytes(size).hex(),
        "randbits": chance.getrandbits,
        "choice": chance.choice,
    }
    kept = {name: getattr(secrets, name) for name in drawn}
    config = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), processors=[])
    time, numbers = ids.time, ids._numbers
    logging.disable(logging.CRITICAL)
    quiet = warnings.catch_warnings()
    quiet.__enter__()
    warnings.simplefilter("ignore")
    ids._numbers = ids._Numbers()
    ids.time = SimpleNamespace(time_ns=lambda: clock.now_ms() * 1_000_000)  # type: ignore[assignment]
    for name, value in drawn.items():
        setattr(secrets, name, value)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(secrets, name, value)
        ids.time, ids._numbers = time, numbers
        logging.disable(logging.NOTSET)
        quiet.__exit__(None, None, None)
        structlog.configure(**config)


__all__ = ["Gone", "History", "Instance", "Process", "World"]
