"""The judge of every call: what the real script answered, against the plain model, in the order in which Redis ran it.

What arrives: each batch that reached the server, and the server's answer. What leaves: a `Breach` at the first answer
or number that the model does not have. So every history is checked step by step: no oversell, all sums, limits,
tickets, who is offered what, a rid that answers with its state, no end before its time, a clock that never goes back
nor jumps. It reads the batches as `engine.py` writes them: a verb that is added there gets a row in `_JUDGES`.
"""

import copy
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import msgspec

from livecommerce.errors import R
from livecommerce.reservations import answers, draw, keys, verbs
from livecommerce.reservations.engine import LIMIT_BY
from livecommerce.reservations.evidence import WAIT_UNKNOWN
from livecommerce.reservations.memory import Testimony
from livecommerce.reservations.model import Model, ModelDeal, ModelHold, No
from livecommerce.reservations.relay_format import AT, CHARGED, DUE, STATE, TICKET, WAIT, N, lines_of, record
from livecommerce.reservations.states import LIVE, DealState, DrawPhase, Move, State
from tests.simulation.network import SCRIPT_OF

STEP_MS_MAX = 2000
LATE_MS_MAX = 500
_TIME_STEP = 1 << 20  # as the script packs two numbers into one count
Answer = list[Any]
MISSING, PAUSED, LOST = range(3)  # why nobody may count
Remembered = tuple["Model | None", bool, "Fence", int]


class Breach(AssertionError):
    """The server did what it must not."""


class Fence:
    """What of a show's history stands: the tips of its calls, since the books were made."""

    def __init__(self, floor: int) -> None:
        self._floor = floor
        self._tips: dict[int, bytes] = {}

    def passes(self, seq: int, tip: bytes) -> None:
        _must(seq == self._floor + len(self._tips) + 1, f"call {seq} does not follow the one before")
        self._tips[seq] = tip

    def is_lost(self, seq: int, tip: bytes) -> bool:
        """True where somebody was answered a call that is not in this history."""
        return seq > self._floor and self._tips.get(seq) != tip


class Oracle:
    """One show. `watch` is called with every command that reached the server."""

    def __init__(self, show_id: str, ask: Callable[..., Any], now_ms: Callable[[], int], *, on_time: bool) -> None:
        self._show_id = show_id
        self._meta = keys.meta(show_id).encode()
        self._testimony = keys.testimony(show_id, 0).encode()[:-1]
        self._ask = ask
        self._now_ms = now_ms
        self._on_time = on_time  # holds are to end within `LATE_MS_MAX`: on a day without faults
        self.model: Model | None = None
        self._paused = False
        self._fence = Fence(0)
        self._last_ms = 0
        self._truth, self._truth_at_ms = Model(0), 0  # as it was when history was lost, and when its clock stood there
        self.is_undetected = False
        # Testimony of one rebuild → hold → (state, ticket) as living processes told it.
        self._heard: dict[bytes, dict[tuple[str, str], set[tuple[int, int]]]] = {}
        # Holds that a rebuild could not keep: no ledger and nobody alive knew of them, or their time or unit was gone.
        self.not_kept: set[tuple[str, str]] = set()
        # The seed and the salt by which a deal is drawn.
        self.secret_of: Callable[[str], tuple[str, str]] = lambda _deal_id: (DRAW_SEED, DRAW_SALT)
        self._judges = _JUDGES | {
            verbs.DRAW: lambda model, request, said: _draw(model, request, said, self.secret_of(request[0].decode()))
        }
        # Holds (and their tickets) that were told as committed in SQL: no process need live to tell of them.
        self.promised: Callable[[], Mapping[tuple[str, str], int]] = dict
        self.rebuilds = self.proved = self.kept = 0
        self.calls = 0
        self.digest = hashlib.sha256()
        self.latest_ms = 0

    @property
    def counts(self) -> bool:
        """True where the show's books are there and nothing of them is known to be lost."""
        return self.model is not None and not self._paused and not self.is_undetected

    # --- lost history -----------------------------------------------------------------------------------------------

    def remember(self) -> "Remembered":
        """What the server would know if it lost all that comes after this moment."""
        return copy.deepcopy((self.model, self._paused, self._fence, self._last_ms))

    def lost(self, left: "Remembered | None" = None) -> None:
        """The server lost everything, or what came after `left`."""
        if self.model is not None and not self._paused:
            self._truth, self._truth_at_ms = copy.deepcopy(self.model), self._last_ms
        self.model, self._paused, self._fence, self._last_ms = copy.deepcopy(left) or (None, False, Fence(0), 0)
        self.is_undetected = left is not None

    def _installed(self, generation: int) -> None:
        """New books stand in place of the lost ones: they add up, and whoever could prove a hold has it."""
        read = functools.partial(self._ask, "HGETALL")
        books = {name: _pairs(read(key)) for name, key in zip(keys.BOOKS, keys.books(self._show_id), strict=True)
                 if name in ("deals", "rids", "viewers", "moves")}  # fmt: skip
        new = books_as_model(_pairs(read(self._meta)), books)
        heard = self._heard.get(keys.testimony(self._show_id, generation).encode(), {})
        promised = self.promised()
        for key, hold in self._truth.holds.items():
            if promised.get(key) == hold.ticket:
                self.kept += self._none_forgotten(new, key, hold)
            elif (hold.state, hold.ticket) in heard.get(key, ()):
                self.proved += self._none_forgotten(new, key, hold)
        forgotten = self._truth.holds.keys() - new.holds.keys()
        _must(not forgotten & heard.keys(), "somebody alive told of a hold, and it is forgotten")
        ended = {key for key, hold in new.holds.items() if hold.state not in LIVE and hold.state != State.CONFIRMED}
        for before in (self._truth, self.model or Model(0)):
            self.not_kept |= before.holds.keys() & ended
        self.not_kept |= forgotten
        self.model, self._paused, self._fence, self._last_ms = new, False, Fence(self._seq()), self._now_ms()
        self.rebuilds += 1
        self.digest.update(repr(sorted(new.holds.items())).encode())

    def _none_forgotten(self, new: Model, key: tuple[str, str], was: ModelHold) -> bool:
        """True where it could have been forgotten. Units may be short only where a hold lives again whose end nobody
        could prove, or that began since."""
        # Its end as it was told, by the server's time; the clock of the books may have gone back since.
        promised_ms = self._truth_at_ms + was.due - self._truth.now
        # Where nobody noticed the loss at once, the time of those who were told goes on while others are served.
        if was.state != State.HELD or was.due <= new.now or promised_ms <= self._last_ms:
            return False
        if self.model is not None and (since := self.model.holds.get(key)) is not None and since.state > State.HELD:
            return False  # it went on in what is left of history, and SQL may have judged it by now
        now = new.holds.get(key)
        if now is not None and (now.state in LIVE or now.state == State.CONFIRMED):
            no_earlier = now.due >= was.due or self._now_ms() + now.due - new.now >= promised_ms
            no_earlier = no_earlier or now.state == State.CONFIRMED  # that does not end
            _must(now.ticket == was.ticket and no_earlier, f"{key} was {was} and lives again as {now}")
            return True
        ghosts = {
            deal_id
            for other, hold in new.holds.items()
            if hold.state in LIVE or hold.state == State.CONFIRMED
            for deal_id, _ in hold.lines
            if other not in self._truth.holds or self._truth.holds[other].state not in LIVE
        }
        ended = now is not None and any(deal_id in ghosts for deal_id, _ in was.lines)
        _must(ended, f"{key} was proved to be {was}, and is {now}")
        return True

    def watch(self, command: list[bytes], answer: Any) -> None:
        if command[0] == b"LRANGE" and command[1].startswith(self._testimony):
            self._hear(command[1], answer)
        if command[0] not in (b"EVALSHA", b"EVAL") or command[1] not in SCRIPT_OF or command[3] != self._meta:
            return
        if isinstance(answer, Exception):
            if "NOSCRIPT" not in str(answer):
                raise Breach(f"the script failed: {answer}")
            return
        match SCRIPT_OF[command[1]]:
            case "reserve.lua":
                self.judge(msgpack.unpackb(command[-1], raw=True), _unpacked(answer))
            case "open_show.lua":
                self._opened(command[-2], command[-1], answer)
            case "install_rebuild.lua" if answer[0] == b"installed":
                self._installed(int(command[3 + int(command[2])]))

    def _hear(self, testimony: bytes, pieces: list[bytes]) -> None:
        heard = self._heard.setdefault(testimony, {})
        for piece in pieces:
            for viewer_id, rid, raw in msgspec.msgpack.decode(piece, type=Testimony).holds:
                items = record(raw)
                heard.setdefault((viewer_id, rid), set()).add((items[STATE], items[TICKET]))

    def judge(self, batch: list[Any], answer: Answer) -> None:
        tip, offer_ms, _journal_max, requests, witness_seq, witness_tip = batch
        self.calls += 1
        if self.model is None:
            _must(answer[:2] == [False, MISSING], "books that nobody made")
            return
        if self._paused:
            _must(answer[:2] == [False, PAUSED], "somebody counts in books that are paused")
            return
        if self._fence.is_lost(witness_seq, witness_tip):
            _must(answer[:2] == [False, LOST], f"call {witness_seq} was answered, is gone, and nobody says so")
            self._paused, self.is_undetected = True, False
            return
        _must(answer[0] is not False, f"the books are there, and nobody may count: {answer}")
        model = self.model
        model.offer_ms = offer_ms
        _epoch, seq, clk, _next_due, levels, answers = answer[:6]
        self._fence.passes(seq, tip)
        self._turn(model, clk)
        due = {key: hold.due for key, hold in model.holds.items() if hold.state in (State.HELD, State.OFFERED)}
        spoken_of = [
            self._judges[request[0]](model, request[1:], said) for request, said in zip(requests, answers, strict=True)
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

    def _opened(self, epoch: bytes, limit: bytes, answer: bytes) -> None:
        if self.model is None and epoch and answer:
            self.model, self._last_ms = Model(0), self._now_ms()
            self._fence = Fence(self._seq())
        _must(bool(answer) == (self.model is not None), "a show's books were made, or not, against what was asked")
        if self.model is not None and limit:
            self.model.show_limit = int(limit)

    def _seq(self) -> int:
        return int(self._ask("HGET", self._meta, "seq"))

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
        why = None if said[0] == answers.OK else answers.REFUSALS[said[0]]
        _must(why is no.why, f"the server says {why}, the model {no.why}")
        return None
    _must(said[0] == answers.OK, f"the server refuses ({said}), the model does not")
    return told


def _reserve(model: Model, request: Answer, said: Answer) -> Told:
    key, lines, wait, person, address = _wanted(request)
    return _judged(lambda: model.reserve(key, lines, wait, person, address), said, (key, said))


def _replace(model: Model, request: Answer, said: Answer) -> Told:
    key, lines, _wait, person, address = _wanted(request[1][1:])
    old_key = key[0], request[0].decode()
    return _judged(lambda: model.replace(key, old_key, lines, person, address), said, (key, said))


def _wanted(request: Answer) -> tuple[tuple[str, str], tuple[tuple[str, int], ...], bool, str, str]:
    viewer, rid, wait, _attribution, person, address, *flat = request
    lines = tuple((flat[i].decode(), flat[i + 1]) for i in range(0, len(flat), 2))
    return (viewer.decode(), rid.decode()), lines, bool(wait), person.decode(), address.decode()


def _of_hold(verb: Callable[[Model, tuple[str, str], Answer], Any]) -> Callable[[Model, Answer, Answer], Told]:
    def judge(model: Model, request: Answer, said: Answer) -> Told:
        key = request[0].decode(), request[1].decode()
        return _judged(lambda: verb(model, key, request[2:]), said, (key, said))

    return judge


def _release(model: Model, key: tuple[str, str], rest: Answer) -> None:
    model.release(key, Move.PULL if rest and rest[0] == State.CANCELLED else Move.RELEASE)


def _free(model: Model, key: tuple[str, str], rest: Answer) -> None:
    if model.free(key, Move.FREE_EXPIRED if rest[0] == State.EXPIRED else Move.FREE_CANCELLED, *rest[1:2]) is None:
        raise No(R.NOT_FOUND)


def _reacquire(model: Model, request: Answer, said: Answer) -> Told:
    key = request[0].decode(), request[1].decode()
    if said[0] == answers.SOLD_OUT:
        _must(model.reacquire(key) is False, f"{key}: refused for want of units that are there")
        return None
    return _judged(lambda: _must(model.reacquire(key), f"{key}: got units that are not there"), said, (key, said))


def _heartbeat(model: Model, _request: Answer, said: Answer) -> Told:
    held = [key for key, hold in model.holds.items() if hold.state == State.HELD]
    model.freed |= model.owed
    model.turn(0)
    expired = sum(model.holds[key].state == State.EXPIRED for key in held)
    _must(said[1] == expired, f"a heartbeat ended {said[1]} holds, the model {expired}")
    return None


def _put_deal(model: Model, request: Answer, said: Answer) -> Told:
    deal_id, move, units, limit, hold_ms, pay_ms, status, _opens, _closes, _level, rule, *limits = request
    limit_by, address_cap, hold_cap_ms, *drawn = limits
    deal = ModelDeal(
        units, limit, hold_ms, pay_ms, DealState(status), rule == 1, 0, LIMIT_BY[limit_by], address_cap, hold_cap_ms,
        DrawPhase.ENTERING if any(drawn) else DrawPhase.NONE,
    )  # fmt: skip
    return _judged(lambda: model.put_deal(deal_id.decode(), deal, move.decode()), said, None)


# What a draw is made with, unless its window opened anew. Nobody in a history knows them but who draws.
DRAW_SEED, DRAW_SALT = "5eed" * 16, "5a17" * 16


def _end_window(model: Model, request: Answer, said: Answer) -> Told:
    deal_id = request[0].decode()

    def ask() -> None:
        _same_draw(model.end_window(deal_id), said)

    return _judged(ask, said, None)


def _draw(model: Model, request: Answer, said: Answer, secret: tuple[str, str] = (DRAW_SEED, DRAW_SALT)) -> Told:
    """Whoever draws, and however many of them died at it: the places are given in the order that the seed fixed when
    the last one had entered, each once."""
    deal_id, root, before, *part = request
    name = deal_id.decode()

    def ask() -> None:
        deal = model.deals[name]
        if len(said) > 7:
            _must(deal.draw == DrawPhase.DRAWING and deal.drawn == before, f"{name} was drawn {before} of {deal}")
            named = [tuple(key.decode().rsplit("/", 1)) for key in part]
            true_root, order = _order(deal, *secret)
            _must(root.decode() == true_root, f"{name} is drawn under a root that its entrants do not have")
            _must(named == order[before : before + len(named)], f"{name} gives places to {named}, due is {order}")
            model.give_places(name, order[before : before + len(named)])
        else:
            _must(deal.draw != DrawPhase.DRAWING or deal.drawn != before, f"{name}: nobody was given a place")
        _same_draw(deal, said)

    return _judged(ask, said, None)


def _order(deal: ModelDeal, seed: str, salt: str) -> tuple[str, list[tuple[str, str]]]:
    """Root, and everybody who was in the draw when its window ended, in the order in which they are served."""
    entrants = {ticket: viewer_id for ticket, (viewer_id, _) in deal.entered.items()}
    root, order = draw.root_and_order(seed, salt, entrants)
    return root, [deal.entered[ticket] for ticket in order]


def _same_draw(deal: ModelDeal, said: Answer) -> None:
    there = (int(deal.draw), len(deal.entered), deal.base, deal.drawn, deal.in_line)
    _must(tuple(said[1:6]) == there, f"a draw stands at {said[1:6]}, in the model at {there}")


def _of_a_break(_model: Model, request: Answer, _said: Answer) -> Told:
    raise Breach(f"no show of these shops is interrupted, and this was asked: {request}")


def _take_out(model: Model, request: Answer, said: Answer) -> Told:
    deal_id, move, units = request[:3]

    def ask() -> None:
        taken = model.take_out(deal_id.decode(), move.decode(), units)
        _must(said[1] == taken, f"{said[1]} units taken out, {taken} could be")

    return _judged(ask, said, None)


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
    verbs.RESERVE: _reserve,
    verbs.RELEASE: _of_hold(_release),
    verbs.ACCEPT: _of_hold(lambda model, key, _rest: model.accept(key)),
    verbs.BEGIN_PAY: _of_hold(lambda model, key, rest: model.begin_pay(key, rest[0])),
    verbs.SETTLE: _of_hold(lambda model, key, _rest: model.settle(key)),
    verbs.FREE: _of_hold(_free),
    verbs.REACQUIRE: _reacquire,
    verbs.HEARTBEAT: _heartbeat,
    verbs.PUT_DEAL: _put_deal,
    verbs.STATUS: _status,
    verbs.HOLDS: _holds,
    verbs.LEVELS: lambda _model, _request, _said: None,
    verbs.TAKE_OUT: _take_out,
    verbs.KEEP: _of_hold(lambda model, key, rest: model.keep(key, rest[0])),
    verbs.REPLACE: _replace,
    verbs.END_WINDOW: _end_window,
    verbs.DRAW: _draw,
    verbs.LENGTHEN: _of_a_break,
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


def books_as_model(meta: dict[bytes, Any], books: dict[str, dict[bytes, Any]]) -> Model:
    """The model of these books, as a rebuild made them. They add up, or it is a `Breach`."""
    model = Model(0, int(meta[b"clk"]), int(meta[b"ticket"]), show_limit=int(meta.get(b"limit", 0)))
    packed_todo = meta.get(b"todo")
    model.owed = {deal_id.decode() for deal_id in (_unpacked(packed_todo) if packed_todo else [])}
    levels = {}
    for name, raw in books["deals"].items():
        status, quota, available, held, paying, sold, waiting, limit, hold_ms, pay_ms, *more = _unpacked(raw)
        _opens, _closes, _taken, _level, rule, _owed, by, address_cap, hold_cap_ms, *drawn = more
        levels[name.decode()] = available, held, paying, sold, waiting
        _must(available + held + paying + sold == quota, f"{name!r} was made anew as {_unpacked(raw)}")
        deal = model.deals[name.decode()] = ModelDeal(
            quota, limit, hold_ms, pay_ms, DealState(status), rule == 1, available, LIMIT_BY[by], address_cap,
            hold_cap_ms,
        )  # fmt: skip
        if drawn and drawn[0]:
            phase, entrants, deal.base, deal.drawn, deal.in_line, _root = drawn[0]
            _must(phase != DrawPhase.DRAWING, f"{name!r} was made anew in the middle of its draw")
            deal.draw = DrawPhase(phase)
            deal.entered = dict.fromkeys(range(entrants), ("", ""))  # who they were is told by nobody any more
    for name, raw in books["rids"].items():
        viewer_id, _, rid = name.decode().rpartition("/")
        model.holds[viewer_id, rid] = _hold_as_model(viewer_id, record(raw))
    for name in books["moves"]:
        deal_id, _, move = name.decode().partition("/")
        model.moves.add((deal_id, move))
    for deal_id, told in levels.items():
        _must(
            model.level(deal_id) == told, f"{deal_id} was made anew with {told}, its holds are {model.level(deal_id)}"
        )
    counts = {name.decode(): int(raw) for name, raw in books["viewers"].items() if b"/" in name}
    model.held_ms = {name: count // _TIME_STEP for name, count in counts.items() if _is_of_deal(name)}
    units = {
        name: count % _TIME_STEP // 2 if _is_of_deal(name) else count for name, count in counts.items()
    }  # fmt: skip
    _must({name: count for name, count in units.items() if count} == model.counts(),
          f"limits were made anew as {units}, the holds are {model.counts()}")  # fmt: skip
    return model


def _hold_as_model(viewer_id: str, items: list[Any]) -> ModelHold:
    lines = tuple((line.deal_id, line.qty) for line in lines_of(items))
    wait, charged = items[WAIT], items[CHARGED]
    if isinstance(charged, int):
        sums: dict[str, int] = {}
        for deal_id, qty in lines:
            sums[f"{viewer_id}/{deal_id}"] = sums.get(f"{viewer_id}/{deal_id}", 0) + qty
        names, times = tuple(sums.items()), tuple(sums) if charged else ()
    else:
        told = [(charged[i].decode(), charged[i + 1]) for i in range(1, len(charged), 2)]
        names = tuple((name, amount // 2 if _is_of_deal(name) else amount) for name, amount in told)
        times = tuple(name for name, _ in told[: charged[0]])
    return ModelHold(
        lines, None if wait == WAIT_UNKNOWN else bool(wait), State(items[STATE]), items[TICKET], items[DUE], items[N],
        names, times, items[AT],
    )  # fmt: skip


def _is_of_deal(name: str) -> bool:
    """True for "viewer/deal" and "~person/deal", whose counts carry more than units."""
    return not name.startswith("@") and not name.endswith("/")


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def same_books(model: Model, rids: dict[bytes, bytes]) -> None:
    """At the end: every hold the server has is the model's, and no other."""
    found = {tuple(name.decode().rsplit("/", 1)): record(raw) for name, raw in rids.items()}
    _must(set(found) == set(model.holds), "holds that only one of the two has")
    for key, items in found.items():
        hold: ModelHold = model.holds[key]  # type: ignore[index]
        _must(items[STATE] == hold.state and items[TICKET] == hold.ticket, f"{key}: {items}, the model {hold}")


def _unpacked(answer: bytes) -> Any:
    return msgpack.unpackb(answer, raw=True, strict_map_key=False)


def _must(true: object, text: str) -> None:
    if not true:
        raise Breach(text)
