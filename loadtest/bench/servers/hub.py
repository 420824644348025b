"""Our web process as `livecommerce web` runs it, pinned to a core: `python -P hub.py FD CORE`.

The tree on PYTHONPATH is the version that is measured. Three numbers are raised: how often one socket may reserve and
speak (2 and 1 a second in the product), and how many lines one person may say within 15 s (20). 500 sockets could not
load a core otherwise. The checks themselves run, as all others do. BENCH_BATCH_MAX, where it is set, is how many
reservations share a call of the script at most.
"""

import os
import sys

from livecommerce.gateway.admission import CREDITS
from livecommerce.reservations import batcher
from livecommerce.rooms import moderation
from livecommerce.run import web
from livecommerce.settings import read_settings, with_secrets


def main(descriptor: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    CREDITS["reserve"] = CREDITS["say"] = (1e6, 1e6)
    moderation.FLOOD_LINES = 1_000_000
    batcher.BATCH_MAX = int(os.environ.get("BENCH_BATCH_MAX", batcher.BATCH_MAX))
    web(with_secrets(read_settings(os.environ)), descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
