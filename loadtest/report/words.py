"""Figures and numbers in words: times in the unit a reader expects, counters with what their number means.

What arrives: names and values as they are counted. What leaves: text. The refusals' and close codes' own sentences are
the server's (`livecommerce.errors`); nothing is said twice.
"""

from collections.abc import Mapping

from livecommerce.errors import Close, R

CLOSES = {
    1000: "closed in good order",
    1001: "the server went away",
    1006: "the line broke without a goodbye",
    1008: "refused by rule",
    1009: "a message was too large",
    1011: "the server failed",
    1012: "the server restarts",
    1013: "come back later",
    Close.MOVING: "this process is being replaced",
    Close.SLOW: "the viewer's line could not carry the room",
    Close.RESYNC: "the server asks for a fresh start",
    Close.TOKEN_EXPIRED: "the pass ran out",
    Close.IDLE: "no sign of life",
    Close.FULL: "the process or the room is full",
    Close.TOO_LATE: "no hello in time",
    Close.TOKEN_INVALID: "the pass is not valid",
    Close.FORBIDDEN: "not invited",
    Close.BANNED: "banned",
    Close.NOT_FOUND: "no such show",
    Close.BROKE_RULES: "messages that are none",
    Close.ELSEWHERE: "the identity opened too many lines",
    Close.SHOW_OVER: "the show is over",
}
_OTHERS = {
    "unanswered": "requests that nobody answered",
    "late_answers": "answers after the viewer's patience",
    "late_sends": "sent more than 10 ms after their moment",
    "state_gaps": "events of the show that were skipped",
    "state_duplicates": "events of the show that came twice",
    "taps_skipped": "taps not made: nobody was free in time",
    "chat_skipped": "lines not said: nobody was free in time",
    "not_back": "viewers who were not back at the end",
    "sent_away": "viewers the server sent away for good",
    "checkouts_failed": "checkouts that did not get through",
    "pays_unconfirmed": "payments made and never confirmed",
}
# Said by the server on purpose: an answer like any other, but not the one the viewer hoped for.
ORDINARY = frozenset({"refused.400", "refused.401", "refused.410", "disconnects.1000", "disconnects.4507"})


def error_words() -> dict[str, str]:
    """What each counter of the kind that can go wrong means, by its name."""
    refused = {f"refused.{row.value.number}": row.value.text.partition("{")[0].rstrip(" :.(") for row in R}
    disconnects = {f"disconnects.{int(code)}": text for code, text in CLOSES.items()}
    return {**refused, **disconnects, **_OTHERS}


_ERROR_WORDS = error_words()


def words_of(counter: str) -> str:
    """What a counter of the kind that can go wrong means; for one with its reason in the name, the reason."""
    family, _, why = counter.partition(".")
    if family == "join_failed" and why:
        return f"could not come in: {why.replace('_', ' ')}"
    return _ERROR_WORDS.get(counter, why.replace("_", " ") or counter.replace("_", " "))


def errors_of(counters: Mapping[str, int]) -> dict[str, int]:
    """Of all counters those that say that something went wrong or was refused, most first; zeros left out."""
    found = {
        name: count
        for name, count in counters.items()
        if count and (name.startswith(("refused.", "disconnects.", "join_failed.")) or name in _OTHERS)
    }
    return dict(sorted(found.items(), key=lambda row: (-row[1], row[0])))


def time_shown(us: float) -> str:
    """A time in µs, ms or s, with three digits at most behind the unit's point."""
    if us < 1_000:
        return f"{us:.0f} µs"
    if us < 10_000:
        return f"{us / 1e3:.2f} ms"
    if us < 1_000_000:
        return f"{us / 1e3:.0f} ms" if us >= 100_000 else f"{us / 1e3:.1f} ms"
    return f"{us / 1e6:.2f} s"


def duration_shown(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
