"""All benchmarks, in the order in which they are run and shown."""

from loadtest.bench.declared import Bench
from loadtest.bench.scenarios.chat import CHAT
from loadtest.bench.scenarios.coming_back import COMING_BACK
from loadtest.bench.scenarios.engine import ENGINE
from loadtest.bench.scenarios.fan_out import FAN_OUTS
from loadtest.bench.scenarios.film_hour import FILM_HOURS
from loadtest.bench.scenarios.film_polling import FILM_POLLING
from loadtest.bench.scenarios.film_remux import FILM_REMUXES
from loadtest.bench.scenarios.generator import GENERATORS
from loadtest.bench.scenarios.idle import IDLE
from loadtest.bench.scenarios.overtaking import OVERTAKING
from loadtest.bench.scenarios.processes import PROCESSES
from loadtest.bench.scenarios.reservations import RESERVATIONS
from loadtest.bench.scenarios.slow_readers import SLOW_READERS

BENCHES: tuple[Bench, ...] = (
    *FAN_OUTS, OVERTAKING, *PROCESSES, SLOW_READERS, *RESERVATIONS, *ENGINE, CHAT, IDLE, COMING_BACK, *GENERATORS,
    *FILM_REMUXES, FILM_POLLING, *FILM_HOURS,
)  # fmt: skip
