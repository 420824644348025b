"""The worker: every duty in a loop of its own, under a lease of its own, with a deadline for each turn.

What arrives: duties. What leaves: their work, done by one process at a time, and a line in the log for every turn that
was refused, failed or took too long. One duty's trouble never stops another. It does not know what any duty does.
"""

import asyncio
import contextlib
import os
import random
import secrets
import socket
from collections.abc import Sequence
from typing import Protocol

import structlog
from prometheus_client import Counter

from livecommerce.background.lease import RENEW_SECONDS, Leases
from livecommerce.clock import Clock
from livecommerce.ending import end
from livecommerce.errors import Refused
from livecommerce.ledger.database import Database

log = structlog.get_logger(__name__)

ACQUIRE_SECONDS = 0.7  # how often a process asks for a lease that another one has

TURNS = Counter("livecommerce_duty_turns", "Turns of background duties", ["duty", "outcome"])


class Duty(Protocol):
    """Something to be done again and again by one process at a time."""

    @property
    def name(self) -> str:
        """What the lease, the log and the metrics call it."""

    @property
    def every_seconds(self) -> float:
        """The pause between two turns."""

    @property
    def deadline_seconds(self) -> float:
        """A turn that takes longer is cancelled; the next one goes on where it stopped."""

    async def run(self, lease_epoch: int) -> None:
        """One turn. Must be safe to run twice at once, to be cancelled, and to be repeated."""


class Worker:
    """Runs duties from `start` to `aclose`. Leases are given back at the end, so that a successor starts at once."""

    def __init__(self, database: Database, clock: Clock, duties: Sequence[Duty], holder: str = "") -> None:
        self._clock = clock
        self._duties = duties
        self._leases = Leases(database, clock, holder or _own_name())
        self._held: dict[str, int] = {}
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._outcomes: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin all loops; returns at once."""
        assert not self._tasks, "a worker starts once"
        self._tasks = [asyncio.create_task(self._loop(duty), name=f"duty-{duty.name}") for duty in self._duties]
        self._tasks.append(asyncio.create_task(self._keep_leases(), name="duty-leases"))

    async def aclose(self) -> None:
        """Cancel the turns that run, wait for them, give the leases back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await end(self._turns.values())  # those whose loop was cancelled while it waited for their end
        self._tasks, self._turns = [], {}
        for name, epoch in self._held.items():
            with contextlib.suppress(Refused):
                await self._leases.release(name, epoch)
        self._held.clear()

    @property
    def held(self) -> dict[str, int]:
        """Name → epoch of the leases this process holds."""
        return dict(self._held)

    async def _loop(self, duty: Duty) -> None:
        while True:
            if duty.name not in self._held and not await self._acquired(duty.name):
                await self._clock.sleep(_uneven(ACQUIRE_SECONDS))
                continue
            await self._turn(duty, self._held[duty.name])
            await self._clock.sleep(_uneven(duty.every_seconds))

    async def _acquired(self, name: str) -> bool:
        try:
            epoch = await self._leases.acquire(name)
        except Refused as refused:
            log.warning("lease_waits", duty=name, refusal=refused.why.value.word)
            return False
        if epoch is None:
            return False
        self._held[name] = epoch
        log.info("lease_taken", duty=name, epoch=epoch)
        return True

    async def _turn(self, duty: Duty, epoch: int) -> None:
        turn = asyncio.create_task(duty.run(epoch), name=f"turn-{duty.name}")
        self._turns[duty.name] = turn
        try:
            await asyncio.wait({turn}, timeout=duty.deadline_seconds)
            outcome = _outcome_of(turn)
        finally:
            await end([turn])
            del self._turns[duty.name]
        TURNS.labels(duty.name, outcome).inc()
        before, self._outcomes[duty.name] = self._outcomes.get(duty.name, "done"), outcome
        if outcome == "failed":
            log.error("duty_failed", duty=duty.name, epoch=epoch, exc_info=turn.exception())
        elif outcome != before:  # told once: while Redis is away, some duties try again four times a second
            tell = log.info if outcome == "done" else log.warning
            tell("duty_goes_on" if outcome == "done" else "duty_stopped", duty=duty.name, epoch=epoch, outcome=outcome)

    async def _keep_leases(self) -> None:
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            held = list(self._held.items())
            # Side by side, so that the ledger's writer puts them into one commit: a worker with nothing to do would
            # wait for the disk a dozen times a second.
            kept = await asyncio.gather(*(self._renewed(name, epoch) for name, epoch in held))
            for (name, epoch), is_ours in zip(held, kept, strict=True):
                if not is_ours:
                    self._held.pop(name, None)
                    log.warning("lease_lost", duty=name, epoch=epoch)
                    if turn := self._turns.get(name):
                        turn.cancel()

    async def _renewed(self, name: str, epoch: int) -> bool:
        try:
            return await self._leases.renew(name, epoch)
        except Refused as refused:
            # Not known to be lost. If the ledger stays away, the lease ends by itself and no duty can write either.
            log.warning("lease_not_renewed", duty=name, refusal=refused.why.value.word)
            return True
        except Exception:
            log.exception("lease_not_renewed", duty=name)
            return True


def _outcome_of(turn: "asyncio.Task[None]") -> str:
    if not turn.done():
        return "too_slow"
    if turn.cancelled():
        return "lease_lost"
    failure = turn.exception()
    if failure is None:
        return "done"
    return failure.why.value.word if isinstance(failure, Refused) else "failed"


def _uneven(seconds: float) -> float:
    # Duties of many processes must not march in step.
    return seconds * random.uniform(0.9, 1.1)


def _own_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
