"""One round of the demo: a fresh deal of 24 units, a host who speaks, players who tap, pay, wait and give up.

What arrives: the stage (the show, the host's hands, the players). What leaves: commands, taps, the board, a few times a
second. It follows `story`; what the visitor does changes what it does: her unit is left for her, and whoever gives up
does so once she, or her rival, stands in line. `pace` is how many seconds of the story pass in one of ours.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable
from typing import Any

import structlog
from redis.exceptions import RedisError

from livecommerce.demo.board import Board, write_board
from livecommerce.demo.crowd import Crowd
from livecommerce.demo.players import Player
from livecommerce.demo.stage import HERO, HERO_SHADE, Stage
from livecommerce.demo.story import (
    GIVE_UP_AFTER_SECONDS,
    GIVE_UP_EVERY_SECONDS,
    HERO_UNITS,
    LATE_AT_SECONDS,
    LATE_TAPS,
    LEFT_FOR_VISITOR,
    LINES,
    OPENS_AT_SECONDS,
    ROUND_SECONDS,
    SLOW_PAY_FROM_SECONDS,
    SLOW_PAY_UNTIL_SECONDS,
    SUM_AT_SECONDS,
    TAKE_EVERY_SECONDS,
    VISITOR_PATIENCE_SECONDS,
    Act,
    fates_for,
)
from livecommerce.ending import end
from livecommerce.errors import Refused
from livecommerce.protocol.facts import Hold, Level
from livecommerce.reservations.engine import ReservationEngine

log = structlog.get_logger(__name__)

_BOARD_EVERY_SECONDS = 0.4
# The programme opens the deal on the server's second; players tap a moment later, as people do.
_AFTER_OPENING_SECONDS = 0.4
# A unit that comes back and that nobody in line wanted is not left lying: a player takes it after so long.
_SWEEP_AFTER_SECONDS = 2.0


class Round:
    """`play` once; `clear` afterwards, also where it was cancelled in the middle."""

    def __init__(self, stage: Stage, engine: ReservationEngine, crowd: Crowd, pace: float = 1.0) -> None:
        self._stage = stage
        self._engine = engine
        self._crowd = crowd
        self._pace = pace
        self._began_s = asyncio.get_running_loop().time()
        self._began_ms = stage.clock.now_ms()
        self._card_id = self._deal_id = ""
        self._opens_s = math.inf
        self._rivals: list[Player] = []
        self._rivals_done: set[int] = set()
        self._gone = 0
        self._asked_before = 0
        self._taps = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def seconds(self) -> float:
        """Seconds of the story since it began."""
        return (asyncio.get_running_loop().time() - self._began_s) * self._pace

    def add_rival(self, rival: Player) -> None:
        """A visitor's rival: she comes too late and waits in line."""
        rival.start()
        self._rivals.append(rival)

    async def play(self) -> None:
        """The story, the sum, and the quiet until the next round. Raises `Refused` where the show is not to be had."""
        for player in self._stage.players:
            player.slowest_ms = 0
        self._asked_before = await self._asked()
        self._spawn(self._keep_board())
        self._spawn(self._speak())
        await self._stage.restart_clip()
        self._card_id, deals = await self._stage.card(HERO)
        self._deal_id = deals[HERO_SHADE]
        await self._announce()
        await self._until_opened()
        await self._rush()
        self._spawn(self._sweep())
        await self._until(ROUND_SECONDS)

    async def show_again(self) -> None:
        """The round's own card on the picture again. Raises `Refused`."""
        if self._card_id:
            await self._stage.command(do="show_card", card_id=self._card_id)

    async def clear(self) -> None:
        """End what goes on, let players and rivals go, close the deals, take the cards away."""
        await end(self._tasks)
        await asyncio.gather(*(player.let_go_of_all() for player in self._stage.players), return_exceptions=True)
        await asyncio.gather(*(rival.aclose() for rival in self._rivals), return_exceptions=True)
        with contextlib.suppress(Refused):
            await self._stage.clear_table(HERO)

    # --- the rush ---------------------------------------------------------------------------------------------------

    async def _announce(self) -> None:
        """The countdown: whole seconds, so wait for one of them first."""
        left_s = max(1.0, (OPENS_AT_SECONDS - self.seconds()) / self._pace)
        opens_in = math.floor(left_s)
        await asyncio.sleep(left_s - opens_in)
        await self._stage.command(do="show_card", card_id=self._card_id, open_in_seconds=opens_in)
        self._opens_s = asyncio.get_running_loop().time() + opens_in

    async def _until_opened(self) -> None:
        wait_s = self._opens_s + _AFTER_OPENING_SECONDS - asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, wait_s))

    async def _rush(self) -> None:
        """Players take all but the visitors' units within seconds; they get their time; then it is sold out."""
        players = list(self._stage.players)
        random.shuffle(players)
        fates = iter(fates_for(len(self._rivals)))
        left_for_visitors = max(LEFT_FOR_VISITOR, min(len(self._rivals), HERO_UNITS // 2))
        takers = (players + players)[: HERO_UNITS - left_for_visitors]
        for number, player in enumerate(takers):
            self._spawn(self._take(player, next(fates), after=(number + random.random() * 0.6) * TAKE_EVERY_SECONDS))
        await self._pause((len(takers) + 1) * TAKE_EVERY_SECONDS)
        await self._until_levels(lambda: self._left() == 0, VISITOR_PATIENCE_SECONDS)
        for player in _with_one_unit(players, len(takers))[: self._left()]:
            self._spawn(self._take(player, "keep", after=0))
        await self._pause(0.5)
        await self._until(LATE_AT_SECONDS)
        for player in (players + players)[:LATE_TAPS]:
            self._spawn(self._too_late(player))
        self._spawn(self._wait_in_line(players[-1], after=0.6, takes_offer_after=1.0))
        for rival in self._rivals:
            self._send_rival(rival)

    def _left(self) -> int:
        level = self._stage.levels.get(self._deal_id)
        return level.available if level else HERO_UNITS

    async def _take(self, player: Player, fate: Act, after: float) -> None:
        await self._pause(after)
        hold = await player.tap(self._deal_id)
        if hold is None:
            return
        if random.random() < 0.5:
            await player.heart()
        await self._live_out(player, hold, fate)

    async def _live_out(self, player: Player, hold: Hold, fate: Act) -> None:
        counter = random.choice(self._stage.counters) if self._stage.counters else ""
        if fate == "pay":
            await self._pause(1 + random.random() * 2.5)
            await player.pay(await player.check_out(self._stage.show_id, hold.rid, counter))
        elif fate == "pay_slowly":
            await self._pause(1 + random.random())
            reference = await player.check_out(self._stage.show_id, hold.rid, counter)
            await self._until(random.uniform(SLOW_PAY_FROM_SECONDS, SLOW_PAY_UNTIL_SECONDS))
            await player.pay(reference)
        elif fate == "give_up":
            await self._until_all_wait()
            before, self._gone = self._gone, self._gone + 1
            await self._pause(GIVE_UP_AFTER_SECONDS + before * GIVE_UP_EVERY_SECONDS)
            await player.give_up(hold.rid)

    async def _too_late(self, player: Player) -> None:
        await self._pause(random.random() * 2.5)
        await player.tap(self._deal_id)

    async def _until_all_wait(self) -> None:
        def all_wait() -> bool:
            level = self._stage.levels.get(self._deal_id)
            return level is not None and level.waiting >= 1 + len(self._rivals)

        await self._until_levels(all_wait, SUM_AT_SECONDS - 2 * GIVE_UP_AFTER_SECONDS)

    async def _sweep(self) -> None:
        """Until the sum, what somebody gave back and nobody in line took goes to a player."""
        players = random.sample(self._stage.players, len(self._stage.players))
        await self._until(LATE_AT_SECONDS + 3)
        for player in players:
            await self._until_levels(lambda: self._left() > 0, SUM_AT_SECONDS - 2 * _SWEEP_AFTER_SECONDS)
            await self._pause(_SWEEP_AFTER_SECONDS)
            if self._left() > 0 and self.seconds() < SUM_AT_SECONDS:
                await player.tap(self._deal_id)

    async def _until_levels(self, wanted: Callable[[], bool], by_seconds: float) -> None:
        """Return once the levels are as wanted, or at `by_seconds` of the story."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, by_seconds - self.seconds()) / self._pace):
                while not wanted():
                    self._stage.changed.clear()
                    await self._stage.changed.wait()

    # --- the line ---------------------------------------------------------------------------------------------------

    def _send_rival(self, rival: Player) -> None:
        if id(rival) not in self._rivals_done:
            self._rivals_done.add(id(rival))
            # Long enough to be seen and taken by hand on the rival's phone; if nobody does, she takes it herself.
            self._spawn(self._wait_in_line(rival, after=1.5, takes_offer_after=9.0))

    async def _wait_in_line(self, player: Player, after: float, takes_offer_after: float) -> None:
        await self._pause(after)
        hold = await player.tap(self._deal_id, wait=True)
        if hold is None or hold.state != "waiting":
            return
        if await player.until_offered(hold.rid, ROUND_SECONDS / self._pace):
            await self._pause(takes_offer_after)
            if hold.rid in player.holds and player.holds[hold.rid].state == "offered":
                await player.take_offer(hold.rid)

    # --- the host ---------------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        for line in LINES:
            await self._until(line.at_seconds)
            with contextlib.suppress(Refused):
                if line.by == "host":
                    await self._stage.command(do="announce", text=line.text)
                else:
                    await self._stage.players[line.by % len(self._stage.players)].say(line.text)

    # --- the board --------------------------------------------------------------------------------------------------

    async def _keep_board(self) -> None:
        while True:
            with contextlib.suppress(Refused, RedisError, OSError):  # Redis is away; the next turn writes it
                await write_board(self._stage.redis, await self._board())
            await asyncio.sleep(_BOARD_EVERY_SECONDS)

    async def _board(self) -> Board:
        # The crowd has a line of the board of its own: while it taps, its taps and ours are not told apart.
        if not self._crowd.buyers.running:
            self._taps = await self._asked() - self._asked_before
        _, levels = await self._engine.levels(self._stage.show_id)
        level = levels.get(self._deal_id, Level(HERO_UNITS, 0, 0, 0, 0))
        taken = level.held + level.paying + level.sold
        return Board(
            show_id=self._stage.show_id,
            phase="story" if self.seconds() < SUM_AT_SECONDS else "sum",
            story_began_ms=self._began_ms,
            rearm_at_ms=self._began_ms + round(ROUND_SECONDS * 1000 / self._pace),
            units=HERO_UNITS,
            taps=self._taps,
            held=level.held + level.paying,
            sold=level.sold,
            oversold=max(0, taken - HERO_UNITS),
            waiting=level.waiting,
            slowest_answer_ms=max(player.slowest_ms for player in (*self._stage.players, *self._rivals)),
            buyers=self._crowd.buyers,
        )

    async def _asked(self) -> int:
        """Taps that the show was ever asked for, without the crowds'."""
        counts = await self._engine.counts(self._stage.show_id)
        return counts.get("asked", 0) - self._crowd.taps

    # --- time -------------------------------------------------------------------------------------------------------

    async def _until(self, at_seconds: float) -> None:
        await self._pause(at_seconds - self.seconds())

    async def _pause(self, seconds: float) -> None:
        """For so many seconds of the story."""
        await asyncio.sleep(max(0.0, seconds) / self._pace)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_failure)


def _with_one_unit(players: list[Player], taken: int) -> list[Player]:
    """Those who took at most one of the first `taken` units: they may still take one."""
    return players[max(0, taken - len(players)) :]


def _log_failure(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("act_failed", error=repr(task.exception()))
