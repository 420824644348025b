"""Child processes that do not outlive their parent, however it dies: the kernel tells them.

What arrives: nothing but the moment between fork and exec. What leaves: a function for `preexec_fn`. The kernel ties
the promise to the thread that forked, so start such children from the main thread.
"""

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals = signal.SIGTERM, *, session: bool = True) -> Callable[[], None]:
    """Make it in the parent, run it in the child. `session`: a Ctrl+C in the terminal is the parent's alone."""
    parent = os.getpid()

    def in_child() -> None:
        if session:
            os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died between fork and prctl: nobody would tell us
            os._exit(1)

    return in_child
