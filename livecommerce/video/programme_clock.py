"""When was this filmed? The zero of a stream on the server's clock, and how it moves where the encoder's runs off.

What arrives: what a browser says of its recorder's start (already on the server's clock), and for each fragment when
its last byte was made (by a camera of ours, which says so with each chunk) or came (by any other encoder). What leaves:
`t0_ms`, and now and then a new one. It does not read clocks itself.

A fragment cannot be there before its end was filmed, and mostly is a steady while after. So the least of (there − end
in the stream) over a while is zero's place plus a delay that hardly changes:

    at first             zero as told, or that least. A recorder that was slow to start told a zero that is too early
    after some seconds   that least, where it is far from what was told
    it shrinks           the encoder's clock is fast, for a delay cannot shrink below what it was
    it grows             slow clock, or a slower line: believed only as far as a bad quartz could explain

By a camera's own word a delay can shrink, too: where somebody sets its clock. So that word is believed either way only
as far as a bad quartz could explain, and what goes beyond is where it counts from, from then on.
"""

from collections import deque

# What nobody sees yet; below it no step is worth its break in the programme clock. It is seen a little later than it
# happens, and is never to be more than 250 ms.
STEP_MS = 200.0
WINDOW_MS = 30_000.0
QUARTZ_PPM_MAX = 500.0
# Once there are so many fragments, what was told is held against what was seen; the least delay of a camera of ours is
# this: half a slice of its recorder, and the encoder.
SETTLED_AFTER = 12
TOLD_STEP_MS = 100.0
LEAST_DELAY_MS = 60.0
# A browser that says it started earlier or later than this before its first fragment has no clock to believe.
TOLD_OFF_MS_MAX = 10_000.0


class ProgrammeClock:
    """One stream's. `arrived` for each fragment; `t0_ms` is valid from the first on."""

    def __init__(self, told_t0_ms: float | None) -> None:
        self._told = told_t0_ms
        self._delays: deque[tuple[float, float]] = deque()  # (arrival, arrival − end), rising in both
        self._base: float | None = None
        self._began_ms = 0.0
        self._seen = 0
        self.t0_ms = 0.0

    def there(self, end_ms: float, now_ms: float, *, made: bool = False) -> bool:
        """A fragment that ends at `end_ms` of the stream is there since `now_ms`; `made`: by the camera's own word.
        True where `t0_ms` moved (the first call aside)."""
        delay = now_ms - end_ms - (LEAST_DELAY_MS if made else 0.0)
        self._seen += 1
        if self._base is None:
            self._begin(delay, now_ms)
            self._remember(now_ms, delay)
            return False
        self._remember(now_ms, delay)
        if made and self._seen == SETTLED_AFTER:
            return self._settle()
        return self._follow(self._delays[0][1] - self._base, now_ms, made)

    def _follow(self, moved: float, now_ms: float, made: bool) -> bool:
        assert self._base is not None, "followed before it began"
        explained = (now_ms - self._began_ms) * QUARTZ_PPM_MAX / 1e6
        if abs(moved) < STEP_MS or (moved > explained and not made):
            return False
        self._base += moved
        if made and abs(moved) > explained:
            return False  # its clock was set: nothing of what is filmed has moved
        self.t0_ms += moved
        self._began_ms = now_ms if moved > 0 or made else self._began_ms
        return True

    def _settle(self) -> bool:
        self._base = self._delays[0][1]
        if not TOLD_STEP_MS <= abs(self._base - self.t0_ms) <= TOLD_OFF_MS_MAX:
            return False
        self.t0_ms = self._base
        return True

    def _begin(self, delay: float, now_ms: float) -> None:
        told = self._told
        believed = told is not None and 0 <= delay - told + 1000 <= TOLD_OFF_MS_MAX
        self.t0_ms = told if believed and told is not None else delay
        self._base = delay
        self._began_ms = now_ms

    def _remember(self, now_ms: float, delay: float) -> None:
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((now_ms, delay))
        while self._delays[0][0] < now_ms - WINDOW_MS:
            self._delays.popleft()
