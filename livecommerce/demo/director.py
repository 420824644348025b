"""The demo's director: keeps the show on air, plays the host, and starts a round when a visitor arrives.

What arrives: wishes of the page (`board`), levels that a player hears. What leaves: the host's commands over HTTP, acts
of the players, the board. It is an outsider: it changes nothing but through the API and the sockets that anyone has.
A process of its own; when the server is killed under it, it goes on as its viewers do.
"""

import asyncio
import contextlib
import os
import signal
from datetime import UTC, datetime, timedelta

import structlog

from livecommerce.client.api import Api
from livecommerce.clock import RealClock
from livecommerce.demo.board import Board, Wish, next_wish, write_board
from livecommerce.demo.crowd import Crowd
from livecommerce.demo.players import Pass, Player
from livecommerce.demo.programme import demo_shows, is_on, live_show
from livecommerce.demo.round import Round
from livecommerce.demo.seed import Cast, read_cast
from livecommerce.demo.stage import HERO, SERUM, Stage, patiently
from livecommerce.demo.story import NAMES, PLAYERS, ROUND_SECONDS
from livecommerce.ending import end
from livecommerce.errors import Refused
from livecommerce.hot_state import connect
from livecommerce.ledger.database import Database
from livecommerce.logs import set_up_logs
from livecommerce.people.service import People
from livecommerce.reservations.engine import ReservationEngine
from livecommerce.settings import Settings, read_settings, with_secrets

log = structlog.get_logger(__name__)

_ASK_AGAIN_SECONDS = 0.5
# A round that has only begun is shared by whoever arrives now; later arrivals get a round of their own.
_SHARED_SECONDS = 6.0
# Without a visitor for this long the room rests: no more rounds, no more orders, until somebody comes.
_REST_AFTER_SECONDS = 600.0
# A host who ends the show from her console gets another one.
_LOOK_AT_SHOW_EVERY_SECONDS = 5.0
# Its players say goodbye, and what it opened is closed.
CLOSING_SECONDS = 3.0


class Director:
    """One per demo. `pace` is how many seconds of the story pass in one of ours."""

    def __init__(self, people: People, engine: ReservationEngine, stage: Stage, pace: float = 1.0) -> None:
        self._people = people
        self._engine = engine
        self._stage = stage
        self._pace = pace
        self._round: Round | None = None
        self._crowd = Crowd(stage, self._passes_for_buyers, self._show_again)
        self._playing: asyncio.Task[None] | None = None
        self._last_visit_s = -_REST_AFTER_SECONDS
        self._looked_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    wanted = await next_wish(self._stage.redis, _ASK_AGAIN_SECONDS)
                except Exception:  # Redis is being restarted: the page says so, and so do we, once a turn
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
                    continue
                with contextlib.suppress(Refused):  # the server is away: the next turn tries again
                    await self._turn(wanted)
        finally:
            await self._crowd.aclose()

    async def _turn(self, wanted: Wish | None) -> None:
        if wanted is not None:
            await self._grant(wanted)
        elif self._time_for_another():
            await self._begin(None)
        await self._look_at_show()

    async def _grant(self, wanted: Wish) -> None:
        if wanted.kind == "buyers":
            self._crowd.send(wanted.count)
            return
        self._last_visit_s = asyncio.get_running_loop().time()
        rival = self._player("Rival", self._viewer_pass(wanted.rival_id))
        if self._round is not None and self._round.seconds() < _SHARED_SECONDS and self._playing_now():
            self._round.add_rival(rival)
        else:
            await self._begin(rival)

    def _playing_now(self) -> bool:
        return self._playing is not None and not self._playing.done()

    def _time_for_another(self) -> bool:
        if self._round is None:
            return True
        rested = asyncio.get_running_loop().time() - self._last_visit_s > _REST_AFTER_SECONDS
        return self._round.seconds() > ROUND_SECONDS and not self._playing_now() and not rested

    async def _begin(self, rival: Player | None) -> None:
        await end([self._playing])
        if self._round is not None:
            await self._round.clear()
            self._round = None  # where the show cannot be put on air, the next turn tries again
        await self._put_on_air()
        self._crowd.forget()
        self._round = Round(self._stage, self._engine, self._crowd, self._pace)
        if rival is not None:
            self._round.add_rival(rival)
        self._playing = asyncio.create_task(self._round.play(), name="round")
        self._playing.add_done_callback(_log_failure)

    async def _look_at_show(self) -> None:
        """A show that was ended in the console is followed by a new one, with the same players."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._looked_s < _LOOK_AT_SHOW_EVERY_SECONDS:
            return
        self._looked_s = now_s
        if not await is_on(self._stage.host, self._stage.show_id):
            await self._begin(None)

    async def _put_on_air(self) -> None:
        """The show goes on, or is followed by a new one that the players move to."""
        show_id = await patiently(lambda: live_show(self._stage.host, datetime.now(UTC)))
        if show_id != self._stage.show_id:
            log.info("another_show", show_id=show_id)
            leaving, self._stage.show_id = self._stage.players[:], show_id
            self._stage.players[:] = await _players(self._people, self._stage)
            await asyncio.gather(*(player.aclose() for player in leaving), return_exceptions=True)

    async def _show_again(self) -> None:
        if self._round is not None:
            await self._round.show_again()

    def _player(self, name: str, passes: Pass) -> Player:
        return Player(self._stage.base_url, self._stage.show_id, name, passes)

    def _viewer_pass(self, viewer_id: str) -> Pass:
        async def give() -> str:
            return self._people.tokens.for_viewer(await self._people.viewers.find(viewer_id)).token

        return give

    async def _passes_for_buyers(self, count: int) -> list[str]:
        viewers = await asyncio.gather(
            *(
                self._people.merchant_viewer(f"demo-buyer-{number}", f"Buyer {number}", "simulated")
                for number in range(count)
            )
        )
        return [self._people.tokens.for_viewer(viewer).token for viewer in viewers]


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("round_failed", exc_info=task.exception())


async def direct(settings: Settings, pace: float = 1.0) -> None:
    """Wait for the server, put the show on air, and play rounds until cancelled. `pace` as in `Director`."""
    cast = read_cast(settings)
    redis, database, clock = connect(settings.redis_url), Database(settings.sql_url), RealClock()
    await database.start()
    people = People(database, redis, settings, clock)
    base_url = f"{'https' if settings.tls else 'http'}://127.0.0.1:{settings.port}"
    engine = ReservationEngine(redis, settings, clock, database)
    await engine.start()
    async with Api(base_url, verify=False) as host, Api(base_url, verify=False) as admin:
        renewing = asyncio.create_task(_keep_signed_in(people, cast, host, admin, settings.token_minutes * 30))
        stage = Stage(base_url, "", host, admin, redis, clock, cast.warehouse_id, cast.counter_ids, [])
        try:
            stage.show_id = await _on_air(host, admin, cast)
            stage.players += await _players(people, stage)
            for plan in (HERO, SERUM):
                await stage.clear_table(plan)
            await write_board(redis, Board(show_id=stage.show_id, phase="sum", rearm_at_ms=clock.now_ms()))
            await Director(people, engine, stage, pace).run()
        finally:
            await end([renewing])
            await asyncio.gather(*(player.aclose() for player in stage.players), return_exceptions=True)
            await engine.aclose()
            await database.aclose()
            await redis.aclose()


async def _on_air(host: Api, admin: Api, cast: Cast) -> str:
    """The id of the live show, made and put on air where it is not yet. Waits for the server to come up."""
    while True:
        try:
            today = datetime.now(UTC)
            show_id = await live_show(host, today)
            await demo_shows(host, admin, cast.warehouse_id, today + timedelta(days=1))
            return show_id
        except Refused as refused:
            log.info("director_waits", number=refused.why.value.number)
            await asyncio.sleep(_ASK_AGAIN_SECONDS)


async def _players(people: People, stage: Stage) -> list[Player]:
    """The twenty, on their way into the stage's show."""
    players = []
    for number, name in enumerate(NAMES[:PLAYERS]):
        viewer = await people.merchant_viewer(f"demo-player-{number}", name, "simulated")

        async def give(viewer_id: str = viewer.viewer_id) -> str:
            return people.tokens.for_viewer(await people.viewers.find(viewer_id)).token

        players.append(Player(stage.base_url, stage.show_id, name, give, stage.hear if number == 0 else None))
        players[-1].start()
    return players


async def _keep_signed_in(people: People, cast: Cast, host: Api, admin: Api, every_seconds: float) -> None:
    while True:
        with contextlib.suppress(Refused):
            host.token = (await people.pass_for_staff((await people.accounts.find(cast.host_account_id)).staff)).token
            admin.token = (await people.pass_for_staff((await people.accounts.find(cast.admin_account_id)).staff)).token
        await asyncio.sleep(every_seconds)


def main() -> None:
    """Run as `python -m livecommerce.demo.director`, with the environment that the supervisor gives."""
    settings = with_secrets(read_settings(os.environ))
    set_up_logs(settings)

    async def until_told() -> None:
        told = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        directing, waiting = asyncio.create_task(direct(settings)), asyncio.create_task(told.wait())
        await asyncio.wait({directing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await end([directing, waiting], CLOSING_SECONDS)
        if not directing.cancelled():
            directing.result()

    asyncio.run(until_told())


if __name__ == "__main__":
    main()
