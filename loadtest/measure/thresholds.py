"""What must hold: `state_p99<100ms`, `oversold==0`, `failed_joins_share<1%`; read before a run, judged after it.

What arrives: the text, then what was measured. What leaves: a verdict for each, in the unit it was written in. It does
not know who measured, nor what a breach leads to.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from livecommerce.errors import R
from loadtest.result import Percentiles, ThresholdVerdict

LATENCIES: Final = (
    "join", "state", "talk", "reserve", "release", "accept", "said", "checkout", "pay", "catch_up", "return", "late",
    "loop_lag",
)  # fmt: skip
PERCENTILES: Final = ("p50", "p90", "p95", "p99", "p999", "max")
COUNTERS: Final = (
    "joins_planned", "joined", "join_failed", "chat_planned", "chat_sent", "chat_skipped", "chat_lost",
    "taps_planned", "taps_sent", "taps_skipped", "answers", "refused", "unanswered", "late_answers", "late_sends",
    "cuts", "returns", "recovered", "snapshots", "disconnects", "state_frames", "state_events", "state_received",
    "state_duplicates", "state_gaps", "talk_frames", "talk_lines", "levels_frames", "frames", "bytes_in", "bytes_out",
    "pings", "checkouts_planned", "checkouts", "checkouts_failed", "pays_pressed", "pays_unconfirmed",
    "orders_confirmed", "not_back", "sent_away", "waited_sends", "skipped_by_server",
)  # fmt: skip
FAMILIES: Final = {  # counters that are told apart by what stands after the point
    "join_failed": "why", "answers": "state", "refused": "number", "disconnects": "code", "orders": "status",
    "taps_refused": "number",
}  # fmt: skip
SHARES: Final = ("failed_joins_share", "state_delivered_share", "late_send_share", "unsent_share", "refused_share")
COSTS: Final = ("generator_cpu_us_per_frame", "server_cpu_us_per_frame")
FACTS: Final = (
    *SHARES, *COSTS, "state_expected", "oversold", "lost_state_events", "lost_holds", "double_effects", "unanswered",
    "late_answers", "accepted_per_second", "frames_per_second", "server_rss_kib_per_viewer", "fast_state_p99_ratio",
    "web_rss_ratio", "held_after_cuts",
)  # fmt: skip

Kind = Literal["latency", "counter", "share", "cost", "fact"]
_UNITS: dict[Kind, dict[str, float]] = {  # what is allowed, and by what the measured value is multiplied
    "latency": {"us": 1.0, "ms": 1e-3, "s": 1e-6},
    "counter": {"": 1.0},
    "share": {"%": 100.0, "": 1.0},
    "cost": {"us": 1.0, "": 1.0},
    "fact": {"": 1.0},
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_SHAPE = re.compile(r"\s*([a-zA-Z][\w.]*)\s*(<=|>=|==|<|>)\s*([+-]?\d[\d_,]*(?:\.\d+)?)\s*([a-zA-Zµ%]*)\s*")
_LATENCY = re.compile(rf"({'|'.join(LATENCIES)})_({'|'.join(PERCENTILES)})")
_REFUSALS = {str(row.value.number) for row in R}


class ThresholdError(ValueError):
    """The threshold cannot be meant; the text says why, to a person, and what is close."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value` is in `unit`, as it was written."""

    text: str
    name: str
    compare: str
    value: float
    unit: str
    kind: Kind


def known_names() -> tuple[str, ...]:
    """Everything a threshold may name; of a family the pattern, such as `refused.<number>`."""
    latencies = (f"{name}_{point}" for name in LATENCIES for point in PERCENTILES)
    families = (f"{family}.<{what}>" for family, what in FAMILIES.items())
    return tuple(dict.fromkeys((*latencies, *COUNTERS, *families, *FACTS)))


def parse(text: str) -> Threshold:
    """Read one. Raises `ThresholdError` where the shape, the name, or the unit is wrong, in this order."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ThresholdError(
            f"“{text}” is not a threshold. Expected NAME<VALUE, as in 'state_p99<100ms' or 'oversold==0'; "
            "< <= > >= == are possible."
        )
    name, compare, value, unit = found.groups()
    unit = "us" if unit == "µs" else unit
    kind = _kind_of(name, text)
    if unit not in _UNITS[kind]:
        raise ThresholdError(f"“{text}”: {_about_unit(name, kind, unit)}")
    number = float(value.replace("_", "").replace(",", ""))
    return Threshold("".join(text.split()), name, compare, number, unit, kind)


def merge(defaults: Iterable[str], given: Iterable[str]) -> tuple[Threshold, ...]:
    """The scenario's own, then what the caller gave; a given one replaces every default of the same name. Raises
    `ThresholdError` for the first that cannot be meant."""
    asked = [parse(text) for text in given]
    replaced = {threshold.name for threshold in asked}
    kept = [threshold for threshold in map(parse, defaults) if threshold.name not in replaced]
    return tuple(dict.fromkeys((*kept, *asked)))


def judge(
    threshold: Threshold,
    latencies: Mapping[str, Percentiles],
    counters: Mapping[str, int],
    facts: Mapping[str, float],
) -> ThresholdVerdict:
    """Whether it held. A latency or a fact that was not measured is a breach: nothing proves that it held. A counter
    that never counted is 0."""
    measured = _measured(threshold, latencies, counters, facts)
    if measured is None:
        return ThresholdVerdict(threshold.text, None, False, "nothing was measured, so nothing proves that it held")
    value = measured * _UNITS[threshold.kind][threshold.unit]
    ok = _COMPARE[threshold.compare](value, threshold.value)
    return ThresholdVerdict(threshold.text, value, ok, "" if ok else _why(threshold, value))


def shown(value: float, unit: str) -> str:
    """A value with its unit, as exact as a reader needs it."""
    digits = 0 if value == int(value) or abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 4
    text = f"{value:,.{digits}f}"
    return f"{text}{'' if unit == '%' or not unit else ' '}{'µs' if unit == 'us' else unit}"


def _measured(
    threshold: Threshold,
    latencies: Mapping[str, Percentiles],
    counters: Mapping[str, int],
    facts: Mapping[str, float],
) -> float | None:
    if threshold.kind == "latency":
        name, _, point = threshold.name.rpartition("_")
        found = latencies.get(name)
        return float(getattr(found, point)) if found is not None and found.count else None
    if threshold.name in facts:
        return facts[threshold.name]
    # What is counted and also derived (unanswered) is first looked for among the facts.
    return float(counters.get(threshold.name, 0)) if _is_counter(threshold.name) else None


def _kind_of(name: str, text: str) -> Kind:
    if _LATENCY.fullmatch(name):
        return "latency"
    if name in SHARES:
        return "share"
    if name in COSTS:
        return "cost"
    if name in FACTS:
        return "fact"
    if _is_counter(name):
        return "counter"
    raise ThresholdError(f"“{text}”: {_about_name(name)}")


def _is_counter(name: str) -> bool:
    family, point, member = name.partition(".")
    if not point:
        return name in COUNTERS
    return family in FAMILIES and bool(member) and (FAMILIES[family] != "number" or member in _REFUSALS)


def _about_name(name: str) -> str:
    family, point, member = name.partition(".")
    if point and FAMILIES.get(family) == "number":
        return (
            f"there is no refusal {member}. The numbers are those of docs/protocol.md, such as {family}.400 (sold out)."
        )
    if name in LATENCIES:
        return f"{name} is a histogram; say which point of it: {', '.join(f'{name}_{p}' for p in PERCENTILES)}."
    close = get_close_matches(name, known_names(), 3, 0.5)
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"nothing of the name {name} is measured.{meant} `loadtest thresholds` lists all names."


def _about_unit(name: str, kind: Kind, unit: str) -> str:
    allowed = [one for one in _UNITS[kind] if one]
    if not unit:
        return f"{name} is a time; say in which unit: {', '.join(allowed)}."
    if not allowed:
        return f"{name} is a number and has no unit; {unit} was given."
    return f"{name} cannot be given in {unit}; possible: {', '.join(allowed)}{' or none' if kind != 'latency' else ''}."


def _why(threshold: Threshold, value: float) -> str:
    wanted = {"<": "under", "<=": "at most", ">": "over", ">=": "at least", "==": "exactly"}[threshold.compare]
    return f"{shown(value, threshold.unit)} measured, {wanted} {shown(threshold.value, threshold.unit)} wanted"
