"""Our web process as `livecommerce web` runs it, pinned to a core: `python -m loadtest.hub_process FD CORE`.

One number is raised: how often one socket may reserve (2 a second in the product). 500 sockets could not load a core
otherwise. The check itself runs, as all others do.
"""

import os
import sys

from livecommerce.gateway.admission import CREDITS
from livecommerce.run import web
from livecommerce.settings import read_settings, with_secrets


def main(descriptor: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    CREDITS["reserve"] = (1e6, 1e6)
    web(with_secrets(read_settings(os.environ)), descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
