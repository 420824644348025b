"""Which lines say nearly the same: the ground under repeat and flood detection, and under the clusters of the triage.

What arrives: lines as word lists see them (`letters.letters`). What leaves: a `Print` of each, and how many different
people said nearly that within a while. Two lines are copies where nearly all groups of letters are shared, and all
digits: "size 38" and "size 40" are two lines. A print is the same in every process. It knows no viewer's name and no
sentence; what is remembered is bounded.
"""

import re
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from zlib import crc32

ALIKE_SHARE = 0.85  # of all groups of letters of two lines that both have
WEIGHT_MIN = 20  # "hi" and "me!" are no flood; a letter of a script without an alphabet weighs three
SKETCH = 8
_SKETCH_SHARED_MIN = 4
REMEMBERED_MAX = 2000
PEOPLE_MAX = 100  # whoever counts them asks for some; to know all of a crowd would let the crowd take the memory
_WIDE = re.compile(r"[\u2e80-\U0010ffff]")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Print:
    """What a line is compared by. `sketch` is empty for a line too short to be a copy of anything but itself."""

    # Four bytes each. As a set of numbers they take twenty times as much, and thousands of prints are remembered.
    packed: bytes
    digits: str
    sketch: tuple[int, ...]

    def is_like(self, other: "Print") -> bool:
        if self.digits != other.digits or not self.sketch or not other.sketch:
            return False
        groups, others = self._groups(), other._groups()
        shared = len(groups & others)
        return shared >= ALIKE_SHARE * (len(groups) + len(others) - shared)

    def _groups(self) -> frozenset[int]:
        return frozenset(array("I", self.packed))


def print_of(what: str) -> Print:
    """The print of a line's letters."""
    wide = 0 if what.isascii() else len(_WIDE.findall(what))
    size = 2 if wide * 2 > len(what) else 4
    digits = "".join(_DIGIT.findall(what))
    if len(what) + 2 * wide < WEIGHT_MIN:
        return Print(b"", digits, ())
    data, step = what.encode("utf-32-le"), 4
    last = (len(what) - size) * step
    groups = frozenset([crc32(data[at : at + size * step]) for at in range(0, last + 1, step)])
    return Print(array("I", groups).tobytes(), digits, tuple(sorted(groups)[:SKETCH]))


@dataclass(slots=True)
class _Cluster:
    first: Print
    since: float
    people: set[str] = field(default_factory=set)


class Copies:
    """What was said in one room within the last `window_seconds`."""

    def __init__(self, window_seconds: float) -> None:
        self._window = window_seconds
        self._clusters: OrderedDict[int, _Cluster] = OrderedDict()
        self._by_group: dict[int, int] = {}
        self._made = 0

    def people(self, line: Print, viewer_id: str, now_seconds: float) -> int:
        """How many different people, this one too, have said nearly `line` within the window; `PEOPLE_MAX` at most."""
        if not line.sketch:
            return 1
        cluster = self._like(line)
        if cluster is None or now_seconds - cluster.since > self._window:
            cluster = self._remember(line, now_seconds)
        if len(cluster.people) < PEOPLE_MAX:
            cluster.people.add(viewer_id)
        return len(cluster.people)

    def _like(self, line: Print) -> _Cluster | None:
        known = self._known(line.sketch)
        if len(known) < min(_SKETCH_SHARED_MIN, len(line.sketch)):
            return None
        near = Counter(known)
        for number in sorted(near, key=lambda each: -near[each]):
            if near[number] < min(_SKETCH_SHARED_MIN, len(line.sketch)):
                return None
            if self._clusters[number].first.is_like(line):
                return self._clusters[number]
        return None

    def _known(self, sketch: Iterable[int]) -> list[int]:
        # What is in the index stands in the clusters too: both are forgotten together.
        by_group = self._by_group
        return [by_group[group] for group in sketch if group in by_group]

    def _remember(self, line: Print, now_seconds: float) -> _Cluster:
        self._made += 1
        cluster = self._clusters[self._made] = _Cluster(line, now_seconds)
        for group in line.sketch:
            self._by_group[group] = self._made  # the newest: an older one is about to leave the window
        if len(self._clusters) > REMEMBERED_MAX:
            number, oldest = self._clusters.popitem(last=False)
            for group in oldest.first.sketch:
                if self._by_group.get(group) == number:
                    del self._by_group[group]
        return cluster
