"""The measures of all processes of a host in one answer: whoever is asked, asks the others of its data folder.

What arrives: a data folder, and what this process is called. What leaves: Prometheus' text, in which each sample names
its process. They are not added up here: a sum falls when a process ends, and `rate()` takes a fall for a fresh start
and counts everything once more. Whoever reads them adds up rates: `sum(rate(…))`.
Each process listens on a socket of its own beside the others', so a process that stands still is told as one that did
not answer. Nothing is written anywhere while nobody asks: the hot paths count in memory, as without this.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import string
import tempfile
from collections.abc import Iterator
from pathlib import Path

import structlog
from prometheus_client import disable_created_metrics, generate_latest

log = structlog.get_logger(__name__)

# When a counter began is told by its process' start; a series more for each would double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]

ANSWER_SECONDS_MAX = 0.5
_PATH_BYTES_MAX = 107  # of a unix socket
# What is said of the whole shop, by whoever is asked: of the others it would be as old as their last scrape.
_OF_THE_SHOP = ("livecommerce_redis_", "livecommerce_audit_", "livecommerce_web_processes")
_ANSWERED = "livecommerce_process_answered"


class HostMeasures:
    """This process among those of its host. `start` once it serves; the place is free again when the process ends."""

    def __init__(self, data: Path, name: str) -> None:
        self._folder = _folder_of(data)
        self._wanted = name
        self._lock = -1
        self._server: asyncio.Server | None = None
        self.name = name

    async def start(self) -> None:
        """Be there for the others. Where that cannot be, they answer without this one: no reason not to sell."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.name, self._lock = _take_place(self._folder, self._wanted)
            path = self._folder / f"{self.name}.sock"
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(_answer, path)
        except OSError as error:
            log.warning("measures_not_shared", error=type(error).__name__)

    async def aclose(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._lock >= 0:
            (self._folder / f"{self.name}.sock").unlink(missing_ok=True)
            os.close(self._lock)


async def measures_of_host(data: Path) -> bytes:
    """Everybody's, within half a second. Of one that did not answer there is `livecommerce_process_answered` 0 alone.

    Where no process shares its measures, those of this one.
    """
    folder = _folder_of(data)
    names = sorted(path.stem for path in folder.glob("*.lock") if _is_taken(path))
    texts = await asyncio.gather(*(_ask(folder / f"{name}.sock") for name in names))
    ours = generate_latest().decode()
    return merged(dict(zip(names, texts, strict=True)) or {"web": ours}, ours).encode()


def merged(pages: dict[str, str], ours: str) -> str:
    """One page of all: the samples of a family together, each with its process; those of the shop once, from `ours`."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for name, page in pages.items():
        for family, line in _lines(page):
            if family.startswith(_OF_THE_SHOP):
                continue
            if line.startswith("#"):
                heads.setdefault(family, [])
                if line not in heads[family]:
                    heads[family].append(line)
            else:
                samples.setdefault(family, []).append(_of_process(line, name))
    for family, line in _lines(ours):
        if family.startswith(_OF_THE_SHOP):
            (heads if line.startswith("#") else samples).setdefault(family, []).append(line)
    heads[_ANSWERED] = [f"# HELP {_ANSWERED} 1: it told its measures; 0: it stands still", f"# TYPE {_ANSWERED} gauge"]
    samples[_ANSWERED] = [f'{_ANSWERED}{{process="{name}"}} {float(page != "")}' for name, page in pages.items()]
    return "\n".join(line for family in heads for line in (*heads[family], *samples.get(family, ()))) + "\n"


def _lines(page: str) -> Iterator[tuple[str, str]]:
    """(family, line): a family begins with its HELP."""
    family = ""
    for line in page.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
        yield family, line


def _of_process(sample: str, name: str) -> str:
    metric, brace, rest = sample.partition("{")
    if brace:
        return f'{metric}{{process="{name}",{rest}'
    metric, _, value = sample.partition(" ")
    return f'{metric}{{process="{name}"}} {value}'


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.write(generate_latest())
        await writer.drain()
    writer.close()


async def _ask(path: Path) -> str:
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return (await reader.read(-1)).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""


# --- places -----------------------------------------------------------------------------------------------------------


def _take_place(folder: Path, wanted: str) -> tuple[str, int]:
    """(name, descriptor of its lock). The kernel frees it, however the process ends. While one is being replaced, both
    are there for a while: the second is called "web-1b"."""
    for letter in ("", *string.ascii_lowercase[1:]):
        descriptor = os.open(folder / f"{wanted}{letter}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return f"{wanted}{letter}", descriptor
    raise OSError(f"too many processes are called {wanted}")


def _is_taken(lock: Path) -> bool:
    with contextlib.suppress(OSError), lock.open("rb") as file:
        try:
            # Shared: two who look at the same time do not take each other for its owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _folder_of(data: Path) -> Path:
    """In the data folder, or in a short runtime folder where a socket's path would be too long."""
    folder = data.resolve() / "measures"
    if len(os.fsencode(folder)) + 32 <= _PATH_BYTES_MAX:
        return folder
    name = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"livecommerce-{os.getuid()}-{name}" / "measures"
