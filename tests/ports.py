"""A loopback port that is this process's alone until it ends: for servers whose port must be known before they listen.

Asking the kernel for "any port" and letting go of it is a race on a busy machine. The port lies among those that are
given to outgoing connections: one of the thousand sockets of another test may sit on it before our server does, and a
client that knocks early can even be joined to itself there, which keeps the server out and the client waiting. So ours
lie below those ports, and a name that the kernel frees with the process keeps other test runs off them.
"""

import contextlib
import random
import socket
from pathlib import Path

# The load test's own servers take theirs from the twelve thousand right below the kernel's.
_BELOW_FIRST, _BELOW_LAST = 20_000, 12_000
_FIRST_OF_KERNEL = 32_768
_dice = random.SystemRandom()  # Hypothesis seeds the other one, alike in every process
_held: list[socket.socket] = []


def free_port() -> int:
    """Nobody listens on it, and no other call, in this process or another, is given it while this process lives."""
    first = _first_of_kernel()
    candidates = list(range(max(1024, first - _BELOW_FIRST), max(1025, first - _BELOW_LAST)))
    _dice.shuffle(candidates)
    for port in candidates:
        with socket.socket() as plug, contextlib.suppress(OSError):
            _hold(port)
            plug.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no loopback port is free for a test's server")


def _hold(port: int) -> None:
    """Raises `OSError` where another call has it. A name of the abstract kind leaves no file behind."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0livecommerce-tests-port-{port}")
    except OSError:
        name.close()
        raise
    _held.append(name)


def _first_of_kernel() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return _FIRST_OF_KERNEL
