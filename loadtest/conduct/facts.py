"""What is derived from a run once it is over: the facts that thresholds may name beside percentiles and counters.

What arrives: counters, rows, records of what every viewer asked, heard and saw, what the checker counted. What leaves:
numbers by name. A fact that cannot be known (no taps, no probe) is absent, and a threshold on it is then a breach. It
reads no file.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from livecommerce.audit.books import Books
from livecommerce.errors import R
from livecommerce.shows.log import FORGOTTEN
from loadtest.records import Answered, AnyRecord, Segment
from loadtest.result import CheckResult, SampleRow

Place = tuple[str, int]  # (epoch, offset)

LEFT = 1000  # `Segment.closed` of who said goodbye
# What the checker counts, under the name that thresholds use.
_COUNTED = ("oversold", "lost_state_events", "lost_holds", "double_effects", "unanswered", "late_answers")
# What only the whole run can tell: a stretch of it has none of these.
OF_THE_RUN = frozenset((*_COUNTED, "not_back", "server_rss_kib_per_viewer"))
# A tap that ends with one of these was turned away for want of time or patience; sold out is an answer.
_TURNED_AWAY = frozenset(each.value.number for each in (R.BUSY, R.REBUILDING, R.UNAVAILABLE, R.TOO_MANY))


@dataclass(slots=True)
class Heard:
    """What is drawn from the records of all generators, in one pass: `take` each of them."""

    segments: list[Segment] = field(default_factory=list)
    taps_held: int = 0  # reservations answered with a hold, each once, however often she was told
    _held: set[str] = field(default_factory=set)  # their rids

    def take(self, records: Iterable[AnyRecord]) -> None:
        """Everything that one generator recorded, in its order."""
        for record in records:
            match record:
                case Segment():
                    self.segments.append(record)
                case Answered(rid=rid, state="held") if rid not in self._held:
                    self._held.add(rid)
                    self.taps_held += 1


def derive(
    *,
    counters: Mapping[str, int],
    rows: Sequence[SampleRow],
    sends: int,
    expected: int,
    tap_seconds: float,
    check: CheckResult | None,
    held: int | None = None,
) -> dict[str, float]:
    """`sends`: how many were planned openly; `expected`: how many deliveries of marked cards there should have been;
    `held`: how many reservations were answered with a hold, by the records; where those were not read, the counters say
    how many answers there were."""
    facts: dict[str, float] = {}
    if planned := counters.get("joins_planned", 0):
        # Who is neither in nor known to have failed is not in either.
        failed = max(counters.get("join_failed", 0), planned - counters.get("joined", 0))
        facts["failed_joins_share"] = min(1.0, failed / planned)
    if expected:
        facts["state_expected"] = float(expected)
        facts["state_delivered_share"] = counters.get("state_received", 0) / expected
    if sends:
        facts["late_send_share"] = counters.get("late_sends", 0) / sends
    if counters:
        facts["unsent_share"] = unsent_share(counters)
    if taps := counters.get("taps_sent", 0):
        facts["refused_share"] = sum(counters.get(f"taps_refused.{number}", 0) for number in _TURNED_AWAY) / taps
    if tap_seconds:
        facts["accepted_per_second"] = (counters.get("answers.held", 0) if held is None else held) / tap_seconds
    if check is not None:
        facts |= {name: float(check.counts[name]) for name in _COUNTED if name in check.counts}
    return facts | _costs(rows) | _memory(rows)


def unsent_share(counters: Mapping[str, int]) -> float:
    """Of the taps and lines of chat that were planned, those that never went out: of none, none."""
    planned = counters.get("taps_planned", 0) + counters.get("chat_planned", 0)
    sent = counters.get("taps_sent", 0) + counters.get("chat_sent", 0)
    return max(0.0, 1 - sent / planned) if planned else 0.0


def marked_cards(books: Books, unmarked: Iterable[Place], final: Place | None) -> list[Place]:
    """Where the show's log has a card that was shown with a mark, up to `final`: all that were shown, but for
    those that are known to have had none."""
    without, found = set(unmarked), []
    for row in books.events:
        place = (row.epoch, row.place)
        if row.kind == "card_shown" and row.place and row.epoch != FORGOTTEN and place not in without:
            found.append(place)
        if place == final:
            break
    return found


def expected_deliveries(segments: Iterable[Segment], marked: Sequence[Place], planned_viewers: int) -> int:
    """How often a marked card should have been delivered: to each viewer, every one from her first entry to the end of
    what she saw last, or to the very end where she was in to the end or was to come back. Who was planned and never got
    in missed every one: a failed entry stays in the denominator. Who said goodbye missed nothing after."""
    by_epoch: dict[str, list[int]] = defaultdict(list)
    for epoch, offset in marked:
        by_epoch[epoch].append(offset)
    for offsets in by_epoch.values():
        offsets.sort()
    epochs = list(dict.fromkeys(epoch for epoch, _ in marked))
    first: dict[str, tuple[int, int]] = {}  # viewer → place of the epoch, offset
    left: dict[str, Segment] = {}
    for segment in segments:
        place = epochs.index(segment.epoch) if segment.epoch in by_epoch else -1
        began = (place, segment.from_offset)
        if segment.viewer not in first or began < first[segment.viewer]:
            first[segment.viewer] = began
        if segment.closed == LEFT:
            left[segment.viewer] = segment
    expected = 0
    for viewer, (place, from_offset) in first.items():
        if viewer in left:
            expected -= _after(left[viewer], epochs, by_epoch)
        for number, epoch in enumerate(epochs):
            offsets = by_epoch[epoch]
            if number > place:
                expected += len(offsets)
            elif number == place:
                expected += len(offsets) - bisect_right(offsets, from_offset)
    return expected + max(0, planned_viewers - len(first)) * len(marked)


def _after(end: Segment, epochs: Sequence[str], by_epoch: Mapping[str, Sequence[int]]) -> int:
    """The cards that came after she had left."""
    place = epochs.index(end.epoch) if end.epoch in by_epoch else -1
    later = sum(len(by_epoch[epoch]) for epoch in epochs[place + 1 :])
    if place < 0:
        return later
    offsets = by_epoch[end.epoch]
    return later + len(offsets) - bisect_right(offsets, end.to_offset)


def _costs(rows: Sequence[SampleRow]) -> dict[str, float]:
    """CPU for one frame, on both sides, over the seconds in which frames came and nobody did: an entry is dear."""
    facts: dict[str, float] = {}
    steady = [row for row in rows if row.counters.get("frames", 0) and not _coming(row)]
    frames = sum(row.counters["frames"] for row in steady)
    if not frames:
        return facts
    began = {row.until_us: before.until_us for before, row in pairwise(rows)}
    seconds = {row.until_us: (row.until_us - began.get(row.until_us, row.until_us - 1_000_000)) / 1e6 for row in steady}
    facts["frames_per_second"] = frames / sum(seconds.values())
    generators = sum(_generator_cores(row) * seconds[row.until_us] for row in steady)
    facts["generator_cpu_us_per_frame"] = generators * 1e6 / frames
    if any("web_cpu" in row.server for row in steady):
        server = sum(row.server.get("web_cpu", 0.0) * seconds[row.until_us] for row in steady)
        facts["server_cpu_us_per_frame"] = server * 1e6 / frames
    return facts


def _coming(row: SampleRow) -> bool:
    return bool(row.counters.get("joins_planned", 0) or row.counters.get("joined", 0))


def _generator_cores(row: SampleRow) -> float:
    return sum(share for name, share in row.gauges.items() if name.startswith("cpu."))


def _memory(rows: Sequence[SampleRow]) -> dict[str, float]:
    """What the web processes grew by, for each viewer that was in."""
    known = [row for row in rows if "web_rss_mib" in row.server]
    empty = [row for row in known if not row.gauges.get("in", 0)]
    fullest = max(known, key=lambda row: row.gauges.get("in", 0.0), default=None)
    if not empty or fullest is None or not fullest.gauges.get("in", 0):
        return {}
    grown = fullest.server["web_rss_mib"] - empty[0].server["web_rss_mib"]
    return {"server_rss_kib_per_viewer": max(0.0, grown) * 1024 / fullest.gauges["in"]}
