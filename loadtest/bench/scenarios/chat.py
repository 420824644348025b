"""A storm of chat with thinning off: every line to everybody.

Some viewers speak as fast as their lines are taken; so many lines are on their way at once. It is over when every
viewer has read every line.
"""

import time
from collections.abc import Mapping

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.from_viewer import Say
from loadtest.bench.audience import Audience
from loadtest.bench.declared import Amount, Bench, Unit
from loadtest.bench.lab import Lab, LabFailed
from loadtest.bench.sides import Side
from loadtest.machine import cpu_seconds
from loadtest.marks import marked
from loadtest.wire.frames import masked
from loadtest.wire.receiver import PAYLOAD, Single

_TAG = slice(3, 11)  # after the map's head and the key "t"
_SAID, _REFUSED = b"\xa4said", b"\xa7refused"
_LOOK_SECONDS = 0.005


def measure(lab: Lab, side: Side, amount: Amount) -> Mapping[str, float]:
    viewers, seconds = amount["viewers"], amount["milliseconds"] / 1000
    with side.serve(lab) as stand:
        audience = Audience(lab.runner, stand.port, greeted=stand.greets)
        try:
            audience.enter(stand.entries(stand.new_show(0), viewers))
            storm = _Storm(audience, min(amount["speakers"], viewers))
            cpu_before, started = cpu_seconds(stand.pid), time.monotonic()
            storm.blow(started + seconds)
            passed, cpu = time.monotonic() - started, cpu_seconds(stand.pid) - cpu_before
        finally:
            audience.close()
    return {
        "lines/s, each to everybody": storm.taken / passed,
        "lines read/s, by all viewers": storm.taken * viewers / passed,
        "server CPU µs per line read": cpu / (storm.taken * viewers) * 1e6,
    }


class _Storm:
    """Each speaker has one line on its way."""

    def __init__(self, audience: Audience, speakers: int) -> None:
        self._audience, self._speakers = audience, speakers
        self._said = self._look_at = 0.0
        self._read = 0
        self._made = 0
        self.taken = 0

    def blow(self, until: float) -> None:
        """Speak until then, and listen until everybody has read everything."""
        for number in range(self._speakers):
            self._speak(number)
        on_their_way = self._speakers

        def all_read(singles: list[Single]) -> bool:
            nonlocal on_their_way
            for single in singles:
                if single.kind != PAYLOAD:
                    continue
                tag = single.payload[_TAG]
                if tag == _REFUSED:
                    raise LabFailed("a line of chat was refused")
                if not tag.startswith(_SAID):
                    continue
                self.taken += 1
                on_their_way -= 1
                if time.monotonic() < until:
                    self._speak(single.viewer)
                    on_their_way += 1
            self._look()
            return not on_their_way and self._read >= self.taken * len(self._audience)

        self._audience.until(all_read, "every line of chat")
        if self._read != self.taken * len(self._audience):
            raise LabFailed(f"{self._read} lines were read where {self.taken} went to {len(self._audience)} viewers")

    def _speak(self, number: int) -> None:
        self._made += 1
        text = marked(f"Is the shade {self._made} also there for dry skin?", self._audience.now_us)
        self._audience.send(number, masked(encode(Say(f"cid-{self._made}", text), MSGPACK)))

    def _look(self) -> None:
        if time.monotonic() >= self._look_at:
            self._read += self._audience.heard().lines
            self._look_at = time.monotonic() + _LOOK_SECONDS


CHAT = Bench(
    name="chat",
    table="A storm of chat, thinning off",
    what="{viewers:,} viewers, {speakers} speak",
    sides=("ours", "plain"),
    units=(
        Unit("lines/s, each to everybody", 0),
        Unit("lines read/s, by all viewers", 0),
        Unit("server CPU µs per line read", 3, "less"),
    ),
    measure=measure,
    full={"viewers": 2_000, "speakers": 300, "milliseconds": 4_000},
    quick={"viewers": 200, "speakers": 100, "milliseconds": 1_000},
)
