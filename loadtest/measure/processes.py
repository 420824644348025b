"""Processes of this machine as /proc tells of them: who is whose child, who listens on a port, who accepts from it.

What arrives: process ids and ports. What leaves: facts of this instant; a process that ended meanwhile is left out. It
knows how a livecommerce server's processes are called, and starts, signals and changes nothing. Linux only.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Role = Literal["web", "worker", "redis"]
ROLES: tuple[Role, ...] = ("web", "worker", "redis")

_LISTENING = "0A"


def running() -> Iterator[tuple[int, int]]:
    """(pid, parent's pid) of all processes; what has ended and waits for its parent is left out."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    yield int(entry.name), int(parent)


def is_running(pid: int) -> bool:
    return any(pid == each for each, _ in running())


def children_of(parent: int) -> list[int]:
    return sorted(pid for pid, its_parent in running() if its_parent == parent)


def arguments_of(pid: int) -> list[str]:
    """Its command line; empty where it ended."""
    try:
        return [part for part in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0") if part]
    except OSError:
        return []


def role_of(pid: int) -> Role | None:
    """What the process is to a livecommerce server, by its command line."""
    arguments = arguments_of(pid)
    if "livecommerce" in arguments or any(part.endswith("/livecommerce") for part in arguments):
        return "web" if "web" in arguments else "worker" if "worker" in arguments else None
    # A running Valkey writes its own name and address over its arguments: one string.
    program = Path(arguments[0].split()[0]).name if arguments and arguments[0].split() else ""
    return "redis" if program.startswith(("valkey-server", "redis-server")) else None


def family_of(supervisor: int) -> dict[str, list[int]]:
    """The supervisor's children by role, those that run now."""
    children = [(pid, role_of(pid)) for pid in children_of(supervisor)]
    return {role: [pid for pid, its_role in children if its_role == role] for role in ROLES}


def listening_inodes(port: int) -> set[int]:
    """The sockets that listen on that TCP port here, whatever the address."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                columns = row.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(int(columns[9]))
    return inodes


def holders_of(inodes: set[int]) -> list[int]:
    """The processes that have one of these sockets open, as far as we may look into them."""
    return sorted(pid for pid, _ in running() if _descriptors_of(pid, inodes))


def accepts_from(pid: int, inodes: set[int]) -> bool:
    """True once an event loop of the process waits for new connections on one of these sockets."""
    listening = _descriptors_of(pid, inodes)
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fdinfo").iterdir():
            with contextlib.suppress(OSError):
                for row in descriptor.read_text().splitlines():
                    if row.startswith("tfd:") and int(row.split()[1]) in listening:
                        return True
    return False


def _descriptors_of(pid: int, inodes: set[int]) -> set[int]:
    named = {f"socket:[{inode}]" for inode in inodes}
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor) in named:
                    found.add(int(descriptor.name))
    return found
