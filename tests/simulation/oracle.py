"""The judge of every call: what the real script answered, against the plain model, in the order in which Redis ran it.

What arrives: each batch that reached the server, and the server's answer. What leaves: a `Breach` at the first answer
or number that the model does not have. So every history is checked step by step: no oversell, all sums, limits,
tickets, who is offered what, a rid that answers with its state, no end before its time, a clock that never goes back
nor jumps. It reads the batches as `engine.py` writes them: a verb that is added there gets a row in `_JUDGES`.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import msgpack

from livecommerce.errors import R
from livecommerce.reservations import engine as spoken
from livecommerce.reservations.model import Model, ModelDeal, ModelHold, No
from livecommerce.reservations.relay_format import DUE, STATE, TICKET, N, lines_of, record
from livecommerce.reservations.states import DealState, Move, State

STEP_MS_MAX = 2000
LATE_MS_MAX = 500
Answer = list[Any]


class Breach(AssertionError):
    """The server did what it must not."""


class Oracle:
    """One show. `judge` is called with every command that reached the server."""

    def __init__(self, show_tag: bytes, sha: bytes, body: bytes, now_ms: Callable[[], int], *, on_time: bool) -> None:
        self._meta = show_tag + b":meta"
        self._scripts = (sha, body)
        self._now_ms = now_ms
        self._on_time = on_time  # holds are to end within `LATE_MS_MAX`: on a day without faults
        self.model: Model | None = None
        self._last_ms = 0
        self.calls = 0
        self.digest = hashlib.sha256()
        self.latest_ms = 0

    def opened(self) -> None:
        """The show's books were made at this instant."""
        if self.model is None:
            self.model, self._last_ms = Model(0), self._now_ms()

    def lost(self) -> None:
        """The server lost everything."""
        self.model = None

    def watch(self, command: list[bytes], answer: Any) -> None:
        if command[0] not in (b"EVALSHA", b"EVAL") or command[3] != self._meta:
            return
        if isinstance(answer, Exception):
            if "NOSCRIPT" not in str(answer):
                raise Breach(f"the script failed: {answer}")
        elif command[1] not in self._scripts:
            self.opened()
        else:
            self.judge(msgpack.unpackb(command[-1], raw=True), msgpack.unpackb(answer, raw=True, strict_map_key=False))

    def judge(self, batch: list[Any], answer: Answer) -> None:
        _tip, offer_ms, _journal_max, requests = batch[:4]
        self.calls += 1
        if answer[0] is False:
            _must(self.model is None, "the books are missing and nobody lost them")
            return
        model = self.model
        if model is None:
            raise Breach("books that nobody made")
        model.offer_ms = offer_ms
        _epoch, _seq, clk, _next_due, levels, answers = answer[:6]
        self._turn(model, clk)
        due = {key: hold.due for key, hold in model.holds.items() if hold.state in (State.HELD, State.OFFERED)}
        spoken_of = [
            _JUDGES[request[0]](model, request[1:], said) for request, said in zip(requests, answers, strict=True)
        ]
        model.end_of_call()
        for key, said in filter(None, spoken_of):
            _same_hold(model, key, said)
        for deal_id, level in (levels or {}).items():
            expected = model.level(deal_id.decode())
            _must(
                tuple(level[:5]) == expected, f"{deal_id.decode()}: the server says {level[:5]}, the model {expected}"
            )
        self._none_late(model, due)
        self.digest.update(repr((requests, answers, clk)).encode())

    def _turn(self, model: Model, clk: int) -> None:
        now_ms = self._now_ms()
        step = min(max(now_ms - self._last_ms, 0), STEP_MS_MAX)
        _must(clk - model.now == step, f"the hold clock went {clk - model.now} ms, {step} had passed")
        self._last_ms, model.now = now_ms, clk

    def _none_late(self, model: Model, due: dict[tuple[str, str], int]) -> None:
        ended = [key for key in due if model.holds[key].state in (State.EXPIRED, State.LAPSED)]
        for key in ended:
            late_ms = model.now - due[key]
            self.latest_ms = max(self.latest_ms, late_ms)
            _must(not self._on_time or late_ms <= LATE_MS_MAX, f"{key} ended {late_ms} ms late")


# --- what each verb must have answered ------------------------------------------------------------------------------

Told = tuple[tuple[str, str], Answer] | None


def _judged(ask: Callable[[], Any], said: Answer, told: Told) -> Told:
    """The server and the model refuse alike, or the hold is compared once the call is over."""
    try:
        ask()
    except No as no:
        why = None if said[0] == spoken._OK else spoken._REFUSALS[said[0]]
        _must(why is no.why, f"the server says {why}, the model {no.why}")
        return None
    _must(said[0] == spoken._OK, f"the server refuses ({said}), the model does not")
    return told


def _reserve(model: Model, request: Answer, said: Answer) -> Told:
    viewer, rid, wait, _attribution, *flat = request
    lines = tuple((flat[i].decode(), flat[i + 1]) for i in range(0, len(flat), 2))
    key = viewer.decode(), rid.decode()
    return _judged(lambda: model.reserve(key, lines, bool(wait)), said, (key, said))


def _of_hold(verb: Callable[[Model, tuple[str, str], Answer], Any]) -> Callable[[Model, Answer, Answer], Told]:
    def judge(model: Model, request: Answer, said: Answer) -> Told:
        key = request[0].decode(), request[1].decode()
        return _judged(lambda: verb(model, key, request[2:]), said, (key, said))

    return judge


def _free(model: Model, key: tuple[str, str], rest: Answer) -> None:
    if model.free(key, Move.FREE_EXPIRED if rest[0] == State.EXPIRED else Move.FREE_CANCELLED, *rest[1:2]) is None:
        raise No(R.NOT_FOUND)


def _reacquire(model: Model, request: Answer, said: Answer) -> Told:
    key = request[0].decode(), request[1].decode()
    if said[0] == spoken._SOLD_OUT:
        _must(model.reacquire(key) is False, f"{key}: refused for want of units that are there")
        return None
    return _judged(lambda: _must(model.reacquire(key), f"{key}: got units that are not there"), said, (key, said))


def _heartbeat(model: Model, _request: Answer, said: Answer) -> Told:
    held = [key for key, hold in model.holds.items() if hold.state == State.HELD]
    model.turn(0)
    expired = sum(model.holds[key].state == State.EXPIRED for key in held)
    _must(said[1] == expired, f"a heartbeat ended {said[1]} holds, the model {expired}")
    return None


def _put_deal(model: Model, request: Answer, said: Answer) -> Told:
    deal_id, move, units, limit, hold_ms, pay_ms, status, _opens, _closes, _level, rule = request[:11]
    deal = ModelDeal(units, limit, hold_ms, pay_ms, DealState(status), rule == 1)
    return _judged(lambda: model.put_deal(deal_id.decode(), deal, move.decode()), said, None)


def _status(model: Model, request: Answer, said: Answer) -> Told:
    def ask() -> None:
        units = model.set_status(request[0].decode(), DealState(request[1]))
        _must(said[1] == units, f"{said[1]} units taken out, {units} were there")

    return _judged(ask, said, None)


def _holds(model: Model, request: Answer, said: Answer) -> Told:
    viewer = request[0].decode()
    for key in model.live_of(viewer):
        model._run_out(key)
    told = {rid.decode() for rid in (said[1] or [])[::3]}
    live = {key[1] for key in model.live_of(viewer)}
    _must(told == live, f"{viewer} is told of {sorted(told)}, she has {sorted(live)}")
    return None


_JUDGES: dict[int, Callable[[Model, Answer, Answer], Told]] = {
    spoken._RESERVE: _reserve,
    spoken._RELEASE: _of_hold(lambda model, key, _rest: model.release(key)),
    spoken._ACCEPT: _of_hold(lambda model, key, _rest: model.accept(key)),
    spoken._BEGIN_PAY: _of_hold(lambda model, key, rest: model.begin_pay(key, rest[0])),
    spoken._SETTLE: _of_hold(lambda model, key, _rest: model.settle(key)),
    spoken._FREE: _of_hold(_free),
    spoken._REACQUIRE: _reacquire,
    spoken._HEARTBEAT: _heartbeat,
    spoken._PUT_DEAL: _put_deal,
    spoken._STATUS: _status,
    spoken._HOLDS: _holds,
    spoken._LEVELS: lambda _model, _request, _said: None,
}


def _same_hold(model: Model, key: tuple[str, str], said: Answer) -> None:
    items, hold = record(said[1]), model.holds[key]
    here = (
        items[STATE],
        items[TICKET],
        items[DUE],
        items[N],
        tuple((line.deal_id, line.qty) for line in lines_of(items)),
    )
    there = hold.state, hold.ticket, hold.due, hold.n, hold.lines
    _must(here == there, f"{key}: the server has {here}, the model {there}")
    if hold.state == State.WAITING:
        _must(said[2] == model.place(key), f"{key}: told place {said[2]}, it is {model.place(key)}")


def same_books(model: Model, rids: dict[bytes, bytes]) -> None:
    """At the end: every hold the server has is the model's, and no other."""
    found = {tuple(name.decode().rsplit("/", 1)): record(raw) for name, raw in rids.items()}
    _must(set(found) == set(model.holds), "holds that only one of the two has")
    for key, items in found.items():
        hold: ModelHold = model.holds[key]  # type: ignore[index]
        _must(items[STATE] == hold.state and items[TICKET] == hold.ticket, f"{key}: {items}, the model {hold}")


def _must(true: object, text: str) -> None:
    if not true:
        raise Breach(text)
