"""A history with money: the real orders, sweeps, errands and journal over the real ledger, and a bank that is outside.

What arrives: a seed that `campaign` gives to shops. What leaves: a `History`, or what did not add up. At the end, when
every fault is over and nothing is under way, the books of both stores go to `livecommerce.audit`, what people were told
to the load test's checker, and the bank's money is held against the orders.
"""

import asyncio
import contextlib
import gc
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

import livecommerce.orders.service as orders_service
from livecommerce.audit.books import Books, BooksReader
from livecommerce.audit.breaches import breaches
from livecommerce.background.holds import Heartbeats
from livecommerce.background.journal import JournalToLedger
from livecommerce.background.rebuild import RebuildDuty
from livecommerce.catalogue.service import Catalogue
from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import deals, metadata, pool_moves, shows
from livecommerce.orders.payments.registry import Providers
from livecommerce.orders.service import Orders
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import DealClosed, DealOpened, Hold, HoldLevel
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.model import ModelHold
from livecommerce.reservations.states import State
from livecommerce.shows.deals import DealStocks
from livecommerce.shows.news import News
from livecommerce.shows.service import Shows
from loadtest.check.checker import check
from loadtest.records import Answered, AnyRecord, Asked, Paid, RefusedTo
from tests.orders.world import World as OrdersWorld
from tests.orders.world import request, seed
from tests.simulation.bank import Bank
from tests.simulation.ledger import Disk, SteppedConnection, SteppedDatabase, engines_for
from tests.simulation.network import Server
from tests.simulation.oracle import DRAW_SALT, DRAW_SEED, Breach
from tests.simulation.world import SETTINGS, SHOW, Gone, History, Instance, World

UNITS, HOLD_SECONDS, PAY_SECONDS = 2, 3, 6
DEALS = ("dl_a", "dl_a2", "dl_b")
REST_SECONDS_MAX = 90.0
ENGINES = 8  # three processes, and those that have just died


class Ledgers:
    """One file in memory for the ledger of each history, and engines that keep what they compiled."""

    def __init__(self, socket: str) -> None:
        root = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="lc-sim-ledger-", dir=root))
        self.path = self.folder / "ledger.sqlite3"
        self._template = self.folder / "template.sqlite3"
        self._free: list[Any] = []
        self.disk = Disk(random.Random(0), 0.0)
        asyncio.run(self._make_template(socket))
        # What an engine does at its very first connection must not be part of a history, or the same seed would be
        # another history the second time.
        shutil.copyfile(self._template, self.path)
        asyncio.run(self._make_engines())

    def begin(self, disk: Disk) -> None:
        """A ledger as a shop has it when its show begins."""
        self.disk = disk
        for end in ("", "-wal", "-shm"):
            Path(f"{self.path}{end}").unlink(missing_ok=True)
        shutil.copyfile(self._template, self.path)

    def connect(self) -> SteppedConnection:
        return SteppedConnection(self.disk, str(self.path))

    def lend(self) -> Any:
        return self._free.pop()

    def take_back(self, engines: Any) -> None:
        self._free.append(engines)

    def rows(self, query: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def write(self, change: str, *values: Any) -> None:
        """Of the simulation's own, before the history begins."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute(change, values)
            connection.commit()

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _make_engines(self) -> None:
        for _ in range(ENGINES):
            pair = engines_for(f"sqlite+aiosqlite:///{self.path}", self.connect)
            for engine in pair:
                async with engine.connect():
                    pass
                await engine.dispose()
            self._free.append(pair)

    async def _make_template(self, socket: str) -> None:
        from sqlalchemy.ext.asyncio import create_async_engine

        url = f"sqlite+aiosqlite:///{self._template}"
        maker = create_async_engine(url)
        async with maker.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await maker.dispose()
        database, redis, clock = Database(url), Redis(unix_socket_path=socket), TestClock()
        await database.start()
        engine = ReservationEngine(redis, SETTINGS, clock)
        await engine.start()
        world = OrdersWorld(database, engine, redis, SETTINGS, clock)
        await seed(world, quota=UNITS)
        short = update(deals).values(hold_seconds=HOLD_SECONDS, pay_seconds=PAY_SECONDS, limit_per_viewer=10)
        await database.write(lambda connection: connection.execute(short))
        readable = update(shows).values(video={"kind": "none"})
        await database.write(lambda connection: connection.execute(readable))
        into = pool_moves.c.kind == "to_deal"  # under the name that the product gives a deal's first move
        named = update(pool_moves).where(into).values(move_id=pool_moves.c.deal_id + "/opening")
        await database.write(lambda connection: connection.execute(named))
        await world.aclose()
        await engine.aclose()
        await database.aclose()
        await redis.aclose()
        with contextlib.closing(sqlite3.connect(self._template)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            file.execute("PRAGMA journal_mode=DELETE")


class ShopInstance(Instance):
    world: "Shop"

    async def start(self) -> None:
        world = self.world
        self.redis = world.new_redis()
        engines = world.ledgers.lend()
        self.process.on_death.append(lambda: world.ledgers.take_back(engines))
        self.database = SteppedDatabase(engines, str(world.ledgers.path))
        await self.database.start()
        self.engine = ReservationEngine(self.redis, world.settings, world.clock, self.database)
        self.engine._batcher.batch_max = world.batch_max  # type: ignore[union-attr]  # one server: one batcher
        await self.engine.start()
        catalogue = Catalogue(self.database, world.settings, world.clock)
        providers = Providers(world.bank, {world.bank.name: world.bank})
        news = News(self.redis)
        self.orders = Orders(self.database, self.engine, news, catalogue, providers, world.settings, world.clock)
        self.stocks = DealStocks(self.database, self.engine, world.clock)
        self.journal = JournalToLedger(self.redis, self.database, self.engine, world.clock)
        self.shows = Shows(
            self.database, self.engine, catalogue, news, world.clock, world.settings, copy_journal=self.journal.drain
        )
        if self.role == "worker":
            self.repeat("heartbeat", Heartbeats(self.engine, world.clock).beat_due, 0.25)
            self.repeat("journal", self.journal.drain_all, 0.9)
            self.repeat("outbox", self.orders.run_outbox, 0.53)
            self.repeat("deadlines", self.orders.sweep_deadlines, 1.07)
            self.repeat("unwritten", self.orders.sweep_unwritten, 2.03)
            self.repeat("programme", self.shows.programme.due_changes, 0.7)
            duty = RebuildDuty(self.redis, self.database, self.engine, world.settings, world.clock)
            self.repeat("rebuild", lambda: duty.run(0), 0.47)
        self.repeat("testimony", self.engine.testify, 0.23)

    async def aclose(self) -> None:
        await self.orders.aclose()
        await self.engine.aclose()
        await self.database.aclose()


class Shop(World):
    kind = "shop"
    instance_class = ShopInstance
    away_errors = (Refused, RedisError, OSError, SQLAlchemyError)
    viewers, actions = 5, 7
    gone = Gone

    def __init__(self, seed: int, server: Server, ledgers: Ledgers) -> None:
        super().__init__(seed, server)
        self.ledgers = ledgers
        # In some histories Redis loses everything, or what it did since some moment, and the books are made anew.
        self.loses = "" if self.weather.calm else self.chance.choice(("", "", "everything", "the_end"))
        self.witnesses_live = self.chance.random() < 0.6  # nobody is killed until the books are there again
        ledgers.begin(Disk(self.chance, 0.0 if self.weather.calm else self.chance.choice((0.0, 0.0, 0.01))))
        self.bank = Bank(self, away=0.0 if self.weather.calm else self.chance.choice((0.0, 0.05, 0.3)))
        self.records: list[AnyRecord] = []
        self.links: dict[tuple[str, str], list[str]] = {}
        self.order_of: dict[tuple[str, str], str] = {}
        self.errands: list[asyncio.Task[Any]] = []
        # Holds of which somebody was told at level `ledger`: the loss of all of Redis and of every process is survived.
        self.kept_in_sql: dict[tuple[str, str], int] = {}
        self.oracle.promised = lambda: self.kept_in_sql

    def aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Something outside that nobody waits for; the history is not over before it."""
        self.errands.append(self._task(work))

    def ills(self) -> list[Callable[[], Awaitable[None]]]:
        if self.witnesses_live and not self.oracle.counts:
            return [self._server_away]
        # The checker reads when a hold ended off the server's clock: that one is not set here.
        return [self._kill, self._kill, self._kill, self._stop_gently, self._server_away, self.server_restarts]

    def run(self) -> History:
        with _no_pictures():
            return super().run()

    def _bury(self) -> None:
        super()._bury()
        for instance in list(self.instances):
            for tell in instance.process.on_death:
                tell()
        gc.collect()  # SQLAlchemy complains of lost connections whenever they are collected: here nobody listens

    # --- the show ---------------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        offered: tuple[HoldLevel, ...] = ("soft", "ledger", "fsync") if self.server.syncs else ("soft", "ledger")
        self.levels = {deal_id: self.chance.choice(offered) for deal_id in DEALS}
        if self.chance.random() < 0.3:
            self.windows["dl_a"] = self.chance.uniform(1.0, 5.0)
            self.oracle.secret_of = self._secret_of
        for deal_id, level in self.levels.items():
            fairness = "draw" if deal_id in self.windows else "first_come"
            changed = "UPDATE deals SET level = ?, fairness = ?, draw_seconds = 2 WHERE id = ?"
            self.ledgers.write(changed, level, fairness, deal_id)
        for deal_id, ends_s in self.windows.items():
            committed = "INSERT INTO draws (deal_id, show_id, seed, salt, draws_at_ms) VALUES (?, ?, ?, ?, ?)"
            ends_at_ms = self.clock.now_ms() + round(ends_s * 1000)
            self.ledgers.write(committed, deal_id, SHOW, DRAW_SEED, DRAW_SALT, ends_at_ms)
        # As a show goes live: SQL has its row a moment before Redis has the books, and a rebuild may look in between.
        for deal_id in DEALS:
            await self._insist(lambda each, deal_id=deal_id: each.stocks.follow(SHOW, DealOpened(deal_id)))

    def _secret_of(self, deal_id: str) -> tuple[str, str]:
        """As SQL has it now: where a rebuild found nothing to go on with, the window opened anew under another seed."""
        [secret] = self.ledgers.rows(f"SELECT seed, salt FROM draws WHERE deal_id = '{deal_id}'")
        return secret[0], secret[1]

    def hear(self, viewer_id: str, rid: str, answer: Any) -> None:
        super().hear(viewer_id, rid, answer)
        if not isinstance(answer, Hold) or answer.state != "held":
            return
        if all(self.levels[line.deal_id] == "ledger" for line in answer.lines):
            if not self.ledgers.rows(f"SELECT 1 FROM witnesses WHERE viewer_id = '{viewer_id}' AND rid = '{rid}'"):
                raise Breach(f"{viewer_id}/{rid} was told held at level ledger, and SQL does not know")
            self.kept_in_sql[viewer_id, rid] = answer.ticket

    async def merchant(self) -> None:
        """Closes a deal, now and then."""
        for doing in self.chance.sample([self._close_one, self._lose_history], 2):
            await asyncio.sleep(self.chance.uniform(1.0, 8.0))
            await doing()

    async def _close_one(self) -> None:
        if self.chance.random() < 0.5:
            return
        deal_id = self.chance.choice(DEALS)
        closing = update(deals).where(deals.c.id == deal_id, deals.c.status == "open").values(status="closing")

        async def close(each: ShopInstance) -> None:
            await each.database.write(lambda connection: connection.execute(closing))
            await each.stocks.follow(SHOW, DealClosed(deal_id))

        await self._insist(close)

    async def _lose_history(self) -> None:
        """A server that restarted empty, or a replica that lagged and leads now."""
        if not self.loses:
            return
        left, kept = self.oracle.remember(), self._dumped()
        if self.loses == "the_end":
            await asyncio.sleep(self.chance.uniform(0.2, 3.0))
        for _ in range(10):  # where there is something to lose
            if self.oracle.model is not None and any(map(_is_held, self.oracle.model.holds.values())):
                break
            await asyncio.sleep(0.4)
        self.happened[f"lost_{self.loses}"] += 1
        self._tickets.clear()
        self.told.clear()  # what nobody can prove any more may be asked for again
        self.server.ask("FLUSHALL")
        if self.loses == "everything":
            self.oracle.lost()
            return
        for key, value in kept.items():
            self.server.ask("RESTORE", key, 0, value)
        self.oracle.lost(left)

    def _dumped(self) -> dict[bytes, bytes]:
        names = sorted(self.server.ask("KEYS", "*"))
        return {name: self.server.ask("DUMP", name) for name in names if b":testimony:" not in name}

    async def _insist(self, ask: Callable[[ShopInstance], Awaitable[Any]]) -> Any:
        for _ in range(20):
            web: Any = self.some("web")
            if web is not None:
                with contextlib.suppress(Gone, Refused):
                    return await self.call(web, ask)
            await asyncio.sleep(0.3)
        return None

    # --- who wants what ---------------------------------------------------------------------------------------------

    async def _act(self, viewer: ViewerIdentity, mine: list[str]) -> None:
        number = int(viewer.viewer_id[3:])
        if self.chance.random() < 0.35 or not mine:
            rid = f"rid-{number:03}{len(mine):03}"
            mine.append(rid)
            bundle = self.chance.random() < 0.3
            lines = [("dl_a2", 1), ("dl_b", 1)] if bundle else [("dl_a", self.chance.choice((1, 1, 2)))]
            wait = self.chance.random() < 0.4
            reserve = lambda each: each.engine.reserve(SHOW, viewer, rid, lines, wait)  # noqa: E731
            devices = 2 if self.chance.random() < 0.25 else 1
            await self.recorded(viewer, rid, "reserve", tuple(lines), reserve, devices)
            if self.chance.random() < 0.6:  # she has come to buy
                await self._check_out(viewer, rid)
                for ref in self.links.get((viewer.viewer_id, rid), []):
                    if self.chance.random() < 0.5:
                        self.bank.press(ref, self.chance.choice(("pay", "pay", "pay", "decline", "late")))
            return
        rid = self.chance.choice(mine)
        key = viewer.viewer_id, rid
        what = self.chance.choice(
            ["check_out"] * 5 + ["press"] * 6 + ["accept", "accept", "release", "cancel", "retry", "forge", "two_tabs"]
        )
        self.happened[f"tried_{what}"] += 1
        match what:
            case "check_out":
                await self._check_out(viewer, rid)
            case "two_tabs":
                await asyncio.gather(self._check_out(viewer, rid), self._check_out(viewer, rid))
            case "press" | "forge" if self.links.get(key):
                button = "forge" if what == "forge" else self.chance.choice(["pay"] * 4 + ["decline", "late"])
                self.bank.press(self.chance.choice(self.links[key]), button)  # type: ignore[arg-type]
            case "accept":
                await self.recorded(
                    viewer, rid, "accept", (), lambda each: each.engine.accept(SHOW, viewer.viewer_id, rid)
                )
            case "release":
                await self.recorded(
                    viewer, rid, "release", (), lambda each: each.engine.release(SHOW, viewer.viewer_id, rid)
                )
            case "cancel" | "retry" if key in self.order_of:
                verb, order_id = what, self.order_of[key]
                await self.ask_until_known(
                    viewer, rid, lambda each: getattr(each.orders, verb)(viewer, order_id), tries=2
                )

    async def _check_out(self, viewer: ViewerIdentity, rid: str) -> None:
        wanted = request(int(rid[4:]), self.chance.choice(("ship", "pickup")), rid=rid)
        answer: Any = await self.ask_until_known(viewer, rid, lambda each: each.orders.checkout(viewer, wanted))
        if answer is None or isinstance(answer, R):
            return
        key = viewer.viewer_id, rid
        self.order_of[key] = answer.order.order_id
        self.happened[f"order_{answer.order.status}"] += 1
        self.records.append(Paid(self._now_us(), viewer.viewer_id, rid, answer.order.order_id, answer.order.status))
        if answer.pay_url:
            ref = answer.pay_url.removeprefix("https://bank.example/")
            self.links.setdefault(key, []).append(ref)
            rows = self.ledgers.rows(f"SELECT status, paying_at.state FROM orders o, reservations paying_at "
                                     f"WHERE o.viewer_id = '{key[0]}' AND o.rid = '{rid}' "
                                     f"AND paying_at.viewer_id = o.viewer_id AND paying_at.rid = o.rid")  # fmt: skip
            if not rows:
                raise Breach(f"a link was given out and SQL has nothing under {key}")

    async def recorded(
        self, viewer: ViewerIdentity, rid: str, verb: Any, lines: Any, ask: Any, devices: int = 1
    ) -> None:
        """Ask, on so many devices at once, and keep what was asked and told for the checker."""

        def asks(number: int) -> None:
            now = self._now_us()
            self.records.append(Asked(now, viewer.viewer_id, rid, verb, lines, now, again=number > 0))

        answers: list[Any] = await asyncio.gather(
            *(self.ask_until_known(viewer, rid, ask, on_try=asks) for _ in range(devices))
        )
        now = self._now_us()
        holds = [answer for answer in answers if isinstance(answer, Hold)]
        for hold in holds:
            told = tuple((line.deal_id, line.qty) for line in hold.lines)
            record = Answered(now, viewer.viewer_id, rid, hold.state, hold.ticket, told, hold.due_at_ms or 0)
            self.records.append(record)
        if not holds:  # who gave up knows no outcome; where two asked at once, one may be refused and the other not
            why = answers[0] if isinstance(answers[0], R) and None not in answers else R.BUSY
            self.records.append(RefusedTo(now, viewer.viewer_id, rid, why.value.number))

    def _now_us(self) -> int:
        return round(self.loop.time() * 1_000_000)

    # --- the end ----------------------------------------------------------------------------------------------------

    async def come_to_rest(self) -> None:
        self.ledgers.disk.full = 0.0
        deadline = self.loop.time() + REST_SECONDS_MAX
        while (left := self._under_way()) or not all(errand.done() for errand in self.errands):
            if self.loop.time() > deadline:
                raise Breach(f"it never comes to rest: {left}")
            await asyncio.sleep(1.0)
        await self._judge()

    def _under_way(self) -> dict[str, Any]:
        one = self.ledgers.rows
        levels = self.server.ask("HVALS", keys.deals(SHOW))
        epoch, paused = self.server.ask("HMGET", keys.meta(SHOW), "epoch", "paused")
        left: dict[str, Any] = {
            "books": "missing" if epoch is None else paused,
            "journal": self.server.ask("XLEN", keys.journal(SHOW)),
            "errands": one("SELECT kind, count(*) FROM outbox WHERE done_at_ms IS NULL GROUP BY kind"),
            "unpaid": one("SELECT count(*) FROM orders WHERE status IN ('paying', 'declined')")[0][0],
            "closing": one("SELECT count(*) FROM deals WHERE status = 'closing'")[0][0],
            "unheard": self.bank.unheard,
            "held": [level for level in map(_held, levels) if level],
        }
        return {name: what for name, what in left.items() if what}

    async def _judge(self) -> None:
        kept = self.bank.kept()
        confirmed = sorted(
            order_id for (order_id,) in self.ledgers.rows("SELECT id FROM orders WHERE status='confirmed'")
        )
        self.happened["orders_confirmed"] += len(confirmed)
        if kept != confirmed:
            raise Breach(f"the bank has money for {kept}, confirmed are {confirmed}")
        over = self.ledgers.rows("SELECT id FROM deals WHERE sold + paying > allotted")
        if over:
            raise Breach(f"oversold: {over}")
        self.oracle.digest.update(
            repr(self.ledgers.rows("SELECT viewer_id, rid, status FROM orders ORDER BY 1, 2")).encode()
        )
        self.happened["rebuilt"] += self.oracle.rebuilds
        self.happened["proved"] += self.oracle.proved
        self.happened["kept_in_sql"] += self.oracle.kept
        for void, drawn in self.ledgers.rows("SELECT void, entrants FROM draws WHERE drawn_at_ms IS NOT NULL"):
            self.happened["window_reopened"] += void != "[]"
            self.happened["drawn_in_ledger"] += drawn > 0
        # Whoever was answered died before anybody asked again: nobody could see that history was lost.
        if self.oracle.is_undetected:
            self.happened["loss_unseen"] += 1
            return
        # A line that broke before the calm may still be found out, and a request that waited for it be made.
        for _ in range(5):
            books = await self._insist(self._read)
            if books is not None and books.quiet:
                break
            await asyncio.sleep(1.0)
        assert books is not None
        found = breaches(books)
        result = check([self.records], books, patience_us=1 << 60)
        # A request that lay in somebody's buffers, or in a process that waited for an answer, may be carried out after
        # the same one was refused by another: it holds a unit for as long as its time, and its viewer is told so.
        # Nothing else of it may be wrong.
        weather = self.weather
        excused = {"contradicted_answers"} if weather.late or weather.slow or weather.silent else set()
        if self.oracle.rebuilds:  # refused in the history that counts, and held in the one that was lost
            excused = {"contradicted_answers"}
        # Nor what a rebuild could not keep, or what was told of it: asked for again, it has another ticket. The oracle
        # has judged that.
        of_lost_history = ("lost_holds", "double_effects")
        unknown = tuple(f"{viewer_id}/{rid}:" for viewer_id, rid in self.oracle.not_kept)
        wrong = [
            str(each)
            for each in result.breaches
            if each.kind not in excused and not (each.kind in of_lost_history and each.sentence.startswith(unknown))
        ]
        if found or wrong or not result.complete:
            raise Breach("\n".join([*found, *wrong, result.note]))

    async def _read(self, each: ShopInstance) -> Books:
        books = Books()
        async for piece in BooksReader(each.database, each.redis, each.engine, self.clock).pieces(SHOW):
            for row in piece:
                books.take(row)
        return books


def _is_held(hold: ModelHold) -> bool:
    return hold.state == State.HELD


def _held(packed: bytes) -> int:
    import msgpack

    deal = msgpack.unpackb(packed)
    held: int = deal[3] + deal[4]
    return held


@contextlib.contextmanager
def _no_pictures() -> Iterator[None]:
    """QR codes are drawn in no time here: they cost more than all the rest of a checkout."""
    drawn, orders_service.qr_svg = orders_service.qr_svg, lambda _text: ""  # type: ignore[assignment]
    try:
        yield
    finally:
        orders_service.qr_svg = drawn
