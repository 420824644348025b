"""Honest histories pass: whatever people and clocks do, the log alone leads to the counters, and the audit is silent.

Each seed makes one history; a failure names it.
"""

import random
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from livecommerce.audit.replay import Replay, Units
from livecommerce.audit.watch import LOOKS, take_journal
from livecommerce.protocol.facts import Hold
from livecommerce.reservations import keys
from tests.audit.world import AuditWorld, quietly, rid, viewer
from tests.reservations.conftest import SHOW
from tests.reservations.test_state_machine import Histories

EXACT = ("impossible", "log", "ledger")


class Replayed(Histories):
    """The histories of the script's own test; after every step the journal is replayed from where it was."""

    def __init__(self) -> None:
        super().__init__()
        self.replay = Replay()
        self.copied: set[tuple[Any, ...]] = set()
        self.after_seq = 0
        self.after_id = b"-"

    @invariant()
    def the_log_alone_leads_to_the_counters(self) -> None:
        entries = self.run(self.redis.xrange(keys.journal(SHOW), min=self.after_id))
        journal = [msgpack.unpackb(fields[b"b"]) for _, fields in entries]
        new = [entry for entry in journal if entry[0] > self.after_seq]
        for _seq, _clock, _at_ms, events in new:
            for kind, viewer_id, request_id, n, *_ in events:
                row = (viewer_id, request_id, kind, n)
                # That a hold was lengthened is all that is asked of such a row: a second break adds nothing to it.
                once = row not in self.copied or kind in ("lengthened", "offer_lengthened")
                assert once, f"the table would keep only one of two {row}"
                self.copied.add(row)
        take_journal(self.replay, new, self.after_seq)
        if journal:
            self.after_seq, self.after_id = journal[-1][0], entries[-1][0]
        _, levels = self.run(self.engine.levels(SHOW))
        told = {
            deal_id: Units(each.available + each.held + each.paying + each.sold, each.held, each.paying, each.sold)
            for deal_id, each in levels.items()
        }
        assert [wrong.text for wrong in self.replay.wrong] == []
        assert {deal_id: self.replay.deals.get(deal_id, Units()) for deal_id in told} == told


def test_the_log_alone_leads_to_the_counters_after_every_step(valkey_socket: str, tmp_path: Path) -> None:
    Histories.socket, Histories.data = valkey_socket, tmp_path / "data"
    run_state_machine_as_test(
        Replayed,
        settings=settings(
            max_examples=8, stateful_step_count=35, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_campaign_of_replayed_histories(valkey_socket: str, tmp_path: Path) -> None:
    Histories.socket, Histories.data = valkey_socket, tmp_path / "data"
    run_state_machine_as_test(
        Replayed,
        settings=settings(
            max_examples=2000, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Evening:
    """What people, the provider and the clocks do in one evening, by one seed."""

    def __init__(self, world: AuditWorld, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.people = 0
        self.links: dict[int, Any] = {}

    async def step(self) -> None:
        chance = self.chance
        acts = (self.come, self.come, self.come, self.release, self.check_out, self.check_out, self.check_out,
                self.press, self.press, self.press, self.cancel, self.wait, self.work, self.close)  # fmt: skip
        await quietly(chance.choice(acts)(chance.randint(max(1, self.people - 6), max(1, self.people))))

    async def come(self, _number: int) -> None:
        self.people += 1
        number = self.people
        held = await self.world.hold(number, self.chance.randint(1, 3), wait=self.chance.random() < 0.7)
        if isinstance(held, Hold) and held.state == "offered":
            await self.world.engine.accept(self.world.show_id, viewer(number).viewer_id, rid(number))

    async def release(self, number: int) -> None:
        await self.world.engine.release(self.world.show_id, viewer(number).viewer_id, rid(number))

    async def check_out(self, number: int) -> None:
        self.links[number] = await self.world.checkout(number)

    async def press(self, number: int) -> None:
        known = sorted(self.links)[-4:]
        await self.world.press(self.links[self.chance.choice(known)], self.chance.choice(("pay", "decline")))

    async def cancel(self, number: int) -> None:
        known = sorted(self.links)[-4:]
        number = self.chance.choice(known)
        await self.world.orders.cancel(viewer(number), self.links[number].order.order_id)

    async def wait(self, _number: int) -> None:
        await self.world.turn(self.chance.choice((20, 200, 700)))

    async def work(self, _number: int) -> None:
        await self.world.duties()

    async def close(self, _number: int) -> None:
        if self.chance.random() < 0.02:
            await self.world.close_deal()


async def play(world: AuditWorld, seed: int, steps: int) -> None:
    await world.put_up(25)
    evening = Evening(world, seed)
    for step in range(steps):
        await evening.step()
        if step % 3 == 0:
            drift = (await world.watch.look()).drift
            assert not any(drift[kind] for kind in EXACT), f"seed {seed}, step {step}: {drift}"  # type: ignore[literal-required]
    await world.turn(2000)
    for _ in range(3):
        await world.duties()
    for _ in range(LOOKS):
        verdict = await world.watch.look()
    assert (verdict.breaches, {kind: units for kind, units in verdict.drift.items() if units}) == (0, {}), seed
    outcome, said = await world.command(repair=True)
    assert (outcome.exit_code, outcome.repaired) == (0, ()), f"seed {seed}\n{said}"


@pytest.mark.parametrize("seed", [1, 2])
async def test_an_evening_of_people_and_payments_adds_up(selling: AuditWorld, seed: int) -> None:
    await play(selling, seed, 60)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
async def test_many_long_evenings_add_up(sqlite_selling: AuditWorld, seed: int) -> None:
    await play(sqlite_selling, seed, 300)
