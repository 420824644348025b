"""The script called straight, without a server: what Valkey and the bookkeeping alone can do.

One client, the calls of a pipeline at a time: one request in each call, 64 calls on their way, or 64 requests in each
call, one call on its way. And `redis-benchmark`, a client in C, one request a call over 50 connections: where that is
no faster, it is not Python that holds the client back. What leaves: a rate, and Valkey's own CPU time for a request.
"""

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import msgpack

from livecommerce.reservations import keys
from loadtest.bench.lab import Lab, LabFailed
from loadtest.bench.sides import redis_benchmark
from loadtest.bench.stagehand import DEAL, deal_name
from loadtest.machine import cpu_seconds

_RESERVE_VERB, _OK, _SOLD_OUT = 1, 0, 1
_OFFER_MS, _JOURNAL_MAX = 60_000, 0x7F7F7F7F  # without a zero byte: redis-benchmark would end its argument there
TOGETHER = 64  # calls of a pipeline, or requests of a call
_EACH = 20  # requests of one viewer, so that she stays below 24 live holds
# redis-benchmark puts a random number of twelve digits in its place.
_RANDOM = "__rand_int__"
_RANDOM_BELOW = 1_000_000_000
_CONNECTIONS = 50
_SECONDS_MAX = 120


@dataclass(frozen=True, slots=True)
class Called:
    requests: int
    seconds: float
    valkey_cpu_seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def valkey_us_each(self) -> float:
        return self.valkey_cpu_seconds / self.requests * 1e6


def _batch(requests: list[list[object]]) -> bytes:
    batch: bytes = msgpack.packb([secrets.token_hex(4), _OFFER_MS, _JOURNAL_MAX, requests], use_bin_type=False)
    return batch


def _request(number: int, deals: int = 1) -> list[object]:
    deal = deal_name(number % deals)
    return [_RESERVE_VERB, f"vwr_raw{number // _EACH:06d}", f"rid-raw-{number:06d}", 0, "", "", "", deal, 1]


@contextlib.contextmanager
def _on_the_servers_core(lab: Lab) -> Iterator[None]:
    """The client stands where the servers stand otherwise, so that Valkey has the other core here, too."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {lab.cores.server})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Books:
    """The books of one show, asked for one unit after the other by one client."""

    def __init__(self, lab: Lab, show_id: str, deals: int = 1) -> None:
        self._lab, self._deals, self._asked = lab, deals, 0
        self._names = keys.engine_keys(show_id)
        self._sha = lab.redis.script_load(lab.stagehand.script())

    def reserve(self, asked: int, requests_a_call: int, code: int = _OK) -> Called:
        """`asked` more requests. Raises `LabFailed` where one is not answered as it should be."""
        lab, first_of_all, self._asked = self._lab, self._asked, self._asked + asked
        calls_together = max(1, TOGETHER // requests_a_call)
        seconds = 0.0
        valkey = cpu_seconds(lab.valkey_pid)
        with _on_the_servers_core(lab):
            for first in range(first_of_all, self._asked, requests_a_call * calls_together):
                batches = self._batches(first, requests_a_call, calls_together)
                began = time.monotonic()
                pipeline = lab.redis.pipeline(transaction=False)
                for batch in batches:
                    pipeline.evalsha(self._sha, len(self._names), *self._names, batch)
                answers: list[bytes] = pipeline.execute()
                seconds += time.monotonic() - began
                _check(answers, code)
        return Called(asked, max(seconds, 1e-9), cpu_seconds(lab.valkey_pid) - valkey)

    def _batches(self, first: int, requests_a_call: int, calls: int) -> list[bytes]:
        ends = min(self._asked, first + requests_a_call * calls)
        return [
            _batch([_request(number, self._deals) for number in range(at, min(at + requests_a_call, ends))])
            for at in range(first, ends, requests_a_call)
        ]


def _check(answers: list[bytes], code: int) -> None:
    codes = {answer[0] for raw in answers for answer in msgpack.unpackb(raw, raw=True, strict_map_key=False)[5]}
    if codes != {code}:
        raise LabFailed(f"the script refused otherwise than it should: {sorted(codes)}")


def _call(requests_a_call: int, lab: Lab, show_id: str, asked: int, sold_out: bool) -> Called:
    return Books(lab, show_id).reserve(asked, requests_a_call, _SOLD_OUT if sold_out else _OK)


def _call_by_redis_benchmark(lab: Lab, show_id: str, asked: int, sold_out: bool) -> Called:
    """Its own client does not look at answers; what the show's books say afterwards is looked at here. Every request
    would wait where nothing is left (a 0 cannot be said without a zero byte), so it is asked in stock only."""
    program = redis_benchmark()
    assert program is not None
    assert not sold_out
    names = keys.engine_keys(show_id)
    sha = lab.redis.script_load(lab.stagehand.script())
    request: list[object] = [_RESERVE_VERB, f"vwr_{_RANDOM}", f"rid-{_RANDOM}", 1, "", "", "", DEAL, 1]
    command = [
        program, "-s", str(lab.valkey_socket), "-n", str(asked), "-c", str(_CONNECTIONS), "-r", str(_RANDOM_BELOW),
        "--csv", "-x", "EVALSHA", sha, str(len(names)), *names,
    ]  # fmt: skip
    valkey = cpu_seconds(lab.valkey_pid)
    try:
        with _on_the_servers_core(lab):
            done = subprocess.run(
                command, input=_batch([request]), capture_output=True, timeout=_SECONDS_MAX, check=True
            )
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        raise LabFailed(f"redis-benchmark failed: {said.decode(errors='replace').strip()[:300]}") from error
    used = cpu_seconds(lab.valkey_pid) - valkey
    row = [line for line in done.stdout.decode(errors="replace").splitlines() if "EVALSHA" in line]
    taken = lab.redis.hlen(keys.rids(show_id))
    if not row or taken < asked * 0.99:
        raise LabFailed(f"redis-benchmark's requests did not arrive: {taken} of {asked} in the books")
    per_second = float(row[-1].split('","')[1].strip('"'))
    return Called(asked, asked / per_second, used)


CALLS: dict[str, Callable[[Lab, str, int, bool], Called]] = {
    "evalsha_1": partial(_call, 1),
    "evalsha_64": partial(_call, TOGETHER),
    "redis_benchmark": _call_by_redis_benchmark,
}
