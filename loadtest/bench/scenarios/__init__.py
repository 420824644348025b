"""All benchmarks, in the order in which they are run and shown."""

from loadtest.bench.declared import Bench
from loadtest.bench.scenarios.chat import CHAT
from loadtest.bench.scenarios.engine import ENGINE
from loadtest.bench.scenarios.fan_out import FAN_OUTS
from loadtest.bench.scenarios.generator import GENERATORS
from loadtest.bench.scenarios.idle import IDLE
from loadtest.bench.scenarios.reservations import RESERVATIONS

BENCHES: tuple[Bench, ...] = (*FAN_OUTS, *RESERVATIONS, *ENGINE, CHAT, IDLE, *GENERATORS)
