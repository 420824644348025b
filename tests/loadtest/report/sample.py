"""A result as a real evening leaves it, made from a seed: what the reports are tried with.

10,000 viewers come in over 30 s, chat, see cards, tap when a deal opens, pay or let go; the server is cut from its
Redis for a moment. All figures follow from the seed; none was measured.
"""

import random
from functools import cache

import msgspec

from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Tally
from loadtest.measure.thresholds import judge, merge
from loadtest.orders import Sampled
from loadtest.result import Breach, CheckResult, GeneratorHealth, Phase, Result, SampleRow, Stop

SECOND_US = 1_000_000
SECONDS = 150
VIEWERS = 10_000
KINDS = (
    "oversold", "lost_holds", "double_effects", "lost_state_events", "reordered_state_events", "wrong_state_events",
    "unanswered", "late_answers", "contradicted_answers", "unpaid_confirmed", "books",
)  # fmt: skip
DEALS = {"velvet-lip-104": 400, "glow-serum-30ml": 250}


@cache
def evening(seed: int = 7, seconds: int = SECONDS) -> Result:
    """A run of `show` that passed."""
    tally, rng = Tally(), random.Random(seed)
    stock = {deal: [units, 0, 0, 0, 0] for deal, units in DEALS.items()}
    viewers = 0.0
    for second in range(1, seconds + 1):
        arriving = min(VIEWERS - viewers, VIEWERS / 30) if second <= 32 else 0
        viewers += arriving
        rush = _rush(second)
        for generator in (0, 1):
            tally.add(generator, _second(rng, second, generator, viewers / 2, arriving / 2, rush / 2))
        _sell(rng, stock, rush)
        tally.close_second(second * SECOND_US, _server(rng, viewers, rush), {d: tuple(n) for d, n in stock.items()})  # type: ignore[misc]
    totals = tally.totals
    latencies, counters = totals.latencies(), dict(sorted(totals.counters.items()))
    facts = {
        "failed_joins_share": counters.get("join_failed", 0) / counters["joins_planned"], "oversold": 0.0,
        "state_delivered_share": 1.0, "lost_state_events": 0.0, "lost_holds": 0.0, "double_effects": 0.0,
        "late_send_share": 0.0004, "accepted_per_second": 214.0, "frames_per_second": counters["frames"] / seconds,
        "generator_cpu_us_per_frame": 1.31, "server_cpu_us_per_frame": 5.82, "server_rss_kib_per_viewer": 21.4,
        "state_expected": float(counters["state_received"]),
    }  # fmt: skip
    thresholds = ("state_p99<250ms", "talk_p99<500ms", "reserve_p99<300ms", "failed_joins_share<1%", "oversold==0")
    return Result(
        scenario="show",
        about="A whole evening: viewers come in, chat, see cards, reserve when a deal opens, pay or let go.",
        load={"joins": "open", "chat": "open", "cards": "open", "taps": "closed", "payments": "closed"},
        parameters={"viewers": VIEWERS, "ramp_seconds": 30, "chat_per_second": 20.0, "deals": 2, "units": 650},
        target="http://127.0.0.1:8180",
        own_server=True,
        server_version="0.1.0",
        machine=(
            "AMD EPYC 7B13, 2 cores for us, 8 GiB memory, Linux 6.1.0",
            "Python 3.11.2, uvicorn 0.54.0, uvloop 0.23.0, websockets 17.4, redis 8.1.0, msgspec 0.22.0",
        ),
        started_at="2026-11-22T19:58:04Z",
        seconds=float(seconds),
        phases=_phases(seconds),
        samples=tuple(tally.rows),
        histograms=totals.encoded(),
        latencies=latencies,
        counters=counters,
        facts=facts,
        thresholds=tuple(judge(one, latencies, counters, facts) for one in merge(thresholds, ())),
        check=CheckResult(
            checked={
                "viewers": 10_000,
                "answers": 6_412,
                "holds": 1_206,
                "orders": 611,
                "events": 184,
                "stretches": 10_842,
            },
            counts=dict.fromkeys(KINDS, 0),
            breaches=(),
            complete=True,
        ),
        stop=Stop("nothing", "Nothing was at its limit: the server carried this load.", ("web 0.71 of 1 core",)),
        generators=(
            GeneratorHealth("bench-1", 4101, "native", 0.0, 0.0, 0.58, 61.2, 2_310.0, 3, 9_412_334, 5_061, 65_536),
            GeneratorHealth("bench-2", 977, "native", 18_204.5, 96.0, 0.61, 63.9, 2_870.0, 5, 9_399_120, 5_060, 65_536),
        ),
        warnings=(),
        conclusive=True,
        complete=True,
        findings={},
    )


def breached(seed: int = 7) -> Result:
    """The same evening against harder promises."""
    result = evening(seed)
    wanted = merge(("state_p99<20ms", "talk_p99<500ms", "join_p99<5ms", "oversold==0", "catch_up_p99<2s"), ())
    judged = tuple(judge(one, result.latencies, result.counters, result.facts) for one in wanted)
    stop = Stop(
        "server",
        "The web process had no CPU left: 0.99 of its core for 14 s, from 0:58 on.",
        ("web 0.99 of 1 core from 0:58 to 1:12", "generators at most 0.61 of a core each", "Redis 0.22 of a core"),
    )
    return msgspec.structs.replace(result, thresholds=judged, stop=stop)


def wrong_stock(seed: int = 7) -> Result:
    """The same evening, and the books are wrong."""
    result = evening(seed)
    assert result.check is not None
    history = (
        "0:58.214  viewer sim-00412 asked to reserve 1 of velvet-lip-104 (request r-00412-1)",
        "0:58.231  answered: held, ticket 401",
        "0:58.229  viewer sim-07731 asked to reserve 1 of velvet-lip-104 (request r-07731-1)",
        "0:58.244  answered: held, ticket 402 </script><script>alert(1)</script>",
        "the deal has 400 units; 402 were held or sold at once",
    )
    check = msgspec.structs.replace(
        result.check,
        counts={**result.check.counts, "oversold": 2, "unanswered": 1},
        breaches=(
            Breach("oversold", "velvet-lip-104 was promised 402 times; it has 400 units.", history),
            Breach("unanswered", "Viewer sim-00977 asked at 1:02.118 and nobody ever answered.", history[:1]),
        ),
    )
    return msgspec.structs.replace(result, check=check)


def inconclusive(seed: int = 7) -> Result:
    """The generator was too slow."""
    return msgspec.structs.replace(
        evening(seed),
        conclusive=False,
        stop=Stop("generator", "Generator 2 used 0.99 of its core for 21 s.", ("loop lag p99 61 ms, bound 25 ms",)),
        warnings=("Generator 2 (bench-2) lagged: start more with --workers, or join another host.",),
    )


def broken_off(seed: int = 7) -> Result:
    """The server went away in the middle; nothing was checked."""
    result = evening(seed, seconds=48)
    return msgspec.structs.replace(
        result,
        complete=False,
        check=None,
        stop=Stop("server", "The server closed every line at 0:47.", ()),
        warnings=("The server stopped answering at 0:47; its log ends with “killed”.",),
    )


def fan_out_only(seed: int = 7) -> Result:
    """A run without stock, chat, thresholds or checker: most of the report has nothing to show."""
    whole = evening(seed, seconds=20)
    kept = ("join", "state")
    counted = ("joins_planned", "joined", "frames", "state_frames", "state_received")

    def row_of(row: SampleRow) -> SampleRow:
        return msgspec.structs.replace(
            row,
            stock={},
            server={},
            latencies={name: one for name, one in row.latencies.items() if name in kept},
            counters={name: one for name, one in row.counters.items() if name in counted},
        )

    return msgspec.structs.replace(
        whole,
        scenario="fanout",
        load={"joins": "open", "cards": "open"},
        samples=tuple(map(row_of, whole.samples)),
        histograms={name: one for name, one in whole.histograms.items() if name in kept},
        latencies={name: one for name, one in whole.latencies.items() if name in kept},
        counters={name: one for name, one in whole.counters.items() if name in counted},
        thresholds=(),
        check=None,
        phases=(),
        generators=whole.generators[:1],
    )


def _phases(seconds: int) -> tuple[Phase, ...]:
    named = (
        ("come in", 0, 32), ("warm up", 32, 55), ("deal 1", 55, 85), ("Redis cut", 85, 92),
        ("deal 2", 92, 130), ("wind down", 130, 150),
    )  # fmt: skip
    return tuple(
        Phase(name, start * SECOND_US, min(end, seconds) * SECOND_US) for name, start, end in named if start < seconds
    )


def _rush(second: int) -> float:
    """Taps in this second: two deals open."""
    since = min((second - at for at in (57, 95) if second >= at), default=99)
    return 1_400 * 0.62**since if since < 20 else 0.0


def _second(rng: random.Random, second: int, generator: int, viewers: float, arriving: float, rush: float) -> Sampled:
    cut = 85 <= second < 92
    slow = 1 + viewers / 5_000 + rush / 120 + (6 if cut else 0)
    chat = round(rng.gauss(10, 2)) if second > 5 else 0
    card = second % 5 == 0
    histograms = {
        "join": _lognormal(rng, 9_000 * slow, 0.5, round(arriving)),
        "state": _lognormal(rng, 14_000 * slow, 0.35, 400 if card else 0, round(viewers / 400)),
        "talk": _lognormal(rng, 22_000 * slow, 0.4, 200, max(1, round(viewers * chat / 200))) if chat else Histogram(),
        "said": _lognormal(rng, 5_000 * slow, 0.4, chat),
        "reserve": _lognormal(rng, 6_000 * slow, 0.6, round(rush)),
        "release": _lognormal(rng, 4_000 * slow, 0.4, round(rush / 9)),
        "checkout": _lognormal(rng, 30_000 * slow, 0.5, round(rush / 4)),
        "pay": _lognormal(rng, 320_000, 0.5, round(rush / 5)),
        "late": _lognormal(rng, 280, 0.7, 300),
        "loop_lag": _lognormal(rng, 600, 0.8, 100),
    }
    state_frames = round(viewers) if card or rush > 50 else round(viewers * 0.2)
    talk_frames = round(viewers * 4) if chat else 0
    counters = {
        "joins_planned": round(arriving), "joined": round(arriving) - (1 if arriving and second == 20 else 0),
        "join_failed": 1 if arriving and second == 20 else 0,
        "join_failed.timed_out": 1 if arriving and second == 20 else 0,
        "state_frames": state_frames, "talk_frames": talk_frames, "frames": state_frames + talk_frames,
        "state_received": state_frames, "chat_planned": chat, "chat_sent": chat,
        "taps_planned": round(rush), "taps_sent": round(rush), "answers": round(rush * 0.6),
        "answers.held": round(rush * 0.6), "refused": round(rush * 0.4), "refused.400": round(rush * 0.36),
        "refused.409": 14 if cut else 0, "refused.401": round(rush * 0.04), "disconnects": 3 if second == 90 else 0,
        "disconnects.4001": 3 if second == 90 else 0, "returns": 3 if second == 91 else 0,
        "orders_confirmed": round(rush / 5), "checkouts": round(rush / 4), "late_sends": 2 if rush > 400 else 0,
        "bytes_in": (state_frames + talk_frames) * 310, "bytes_out": chat * 90 + round(rush) * 120,
    }  # fmt: skip
    gauges = {
        "in": float(round(viewers)), "outstanding": float(round(rush / 30)), "descriptors": viewers + 60,
        "cpu": min(0.98, 0.12 + viewers / 14_000 + rush / 9_000 + rng.uniform(-0.02, 0.02)),
        "rss_mib": 90 + viewers / 90,
    }  # fmt: skip
    return Sampled(
        second * SECOND_US + 4_000 * generator,
        {name: count for name, count in counters.items() if count},
        gauges,
        {name: one.encode() for name, one in histograms.items() if not one.is_empty},
    )


def _lognormal(rng: random.Random, median_us: float, sigma: float, times: int, each: int = 1) -> Histogram:
    histogram = Histogram()
    for _ in range(times):
        histogram.record(int(median_us * rng.lognormvariate(0, sigma)), max(1, each))
    return histogram


def _sell(rng: random.Random, stock: dict[str, list[int]], rush: float) -> None:
    for numbers in stock.values():
        taken = min(numbers[0], round(rush * 0.25))
        paying = min(numbers[1], round(numbers[1] * 0.12))
        sold = min(numbers[2], round(numbers[2] * 0.15) + (1 if numbers[2] and rng.random() < 0.4 else 0))
        back = min(numbers[1] - paying, round(numbers[1] * 0.02))
        numbers[0] += back - taken
        numbers[1] += taken - paying - back
        numbers[2] += paying - sold
        numbers[3] += sold
        numbers[4] = round(rush * 0.1)


def _server(rng: random.Random, viewers: float, rush: float) -> dict[str, float]:
    return {
        "web_cpu": min(0.99, 0.04 + viewers / 20_000 + rush / 4_000 + rng.uniform(-0.02, 0.02)),
        "worker_cpu": 0.05 + rush / 20_000 + rng.uniform(0, 0.01),
        "redis_cpu": 0.03 + rush / 9_000 + rng.uniform(0, 0.01),
        "loop_lag_ms": 1.2 + rush / 90,
        "sockets": float(round(viewers)),
        "web_rss_mib": 88 + viewers * 0.021,
    }
