"""What a crowd is like: every number with its default and where the default comes from.

What arrives: nothing, or numbers of somebody's own. What leaves: `CrowdParameters`, and from it the orders' own types:
stages of arrival, `After`, reactions. It knows no scenario.

Where a public source gives a figure, the default is that figure and `WHERE_FROM` names it. Where none was found it says
"assumed": then your own shop's last evening is the better source, and the report prints what was used.
"""

import math

import msgspec

from loadtest.crowd.arrivals import Stage
from loadtest.crowd.behaviour import Reaction, check_after, check_share
from loadtest.crowd.talk import LANGUAGES
from loadtest.orders import After


class CrowdParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A crowd. Refuses with `ValueError`, in words, what cannot be: a share above 1, a rate below 0, an empty room."""

    # coming in
    viewers: int = 10_000
    early_share: float = 0.3
    doors_seconds: float = 120.0
    arriving_seconds: float = 300.0
    phone_share: float = 0.9
    # staying
    stay_median_seconds: float = 1_200.0
    stay_sigma: float = 1.0
    cut_every_seconds: float = 0.0
    away_ms: tuple[int, int] = (1_500, 2_500)
    # talking
    chat_per_second: float = 40.0
    talkative_share: float = 0.1
    question_share: float = 0.05
    languages: dict[str, float] = msgspec.field(default_factory=lambda: {"en": 0.5, "fr": 0.3, "zh": 0.2})
    # buying
    tap_share: float = 0.2
    reaction_median_ms: float = 900.0
    reaction_sigma: float = 0.5
    pay_share: float = 0.6
    release_share: float = 0.1
    think_median_ms: float = 5_000.0
    think_sigma: float = 0.6
    accept_share: float = 0.8
    # waiting
    patience_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.viewers < 1:
            raise ValueError(f"A crowd has at least one viewer, not {self.viewers}.")
        for name in ("early_share", "phone_share", "talkative_share", "question_share", "tap_share"):
            check_share(name, getattr(self, name))
        for name in _TIMES_AND_RATES:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is a number from 0 on, not {value:g}.")
        if self.patience_seconds == 0:
            raise ValueError("patience_seconds is above 0: nobody's answer comes in no time.")
        if self.arriving_seconds == 0 and (self.early_share < 1 or self.doors_seconds == 0):
            raise ValueError("arriving_seconds is above 0 unless everybody comes early, while doors_seconds lasts.")
        if not 0 <= self.away_ms[0] <= self.away_ms[1]:
            raise ValueError(f"away_ms is (least, most) from 0 on, not {self.away_ms}.")
        _check_languages(self.languages)
        check_after(self.after)
        Reaction(self.reaction_median_ms, self.reaction_sigma)

    @property
    def after(self) -> After:
        """What becomes of a hold, as orders say it."""
        return After(self.pay_share, self.release_share, self.think_median_ms, self.think_sigma, self.accept_share)

    @property
    def reaction(self) -> Reaction:
        return Reaction(self.reaction_median_ms, self.reaction_sigma)

    @property
    def lines_per_speaker_minute(self) -> float:
        """How often each talkative viewer says something. The server gives each one line a second, five at once: above
        60 a minute the crowd measures the credits, not the room."""
        return 60 * self.chat_per_second / max(1, round(self.viewers * self.talkative_share))

    def arrivals(self) -> tuple[Stage, ...]:
        """How the viewers come in: the early ones while the doors are open, evenly; the rest after the start, fewer and
        fewer. All stages together let exactly `viewers` pass."""
        early = self.viewers * self.early_share if self.doors_seconds else 0.0
        late = self.viewers - early
        stages = []
        if early:
            rate = early / self.doors_seconds
            stages.append(Stage(self.doors_seconds, rate, rate))
        if late:
            # A straight line down to nothing has half the area of its first rate.
            stages.append(Stage(self.arriving_seconds, 2 * late / self.arriving_seconds, 0.0))
        return tuple(stages)

    def joins_per_second_max(self) -> float:
        """The steepest moment of the arrivals: what the server has to take."""
        return max(max(stage.from_per_second, stage.to_per_second) for stage in self.arrivals())


_TIMES_AND_RATES = (
    "doors_seconds", "arriving_seconds", "stay_median_seconds", "stay_sigma", "cut_every_seconds", "chat_per_second",
    "patience_seconds",
)  # fmt: skip


def _check_languages(languages: dict[str, float]) -> None:
    unknown = sorted(set(languages) - set(LANGUAGES))
    if unknown:
        raise ValueError(f"The crowd speaks {', '.join(LANGUAGES)}, not {', '.join(unknown)}.")
    if any(not weight >= 0 for weight in languages.values()) or not sum(languages.values()) > 0:
        raise ValueError("languages are weights from 0 on, and one of them is above 0.")


# One line for each field; a test holds them together.
WHERE_FROM: dict[str, str] = {
    "viewers": "what one show on one machine should carry: the size our own figures are given for",
    "early_share": "assumed: shows are announced with a reminder, so a good part waits at the door",
    "doors_seconds": "assumed",
    "arriving_seconds": "assumed; with the other defaults the peak is 47 joins/s. ZEGO allows 200 logins/s in a room "
    "(its published quota): scenarios that ask about a rush at the door use that",
    "phone_share": "assumed: live shopping is watched on phones",
    "stay_median_seconds": "assumed",
    "stay_sigma": "assumed: many look in for a minute, some stay to the end",
    "cut_every_seconds": "0: nobody's line breaks. AnyCable's published jitter test cuts each line every 15 s",
    "away_ms": "AnyCable's jitter test: about 2 s offline",
    "chat_per_second": "Tencent's live groups carry 40 lines/s and drop what is above (published limit). Others: "
    "Amazon IVS 10/s, ZEGO 10 to 20/s, Volcengine 80 to 100/s; LINE LIVE reports 10,000 a minute (167/s) on one stream",
    "talkative_share": "assumed",
    "question_share": "assumed",
    "languages": "assumed; all three are there so that lines of several bytes a character are",
    "tap_share": "assumed: no product publishes how much of a room goes for a deal",
    "reaction_median_ms": "assumed: seeing a card, deciding, tapping; 0.2 s is a bare reaction to light",
    "reaction_sigma": "assumed: one in six needs more than 1.5 s",
    "pay_share": "assumed: no product publishes it",
    "release_share": "assumed; what is left, 0.3 by default, lets the hold run out",
    "think_median_ms": "assumed: short, so that a run of minutes sees whole histories",
    "think_sigma": "assumed",
    "accept_share": "assumed",
    "patience_seconds": "assumed: a button that does nothing for so long is pressed again",
}
