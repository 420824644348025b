"""What the conductor orders a generator to do, and what the generator answers: the messages of the link.

Instants (`…_us`) are microseconds of the run's clock, which the conductor starts at 0. A generator starts an order at
its own instant, however late the order came, so that what was late is seen. `order_id`s are the conductor's; each order
is answered by `Ready` once (Join: everybody came in or failed; Chat, Tap: its time is over, every arrival was sent or
given up; Cut: the last arrival was sent; Rush: armed).
"""

from typing import Literal

import msgspec


class Order(msgspec.Struct, frozen=True, tag_field="order"):
    """Base of what a conductor sends."""


class ViewerPass(msgspec.Struct, frozen=True, array_like=True):
    viewer_id: str
    token: str


class Prepare(Order, frozen=True, tag="prepare"):
    """First order. `share` is (index, of how many): the generator's part of an open load that is told as a whole."""

    url: str  # http://host:port or https://…
    show_id: str
    seed: int
    share: tuple[int, int]
    patience_seconds: float  # an answer later than this after its planned moment is a late answer
    portable: bool = False  # the receiver in Python, even where the compiled one could be had
    boot_id: str = ""  # the conductor's host: on another one its loopback addresses lead elsewhere. Empty: not told


class ClockAsk(Order, frozen=True, tag="clock_ask"):
    """Answered at once by `ClockTold` with the generator's own monotonic clock; asked several times."""

    sent_ns: int


class ClockSet(Order, frozen=True, tag="clock_set"):
    """Run clock = (monotonic_ns + offset_ns) // 1000 in this generator; told again while the run goes on. `apart_us` is
    how far two generators' run clocks may be apart at most: a mark so little ahead of now is one of now."""

    offset_ns: int
    apart_us: int = 0


class Join(Order, frozen=True, tag="join"):
    """These viewers come in from `at_us` on, `per_second` of this generator, evenly or as a Poisson stream: open.

    `read_bytes_per_second` 0 reads all at once; else the viewer has a receive buffer of `receive_buffer_bytes` and
    reads no faster.
    """

    order_id: int
    group: str
    passes: tuple[ViewerPass, ...]
    at_us: int
    per_second: float
    arrivals: Literal["even", "poisson"] = "even"
    device: Literal["phone", "desk"] = "phone"
    read_bytes_per_second: int = 0
    receive_buffer_bytes: int = 0
    tries_max: int = 1  # a refused or broken entry is tried so often, by full jitter; then it stays failed


class Chat(Order, frozen=True, tag="chat"):
    """Lines of chat at an open rate, each by a viewer drawn from the group. `question_share` of them are questions. A
    line that nobody may say yet waits; what waits at the end of its time is counted as `chat_skipped`."""

    order_id: int
    group: str
    at_us: int
    seconds: float
    per_second: float
    question_share: float = 0.0
    arrivals: Literal["even", "poisson"] = "poisson"


class Tap(Order, frozen=True, tag="tap"):
    """Reservations at an open rate, each by the viewer of the group who has been free for longest. With
    `release_after_ms` the hold is given back so long after its answer; a viewer who still holds her unit, or waits for
    an answer, is not free. A tap for which nobody is free waits and counts from its plan all the same; what waits at
    the end of its time is counted as `taps_skipped`: never sent is never answered."""

    order_id: int
    group: str
    at_us: int
    seconds: float
    per_second: float
    deal_ids: tuple[str, ...]
    qty: int = 1
    release_after_ms: int | None = None
    arrivals: Literal["even", "poisson"] = "even"


class After(msgspec.Struct, frozen=True):
    """What a viewer does with a hold. The shares are drawn once per hold; what is left of 1 lets it run out."""

    pay_share: float = 0.0
    release_share: float = 0.0
    think_median_ms: float = 5_000.0
    think_sigma: float = 0.6  # of the logarithm
    accept_share: float = 0.8  # of offers from the wait-list


class Rush(Order, frozen=True, tag="rush"):
    """Once a deal of `deal_ids` opens, `share` of the group tap it, each after a reaction of her own: closed, for each
    tap waits for its deal. The planned moment is the opening as she heard it plus her reaction. `at_opening` does not
    wait for the event but taps at `at_us` plus reaction: what people do who watch the countdown."""

    order_id: int
    group: str
    deal_ids: tuple[str, ...]
    share: float = 1.0
    reaction_median_ms: float = 900.0
    reaction_sigma: float = 0.5
    qty: int = 1
    wait: bool = False  # ask for a place in the line where it is sold out
    after: After = After()
    at_us: int | None = None


class Cut(Order, frozen=True, tag="cut"):
    """Connections of the group break (abort, no goodbye) at an open rate, each viewer drawn; `per_second` 0 breaks all
    at `at_us`. They come back after `away_ms` and then by the client's rule: full jitter, resume, same rids again."""

    order_id: int
    group: str
    at_us: int
    seconds: float = 0.0
    per_second: float = 0.0
    away_ms: tuple[int, int] = (0, 0)  # drawn evenly between


class Leave(Order, frozen=True, tag="leave"):
    order_id: int
    group: str
    at_us: int


class Finish(Order, frozen=True, tag="finish"):
    """Last order: no further arrivals, wait for what is unanswered and for state that is missing, at most so long;
    write the segments, close the lines, send the last sample and records, then `Done`. `final` is (epoch, offset) of
    the show's last event: who is in and has not seen it yet is waited for."""

    patience_seconds: float
    final: tuple[str, int] | None = None


class Rejected(Order, frozen=True, tag="rejected"):
    """Instead of any order: this generator may not join, in words for a person. The line ends."""

    text: str


AnyOrder = Rejected | Prepare | ClockAsk | ClockSet | Join | Chat | Tap | Rush | Cut | Leave | Finish


class Report(msgspec.Struct, frozen=True, tag_field="report"):
    """Base of what a generator sends."""


class Hello(Report, frozen=True, tag="hello"):
    """First report. `boot_id` equal to the conductor's means: the same monotonic clock, offset 0."""

    key: str
    host: str
    pid: int
    boot_id: str
    version: str
    descriptors_max: int
    cores: int


class ClockTold(Report, frozen=True, tag="clock_told"):
    sent_ns: int  # the conductor's, as it came
    here_ns: int


class Prepared(Report, frozen=True, tag="prepared"):
    receiver: Literal["native", "portable"]
    reason: str = ""  # why not native


class Ready(Report, frozen=True, tag="ready"):
    order_id: int


class Sampled(Report, frozen=True, tag="sampled"):
    """Once a second, and once at the end: what changed since the last one."""

    until_us: int
    counters: dict[str, int]
    gauges: dict[str, float]
    histograms: dict[str, str]  # name → base64 of the encoded HDR histogram, microseconds, of this interval alone


class Recorded(Report, frozen=True, tag="recorded"):
    """A piece of the generator's records (`loadtest.records`), in order."""

    chunk: bytes


class Failed(Report, frozen=True, tag="failed"):
    """The generator cannot go on, in words for a person; or (`fatal` false) something a person should know."""

    text: str
    fatal: bool = True


class Done(Report, frozen=True, tag="done"):
    pass


AnyReport = Hello | ClockTold | Prepared | Ready | Sampled | Recorded | Failed | Done
