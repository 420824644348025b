"""Random histories: the real script on the real Valkey against the model, after every step the same books.

One seed makes a history; Hypothesis prints the shortest one that fails. The clock is turned by moving its field; all
times are far enough apart that the milliseconds a history really takes decide nothing.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.reservations import ReservationEngine, keys
from livecommerce.reservations.draw import root_and_order
from livecommerce.reservations.model import Model, ModelDeal, No
from livecommerce.reservations.states import DEAL_STATES, DealState, DrawPhase, Move, State
from livecommerce.settings import read_settings, with_secrets
from tests.reservations.conftest import SHOW, deal, viewer

T = TypeVar("T")

DEALS = ("dl_a", "dl_b", "dl_c", "dl_d", "dl_e")
HOLD_MS = {"dl_a": 100_000, "dl_b": 100_000, "dl_c": 160_000, "dl_d": 100_000, "dl_e": 100_000}
RULE = {"dl_a": "skip", "dl_b": "wait", "dl_c": "skip", "dl_d": "skip", "dl_e": "wait"}
DRAWN = ("dl_d", "dl_e")
LIMIT = 3
PAY_MS = 200_000
KEEP_MS = 250_000
OFFER_MS = 50_000  # the setting below; steps of 30 s never meet a due time within 10 s

# Few of everything, so that histories meet: three viewers with four rids each fight for two units of three deals.
RIDS = ("rid-0001", "rid-0002", "rid-0003", "rid-0004")
keys_of = st.tuples(st.integers(1, 3), st.sampled_from(RIDS))
deal_ids = st.sampled_from(DEALS)
some_lines = st.lists(st.tuples(deal_ids, st.integers(0, 3)), min_size=1, max_size=3).map(tuple)
# Whom limits count: two persons for three viewers, two addresses, and often nobody in particular.
persons = st.sampled_from(("", "", "v_one", "v_two", "m"))
addresses = st.sampled_from(("", "north", "south"))
plain_or = st.sampled_from
rules_of = st.fixed_dictionaries(
    {
        "limit_by": plain_or(("guest", "guest", "verified", "member")),
        "address_cap": plain_or((0, 0, 2)),
        # So many steps of 30 s of one hold, with room for the moments that a history really takes.
        "held_again": plain_or((None, None, 0, 2)),
    }
)
SLACK_MS = 15_000
# Each by its key and deal, as `die_after_asking` draws them.
VERBS: dict[str, Callable[["Histories", tuple[int, str], str], None]] = {
    "reserve": lambda it, key, deal_id: it.reserve_one_or_wait(key, deal_id, "", ""),
    "replace": lambda it, key, deal_id: it.replace(key[0], [key[1], RIDS[RIDS[0] == key[1]]], ((deal_id, 1),)),
    "release": lambda it, key, _: it.release(key),
    "accept": lambda it, key, _: it.accept(key),
    "keep": lambda it, key, _: it.keep(key),
    "begin_pay": lambda it, key, _: it.begin_pay(key),
    "settle": lambda it, key, _: it.settle(key),
    "free": lambda it, key, _: it.free(key, False),
    "reacquire": lambda it, key, _: it.reacquire(key),
    "put_deal": lambda it, _, deal_id: it.put_deal(deal_id, 1, "second"),
    "set_status": lambda it, _, deal_id: it.set_status(deal_id, "closing"),
    "take_out": lambda it, _, deal_id: it.take_out(deal_id, 1, "away"),
    "pull": lambda it, _, deal_id: it.pull(deal_id, False),
    "draw": lambda it, _, deal_id: it.draw(deal_id if deal_id in DRAWN else DRAWN[0]),
    "lengthen": lambda it, _, deal_id: it.lengthen(DEALS.index(deal_id) + 1, 1),
    "heartbeat": lambda it, _key, _deal_id: it.turn(1),
}


class Histories(RuleBasedStateMachine):
    socket = ""
    data = Path()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis = Redis(unix_socket_path=self.socket, retry=Retry(NoBackoff(), 0))
        self.chosen = with_secrets(read_settings({"OFFER_SECONDS": str(OFFER_MS // 1000)}, data=self.data))
        self.clock = TestClock()
        self.engine = ReservationEngine(self.redis, self.chosen, self.clock)
        self.model = Model(OFFER_MS)
        self.dies = False
        self.run(self._start())

    async def _start(self) -> None:
        await self.redis.flushall()
        await self.engine.start()
        await self.engine.open_show(SHOW)

    async def _end(self) -> None:
        await self.engine.aclose()
        await self.redis.aclose()

    def teardown(self) -> None:
        self.run(self._end())
        self.loop.close()

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)  # type: ignore[arg-type]

    def same(self, real: Callable[[], Awaitable[Any]], model: Callable[[], Any]) -> tuple[Any, Any]:
        """Ask both; they answer alike or refuse alike. Where the process `dies`, both are asked twice."""
        if self.dies:
            self.dies = False
            with contextlib.suppress(No):
                model()
            self.model.end_of_call()
            self.run(self._die_after(real))
        try:
            told: Any = self.run(_ask(real))
        except Refused as refused:
            told = refused.why
        try:
            expected = model()
        except No as no:
            expected = no.why
            assert told is expected
        finally:
            self.model.end_of_call()
        assert isinstance(told, R) == isinstance(expected, R), (told, expected)
        return told, expected

    def same_hold(self, key: tuple[int, str], real: Callable[[], Awaitable[Any]], model: Callable[[], Any]) -> None:
        told, expected = self.same(real, model)
        if hasattr(expected, "ticket"):
            assert (told.state, told.ticket) == (expected.state.word, expected.ticket)
            if expected.state == State.WAITING:
                assert told.place == self.model.place(_key(key))

    @initialize()
    def two_units_of_each(self) -> None:
        for deal_id in DEALS:
            self.put_deal(deal_id, 2, "first")

    @rule(deal_id=deal_ids, units=st.integers(0, 2), move=st.sampled_from(("first", "second")))
    def put_deal(self, deal_id: str, units: int, move: str, **rules: Any) -> None:
        again: int | None = rules.pop("held_again", None)
        rules["hold_cap_ms"] = 0 if again is None else HOLD_MS[deal_id] + again * 30_000 + SLACK_MS
        stock = deal(deal_id, units, limit=LIMIT, hold_ms=HOLD_MS[deal_id], pay_ms=PAY_MS, move_id=move,
                     head_wants_more=RULE[deal_id], drawn=deal_id in DRAWN, **rules)  # fmt: skip
        model = ModelDeal(units, LIMIT, HOLD_MS[deal_id], PAY_MS, DEAL_STATES["open"], RULE[deal_id] == "wait", **rules)
        model.draw = DrawPhase.ENTERING if deal_id in DRAWN else DrawPhase.NONE
        self.same(
            lambda: self.engine.put_deal(SHOW, stock),
            lambda: self.model.put_deal(deal_id, model, move),
        )

    @rule(deal_id=deal_ids, rules=rules_of)
    def other_rules(self, deal_id: str, rules: dict[str, Any]) -> None:
        """Also in the middle of its sale: what is charged already is given back as it was charged."""
        self.put_deal(deal_id, 0, "rules", **rules)

    @rule(limit=st.sampled_from((0, 0, 3)))
    def limit_the_show(self, limit: int) -> None:
        self.run(self.engine.open_show(SHOW, limit))
        self.model.show_limit = limit

    @rule(deal_id=deal_ids, status=st.sampled_from(("open", "open", "open", "open", "announced", "closing", "closed")))
    def set_status(self, deal_id: str, status: Any) -> None:
        told, expected = self.same(
            lambda: self.engine.set_deal_status(SHOW, deal_id, status),
            lambda: self.model.set_status(deal_id, DEAL_STATES[status]),
        )
        assert told == expected

    @rule(key=keys_of, lines=some_lines, wait=st.booleans(), person=persons, address=addresses)
    def reserve(
        self, key: tuple[int, str], lines: tuple[tuple[str, int], ...], wait: bool, person: str, address: str
    ) -> None:
        who = viewer(key[0], member=True) if person == "m" else viewer(key[0], person)
        self.same_hold(
            key,
            lambda: self.engine.reserve(SHOW, who, key[1], list(lines), wait, address),
            lambda: self.model.reserve(_key(key), lines, wait, who.person, address),
        )

    @rule(key=keys_of, deal_id=deal_ids, person=persons, address=addresses)
    def reserve_one_or_wait(self, key: tuple[int, str], deal_id: str, person: str, address: str) -> None:
        self.reserve(key, ((deal_id, 1),), True, person, address)

    @rule(deal_id=deal_ids, rids=st.lists(st.sampled_from(RIDS), min_size=3, max_size=3), person=persons)
    def everybody_wants_it(self, deal_id: str, rids: list[str], person: str) -> None:
        for number, rid in enumerate(rids, 1):
            self.reserve((number, rid), ((deal_id, 1),), True, person, "")

    @rule(key=keys_of, deal_id=deal_ids)
    def hold_and_let_go_again_and_again(self, key: tuple[int, str], deal_id: str) -> None:
        for rid in RIDS:
            self.reserve((key[0], rid), ((deal_id, 1),), False, "m", "")
            self.turn(1)
            self.release((key[0], rid))

    @rule(deal_id=deal_ids, closes=st.booleans())
    def pull(self, deal_id: str, closes: bool) -> None:
        if closes:
            self.set_status(deal_id, "closing")
        elif self.model.deals[deal_id].status < DealState.CLOSING:
            return  # only what is no longer open is pulled: else new holds come as fast as old ones go
        self.same(lambda: self.engine.cancel_unpaid(SHOW, deal_id), lambda: self.model.cancel_unpaid(deal_id))

    @rule(deal_id=st.sampled_from(DRAWN))
    def draw(self, deal_id: str) -> None:
        """With whoever is in it, and once more where it was made before."""
        entrants = self.model.entrants(deal_id)
        _, order = root_and_order("seed", "salt", {ticket: key[0] for ticket, key in entrants.items()})
        self.same(
            lambda: self.engine.draw(SHOW, deal_id, "seed", "salt"),
            lambda: self.model.draw(deal_id, [entrants[ticket] for ticket in order]),
        )

    @rule(deal_id=st.sampled_from(DRAWN), rids=st.lists(st.sampled_from(RIDS), min_size=3, max_size=3), person=persons)
    def everybody_enters_and_it_is_drawn(self, deal_id: str, rids: list[str], person: str) -> None:
        self.everybody_wants_it(deal_id, rids, person)
        self.draw(deal_id)

    @rule(key=keys_of)
    def pay_and_miss_the_deadline(self, key: tuple[int, str]) -> None:
        self.begin_pay(key)
        self.free(key, False)

    @rule(key=keys_of)
    def release(self, key: tuple[int, str]) -> None:
        self.same_hold(key, lambda: self.engine.release(SHOW, *_key(key)), lambda: self.model.release(_key(key)))

    @rule()
    def accept_every_offer(self) -> None:
        for viewer_id, rid in [key for key, hold in self.model.holds.items() if hold.state == State.OFFERED]:
            self.accept((int(viewer_id.removeprefix("vw_")), rid))

    @rule(key=keys_of)
    def accept(self, key: tuple[int, str]) -> None:
        self.same_hold(key, lambda: self.engine.accept(SHOW, *_key(key)), lambda: self.model.accept(_key(key)))

    @rule(key=keys_of)
    def begin_pay(self, key: tuple[int, str]) -> None:
        self.same_hold(
            key,
            lambda: self.engine.begin_pay(SHOW, *_key(key), PAY_MS),
            lambda: self.model.begin_pay(_key(key), PAY_MS),
        )

    @rule(key=keys_of)
    def settle(self, key: tuple[int, str]) -> None:
        self.same(lambda: self.engine.settle(SHOW, *_key(key)), lambda: self.model.settle(_key(key)))

    @rule(deal_id=deal_ids, units=st.integers(1, 3), move=st.sampled_from(("away", "elsewhere")))
    def take_out(self, deal_id: str, units: int, move: str) -> None:
        told, expected = self.same(
            lambda: self.engine.take_out(SHOW, deal_id, move, units),
            lambda: self.model.take_out(deal_id, move, units),
        )
        assert told == expected

    @rule(key=keys_of)
    def keep(self, key: tuple[int, str]) -> None:
        self.same_hold(
            key, lambda: self.engine.keep(SHOW, *_key(key), KEEP_MS), lambda: self.model.keep(_key(key), KEEP_MS)
        )

    @rule(number=st.integers(1, 4), steps=st.sampled_from((1, 1, 2)))
    def lengthen(self, number: int, steps: int) -> None:
        """The same break again, and an earlier one, change nothing."""
        told, expected = self.same(
            lambda: self.engine.lengthen(SHOW, number, steps * 30_000),
            lambda: self.model.lengthen(number, steps * 30_000),
        )
        assert (told.holds, told.capped) == expected

    @rule(viewer_number=st.integers(1, 3), rids=st.permutations(RIDS), lines=some_lines)
    def replace(self, viewer_number: int, rids: list[str], lines: tuple[tuple[str, int], ...]) -> None:
        key, old = (viewer_number, rids[0]), (viewer_number, rids[1])
        self.same_hold(
            key,
            lambda: self.engine.reserve(SHOW, viewer(viewer_number), key[1], list(lines), instead_of=old[1]),
            lambda: self.model.replace(_key(key), _key(old), lines),
        )

    @rule(key=keys_of, cancelled=st.booleans(), n=st.sampled_from((None, 0, 1)))
    def free(self, key: tuple[int, str], cancelled: bool, n: int | None = None) -> None:
        self.same(
            lambda: self.engine.free(SHOW, *_key(key), "cancelled" if cancelled else "expired", n),
            lambda: self.model.free(_key(key), Move.FREE_CANCELLED if cancelled else Move.FREE_EXPIRED, n),
        )

    @rule()
    def restart(self) -> None:
        """A process dies, another one begins: nothing of the first was needed."""
        self.run(self._restart())

    @rule(verb=st.sampled_from(sorted(VERBS)), key=keys_of, deal_id=deal_ids)
    def die_after_asking(self, verb: str, key: tuple[int, str], deal_id: str) -> None:
        """It was carried out and its answer was lost with the process: asking again is answered by what stands."""
        self.dies = True
        VERBS[verb](self, key, deal_id)
        self.dies = False

    @rule(hours=st.sampled_from((-1, 1)))
    def the_servers_clock_steps(self, hours: int) -> None:
        """As the script meets it: an hour between its last call and this one. The hold clock stands still then, or
        goes on by 2 s and is turned back here by as much as that, so that the model needs no clock of that kind."""

        async def moved_ms() -> int:
            before = int(await self.redis.hget(keys.meta(SHOW), "clk") or 0)
            await self.redis.hincrby(keys.meta(SHOW), "last", -hours * 3_600_000)
            await self.engine.heartbeat(SHOW)
            moved = int(await self.redis.hget(keys.meta(SHOW), "clk") or 0) - before
            await self.redis.hincrby(keys.meta(SHOW), "clk", -moved)
            return moved

        assert self.run(moved_ms()) == (2000 if hours > 0 else 0)
        self.same(lambda: self.engine.heartbeat(SHOW), lambda: self.model.turn(0))

    async def _restart(self) -> None:
        await self.engine.aclose()
        self.engine = ReservationEngine(self.redis, self.chosen, self.clock)
        await self.engine.start()

    async def _die_after(self, ask: Callable[[], Awaitable[Any]]) -> None:
        before = await self.redis.hget(keys.meta(SHOW), "seq")
        asked = asyncio.ensure_future(ask())
        while not asked.done() and await self.redis.hget(keys.meta(SHOW), "seq") == before:  # noqa: ASYNC110
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await self._restart()

    @rule(key=keys_of)
    def reacquire(self, key: tuple[int, str]) -> None:
        told, expected = self.same(
            lambda: self.engine.reacquire(SHOW, *_key(key)), lambda: self.model.reacquire(_key(key))
        )
        assert told == expected

    @rule(steps=st.integers(1, 4))
    def turn(self, steps: int) -> None:
        async def real() -> None:
            await self.redis.hincrby(keys.meta(SHOW), "clk", steps * 30_000)
            await self.engine.heartbeat(SHOW)

        self.same(real, lambda: self.model.turn(steps * 30_000))

    @invariant()
    def the_books_are_the_same(self) -> None:
        _, levels = self.run(self.engine.levels(SHOW))
        told = {d: (v.available, v.held, v.paying, v.sold, v.waiting) for d, v in levels.items()}
        assert told == {deal_id: self.model.level(deal_id) for deal_id in self.model.deals}
        for deal_id, model_deal in self.model.deals.items():
            assert sum(told[deal_id][:4]) == model_deal.quota

    @invariant()
    def everybodys_limits_are_what_they_have(self) -> None:
        raw = self.run(self.redis.hgetall(keys.viewers(SHOW)))
        fields = {name.decode(): int(value) for name, value in raw.items() if b"/" in name}
        # The count of a deal carries the time held above, and the mark "waits" in its lowest bit.
        units = {name: n if name[0] == "@" or name[-1] == "/" else n % 2**20 // 2 for name, n in fields.items()}
        assert {name: n for name, n in units.items() if n} == self.model.counts()
        for name in fields.keys() | self.model.held_ms.keys():
            assert abs((fields.get(name, 0) >> 20) - self.model.held_ms.get(name, 0)) < SLACK_MS, name

    @invariant()
    def each_viewer_sees_what_is_hers(self) -> None:
        for viewer_id in {key[0] for key in self.model.holds}:
            holds = self.run(self.engine.holds_of(SHOW, viewer_id))
            live = self.model.live_of(viewer_id)
            assert {hold.rid: hold.state for hold in holds} == {k[1]: self.model.holds[k].state.word for k in live}
            for hold in holds:
                if hold.state in ("held", "offered"):
                    assert hold.due_at_ms is not None
                    left_ms = self.model.holds[viewer_id, hold.rid].due - self.model.now
                    assert abs(hold.due_at_ms - self.clock.now_ms() - left_ms) < SLACK_MS


async def _ask(real: Callable[[], Awaitable[Any]]) -> Any:
    return await real()


def _key(key: tuple[int, str]) -> tuple[str, str]:
    return f"vw_{key[0]}", key[1]


def test_the_script_and_the_model_agree_on_random_histories(valkey_socket: str, tmp_path: Path) -> None:
    Histories.socket, Histories.data = valkey_socket, tmp_path / "data"
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=25, stateful_step_count=35, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_campaign_of_random_histories(valkey_socket: str, tmp_path: Path) -> None:
    Histories.socket, Histories.data = valkey_socket, tmp_path / "data"
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=3000, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
