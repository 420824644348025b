"""When things happen: streams of instants in seconds from the start of a stretch, rising, never before 0.

What arrives: a rate, a length, a seeded generator of numbers. What leaves: an iterator of seconds. It knows no clock
and no server: whoever sends compares these instants with the clock, and so sees what was late. That is why nothing here
waits for an answer: every stream is an open load.

One stream can be shared by n generators: generator i takes the arrivals k with k % n == i. All n draw the same numbers,
so what they send together is exactly the stream one generator would have sent.
"""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import count, islice

import msgspec

Share = tuple[int, int]
WHOLE: Share = (0, 1)


class Stage(msgspec.Struct, frozen=True):
    """A stretch in which the rate moves in a straight line. The next stage may begin at another rate: a jump."""

    seconds: float
    from_per_second: float
    to_per_second: float

    @property
    def arrivals(self) -> float:
        """How many are expected in it."""
        return self.seconds * (self.from_per_second + self.to_per_second) / 2


def seeded(seed: int, *purpose: str | int) -> random.Random:
    """A generator of numbers for one purpose. Each purpose has its own, so that a draw more in the chat does not move
    the taps; the same on every machine and in every process."""
    return random.Random("/".join(map(str, (seed, *purpose))))


def even(per_second: float, seconds: float, share: Share = WHOLE) -> Iterator[float]:
    """Arrival k at k / `per_second`, from 0 on and before `seconds`, which may be infinite. A rate of 0 has none."""
    _check(per_second, seconds)
    _check_share(share)
    return _even(per_second, seconds, share)


def poisson(rng: random.Random, per_second: float, seconds: float, share: Share = WHOLE) -> Iterator[float]:
    """Independent arrivals, `per_second` on average: as people come who do not know of each other."""
    _check(per_second, seconds)
    return shared(_poisson(rng, per_second, seconds), share)


def ramp(stages: Sequence[Stage], rng: random.Random | None = None, share: Share = WHOLE) -> Iterator[float]:
    """Arrivals whose rate follows the stages, one after the other; evenly spaced by rate, or with `rng` independent.

    Arrival k falls where the stages have let k arrivals pass (with `rng`: where the sum of k+1 exponential draws has
    passed), so a long stage of a low rate loses no fraction to its neighbour.
    """
    for stage in stages:
        _check(stage.from_per_second, stage.seconds, finite=True)
        _check(stage.to_per_second, stage.seconds, finite=True)
    marks = (float(k) for k in count()) if rng is None else _sums(rng)
    return shared(_where_passed(marks, tuple(stages)), share)


def shared(stream: Iterator[float], share: Share) -> Iterator[float]:
    """This generator's part of a stream: the arrivals k with k % n == i, for a share (i, n)."""
    index, of = _check_share(share)
    return islice(stream, index, None, of)


def _even(per_second: float, seconds: float, share: Share) -> Iterator[float]:
    if per_second > 0:
        # k / rate and not a running sum: after an hour at 3 a second a sum would have drifted from its neighbours'.
        for k in count(share[0], share[1]):
            at = k / per_second
            if at >= seconds:
                return
            yield at


def _poisson(rng: random.Random, per_second: float, seconds: float) -> Iterator[float]:
    if per_second > 0:
        for passed in _sums(rng):
            at = passed / per_second
            if at >= seconds:
                return
            yield at


def _sums(rng: random.Random) -> Iterator[float]:
    total = 0.0
    while True:
        total += rng.expovariate(1.0)
        yield total


def _where_passed(marks: Iterator[float], stages: tuple[Stage, ...]) -> Iterator[float]:
    """For each mark, rising, the instant at which the stages have let that many arrivals pass."""
    began, passed = 0.0, 0.0
    todo = iter(stages)
    stage = next(todo, None)
    for mark in marks:
        while stage is not None and mark >= passed + stage.arrivals:
            began, passed = began + stage.seconds, passed + stage.arrivals
            stage = next(todo, None)
        if stage is None:
            return
        # Rounding must not push the last arrival of a stage past its end.
        yield began + min(_seconds_into(stage, mark - passed), stage.seconds)


def _seconds_into(stage: Stage, arrivals: float) -> float:
    """When a stage has let so many pass: the root of `a t + s t²/2 = arrivals`, in the form that is exact for s = 0."""
    slope = (stage.to_per_second - stage.from_per_second) / stage.seconds
    root = math.sqrt(max(0.0, stage.from_per_second**2 + 2 * slope * arrivals))
    below = stage.from_per_second + root
    return 2 * arrivals / below if below > 0 else 0.0


def _check(per_second: float, seconds: float, finite: bool = False) -> None:
    if not (math.isfinite(per_second) and per_second >= 0):
        raise ValueError(f"A rate is a number of arrivals a second from 0 on, not {per_second:g}.")
    if not seconds >= 0 or (finite and not math.isfinite(seconds)):
        raise ValueError(f"A stretch has a length in seconds from 0 on, not {seconds:g}.")


def _check_share(share: Share) -> Share:
    index, of = share
    if not 0 <= index < of:
        raise ValueError(f"A share is (index, of how many) with 0 ≤ index < of how many, not ({index}, {of}).")
    return share
