"""What a generator counted, timed and recorded since it last told the conductor.

What arrives: one call for each thing that happened; it is on every hot path, so it only appends. What leaves: counters,
encoded histograms, and the records as one piece of bytes. It decides nothing and knows no clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from loadtest.measure.histogram import Histogram
from loadtest.records import Record, encode
from loadtest.wire.receiver import Taken, bucket_us

LATE_SEND_US = 10_000
# Records wait in memory while the conductor does not read. Beyond that a run has no proof any more, and ends.
RECORD_BYTES_MAX = 512 * 2**20


class Measured:
    """`count`, `time` and `record` while things happen; `take_…` when it is time to tell."""

    def __init__(self) -> None:
        self.counters: defaultdict[str, int] = defaultdict(int)
        self._times: defaultdict[str, list[int]] = defaultdict(list)
        self._records = bytearray()

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] += by

    def time(self, name: str, us: int) -> None:
        self._times[name].append(us)

    def late(self, us: int) -> None:
        """How late an arrival of an open load was really sent."""
        self._times["late"].append(us)
        if us > LATE_SEND_US:
            self.counters["late_sends"] += 1

    def waited(self, us: int) -> None:
        """How late an arrival was sent that had to wait for a viewer who was free. That is no lateness of ours: the
        server had not answered them yet, or the crowd is too small."""
        self._times["late"].append(us)
        self.counters["waited_sends"] += 1

    def record(self, record: Record) -> None:
        self._records += encode(record)

    @property
    def record_bytes(self) -> int:
        """Recorded and not taken yet."""
        return len(self._records)

    def take_counters(self, received: Mapping[str, int]) -> dict[str, int]:
        """Ours and the receiver's since the last time; what stayed 0 is left out."""
        ours, self.counters = self.counters, defaultdict(int)
        for name, by in received.items():
            ours[name] += by
        return {name: by for name, by in ours.items() if by}

    def take_times(self, received: Taken) -> Iterable[tuple[str, str]]:
        """(name, encoded histogram), one by one: each takes a moment, and the caller may listen in between."""
        ours, self._times = self._times, defaultdict(list)
        for name, times in ours.items():
            # Values that fall into one bucket are counted first: a list counts twenty times faster than a histogram.
            yield name, _encoded(Counter(bucket_us(max(0, us)) for us in times).items())
        for name, counted in received.latencies.items():
            if counted:
                yield name, _encoded(counted)

    def take_records(self, bytes_max: int) -> bytes:
        """The oldest records, so many bytes at most, cut anywhere, as pieces are put together again; or none."""
        piece = bytes(memoryview(self._records)[:bytes_max])
        del self._records[: len(piece)]
        return piece


def _encoded(counted: Iterable[tuple[int, int]]) -> str:
    histogram = Histogram()
    for us, count in counted:
        histogram.record(us, count)
    return histogram.encode()
