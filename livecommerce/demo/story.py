"""The demo's script, as data: who says what and who does what, in seconds after a visitor arrived.

What leaves: tables. The director reads them, the players act. Nothing here waits, sends or knows a socket.
"""

from dataclasses import dataclass
from typing import Literal

ROUND_SECONDS = 180.0
OPENS_AT_SECONDS = 12.0
SUM_AT_SECONDS = 60.0
HERO_UNITS = 24
# Each visitor's own unit: players leave it alone until she has tapped, or has let it be for too long.
LEFT_FOR_VISITOR = 1
VISITOR_PATIENCE_SECONDS = 36.0
PLAYERS = 20
# Players take a unit each, this far apart, from the opening on: the last one before `LATE_AT_SECONDS`.
TAKE_EVERY_SECONDS = 0.32
# From here on, and once nothing is left, the late come: `LATE_TAPS` of players, then the line, then the rival.
LATE_AT_SECONDS = 25.5
LATE_TAPS = 35
# Once the whole line stands, those who give up do so one after the other, so that each in line is seen to get one.
GIVE_UP_AFTER_SECONDS, GIVE_UP_EVERY_SECONDS = 6.0, 3.0
SLOW_PAY_FROM_SECONDS, SLOW_PAY_UNTIL_SECONDS = 49.0, 56.0

Act = Literal["give_up", "pay", "pay_slowly", "keep"]
Frame = Literal["you", "rival", "host", "all"]

# What each player does with the unit she got, in the order in which they got them. Six pay slowly: they are the
# "6 still paying" that the rival reads (a visitor on the payment page is a seventh): the others have paid by
# `LATE_AT_SECONDS`.
FATES: tuple[Act, ...] = (
    "pay", "pay_slowly", "pay", "give_up", "pay_slowly", "pay", "pay", "pay_slowly", "keep", "pay",
    "pay_slowly", "pay", "give_up", "pay_slowly", "pay", "keep", "pay_slowly", "pay", "pay", "keep",
    "pay", "keep", "pay",
)  # fmt: skip


def fates_for(rivals: int) -> tuple[Act, ...]:
    """The fates where so many rivals wait behind the first in line: each of them is offered what somebody gave up."""
    fates, missing = list(FATES), 1 + rivals - FATES.count("give_up")
    keepers = [number for number, fate in enumerate(FATES) if fate == "keep"]
    for number in keepers[: max(0, missing)]:
        fates[number] = "give_up"
    return tuple(fates)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One line of the room. `by` is a player's number, or "host"."""

    at_seconds: float
    by: int | Literal["host"]
    text: str


NAMES = (
    "Amélie", "Jonas", "Mei", "Sofia", "Lucas", "Hana", "Inès", "Noah", "Clara", "Wei",
    "Léa", "Marco", "Anouk", "Elif", "Théo", "Yuki", "Zoé", "Omar", "Nina", "Paulo",
)  # fmt: skip

LINES: tuple[Spoken, ...] = (
    Spoken(0.6, "host", "Welcome! In a moment: Velvet Lip in Rosewood, for this room only."),
    Spoken(1.6, 0, "finally! I have been waiting for this one"),
    Spoken(2.6, 4, "hello from Lyon 👋"),
    Spoken(3.8, 2, "Is Rosewood more pink or more brown?"),
    Spoken(5.4, "host", "Mei: brown in the bullet, pink on the lips. Half a tone warmer than Fig."),
    Spoken(6.6, 7, "does it dry out? I have very dry lips"),
    Spoken(8.0, "host", "Noah: there is squalane in it, it stays soft for eight hours."),
    Spoken(9.2, 11, "ready. finger on the button"),
    Spoken(10.2, 5, "😍 that colour in the light"),
    Spoken(12.4, "host", "Rosewood is open: 24 units, 19 instead of 29!"),
    Spoken(14.5, 9, "got one!"),
    Spoken(16.0, 1, "Would Fig suit olive skin?"),
    Spoken(17.6, "host", "Jonas: Fig and Terracotta both love olive skin. Rosewood too, honestly."),
    Spoken(19.5, 14, "me too, collecting in Lyon tomorrow"),
    Spoken(21.0, 8, "can I pick it up at my counter?"),
    Spoken(22.5, "host", "Clara: yes, choose your counter when you pay. Ready tomorrow from ten."),
    Spoken(26.0, 16, "so fast… is it gone?"),
    Spoken(28.0, "host", "Some are still paying. Tap to wait in line: whoever gives up, it is your turn."),
    Spoken(35.5, 12, "I let mine go, wrong shade for me. Good luck to the next one!"),
    Spoken(38.0, 3, "paid, thank you Mei Lin ❤️"),
    Spoken(44.0, 18, "what is the finish, satin or matte?"),
    Spoken(46.0, "host", "Nina: velvet matte. One coat is enough."),
    Spoken(54.0, "host", "That was Rosewood: every unit held or sold, not one too many."),
    Spoken(70.0, 6, "will there be more Rosewood?"),
    Spoken(73.0, "host", "A new round opens in a moment. Glow Serum comes after it."),
    Spoken(88.0, 10, "which serum goes under it?"),
    Spoken(91.0, "host", "Léa: Glow Serum, two drops, wait one minute, then the lip colour."),
    Spoken(110.0, 13, "watching from Izmir, love the format"),
    Spoken(130.0, 17, "how do I remove it in the evening?"),
    Spoken(133.0, "host", "Omar: Silk Cleanser, warm hands, no cotton needed."),
    Spoken(150.0, 15, "see you at the Cloud Class on Tuesday!"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A step that the page tells: it has the words for `key` in its own language, and turns to `frame`."""

    at_seconds: float
    key: str
    frame: Frame


STEPS: tuple[Step, ...] = (
    Step(0.0, "arrive", "all"),
    Step(OPENS_AT_SECONDS, "open", "you"),
    Step(20.0, "taps", "host"),
    Step(28.0, "late", "rival"),
    Step(36.0, "offer", "rival"),
    Step(44.0, "pay", "you"),
    Step(SUM_AT_SECONDS, "sum", "all"),
)
