"""What a simulated viewer does: how fast she reacts, what becomes of her hold, who speaks, how long she stays.

What arrives: a seeded generator of numbers and what is known of the crowd. What leaves: a choice, or a time in the unit
of its name. It sends nothing and remembers nothing; the viewer's state is kept by whoever plays her.
"""

import math
import random
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

import msgspec

from loadtest.crowd.talk import Language, line_of_chat, question
from loadtest.orders import After

__all__ = [
    "Action", "Decision", "Language", "Reaction", "accepts_offer", "check_after", "check_share", "decide_after_hold",
    "draw_away_ms", "draw_of", "draw_speaker", "draw_stay_seconds", "is_question", "line_of_chat", "question", "taps",
]  # fmt: skip

T = TypeVar("T")
Action = Literal["pay", "release", "let_lapse"]


class Reaction(msgspec.Struct, frozen=True):
    """Times of people: log-normal, half of them below the median, a long tail above. `sigma` is of the logarithm; 0
    makes everybody alike. About one in six needs longer than median · e^sigma."""

    median_ms: float
    sigma: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.median_ms) and self.median_ms >= 0):
            raise ValueError(f"A median is a time in milliseconds from 0 on, not {self.median_ms:g}.")
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise ValueError(f"A sigma is a number from 0 on, not {self.sigma:g}.")

    def draw_ms(self, rng: random.Random) -> float:
        return self.median_ms * math.exp(rng.gauss(0.0, self.sigma)) if self.median_ms else 0.0

    def draw_seconds(self, rng: random.Random) -> float:
        return self.draw_ms(rng) / 1000


class Decision(NamedTuple):
    """What she does with her hold, and how long she thinks first. Who lets it lapse does nothing."""

    action: Action
    think_seconds: float


def check_after(after: After) -> After:
    """`after` as it came, or `ValueError` with words: shares from 0 to 1, pay and release together at most 1."""
    for name in ("pay_share", "release_share", "accept_share"):
        check_share(name, getattr(after, name))
    if after.pay_share + after.release_share > 1 + 1e-9:  # 0.7 + 0.3 is more than 1 in binary fractions
        total = after.pay_share + after.release_share
        raise ValueError(
            f"Of the holds, {after.pay_share:g} are paid and {after.release_share:g} given back: together {total:g}, "
            "and there is only 1 to share. What is left of 1 runs out."
        )
    Reaction(after.think_median_ms, after.think_sigma)
    return after


def check_share(name: str, value: float) -> float:
    """`value` as it came, or `ValueError` with words where it is no share from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a share from 0 to 1, not {value:g}.")
    return value


def decide_after_hold(rng: random.Random, after: After) -> Decision:
    """Once per hold. Draws as many numbers whatever comes out, so that one parameter changed does not move the rest."""
    drawn = rng.random()
    think_seconds = Reaction(after.think_median_ms, after.think_sigma).draw_seconds(rng)
    if drawn < after.pay_share:
        return Decision("pay", think_seconds)
    if drawn < after.pay_share + after.release_share:
        return Decision("release", think_seconds)
    return Decision("let_lapse", think_seconds)


def accepts_offer(rng: random.Random, after: After) -> bool:
    """Whether she takes the unit that the wait-list offers her."""
    return rng.random() < after.accept_share


def taps(rng: random.Random, share: float) -> bool:
    """Whether this viewer goes for this deal."""
    return rng.random() < share


def draw_speaker(rng: random.Random, viewers: int, talkative_share: float = 1.0) -> int:
    """The place in the group, 0 … `viewers`-1, of who says the next line.

    `talkative_share` of the group do all the talking, each as much as the other. They are spread evenly over the group,
    so that every generator and every process of the server has its part. At least one viewer talks.
    """
    if viewers < 1:
        raise ValueError("Nobody is there to speak.")
    speakers = max(1, min(viewers, round(viewers * check_share("talkative_share", talkative_share))))
    return rng.randrange(speakers) * viewers // speakers


def is_question(rng: random.Random, question_share: float) -> bool:
    """Whether the next line is a question for the queue."""
    return rng.random() < question_share


def draw_of(rng: random.Random, shares: Mapping[T, float]) -> T:
    """One of the keys, by weight: a language, a device."""
    if not shares or any(weight < 0 for weight in shares.values()) or not sum(shares.values()) > 0:
        raise ValueError("Weights are numbers from 0 on, and one of them is above 0.")
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def draw_stay_seconds(rng: random.Random, median_seconds: float, sigma: float) -> float:
    """How long she stays before she leaves by herself."""
    return Reaction(median_seconds * 1000, sigma).draw_seconds(rng)


def draw_away_ms(rng: random.Random, away_ms: tuple[int, int]) -> float:
    """How long her line is down before she tries to return, evenly between the two."""
    least, most = away_ms
    if not 0 <= least <= most:
        raise ValueError(f"The time away is from 0 on and rises, not {least} … {most} ms.")
    return rng.uniform(least, most)
