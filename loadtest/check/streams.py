"""Records as they lie in files, a record at a time; and records put in order by viewer, without having all in memory.

What arrives: the file of one generator's stream, or records one after another. What leaves: records. It knows nothing
of what they mean.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Self
from zlib import crc32

from loadtest.records import AnyRecord, encode, read

PIECE_BYTES = 1 << 20
# A long run has gigabytes of records. They are cut in so many parts, of which one at a time is read as a whole; each
# stays in memory up to so much, so that a short run writes no file at all.
PARTS = 64
PART_BYTES_IN_MEMORY = 1 << 20
_LENGTH_BYTES = 4

Owner = tuple[int, str]  # (generator, viewer)


def records_of(path: Path) -> Iterator[AnyRecord]:
    """All whole records of the stream in this file, in its order, with some MiB in memory; none where there is no such
    file, because its generator never sent any. A piece at the end, of a generator that died, is left out."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        rest = b""
        while piece := file.read(PIECE_BYTES):
            stream = rest + piece
            whole = _whole(stream)
            yield from read(stream[:whole])
            rest = stream[whole:]


def _whole(stream: bytes) -> int:
    """How many bytes at the beginning are whole records."""
    at = 0
    while len(stream) - at >= _LENGTH_BYTES:
        end = at + _LENGTH_BYTES + int.from_bytes(stream[at : at + _LENGTH_BYTES], "big")
        if end > len(stream):
            break
        at = end
    return at


class ByViewer:
    """Takes records as they come, gives them back viewer by viewer. A context manager: what it wrote is gone after."""

    def __init__(self) -> None:
        self._files = contextlib.ExitStack()
        self._parts: list[IO[bytes]] = [
            self._files.enter_context(SpooledTemporaryFile(PART_BYTES_IN_MEMORY))  # noqa: SIM115 - it is one
            for _ in range(PARTS)
        ]
        self._numbers: dict[Owner, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def put(self, owner: Owner, record: AnyRecord) -> None:
        number = self._numbers.setdefault(owner, len(self._numbers))
        packed = encode(record)
        self._parts[_part_of(owner)].write(number.to_bytes(4, "big") + len(packed).to_bytes(4, "big") + packed)

    def stories(self) -> Iterator[tuple[Owner, list[AnyRecord]]]:
        """Each viewer's records in the order in which they were put; the viewers of one part after another."""
        owners: list[list[Owner]] = [[] for _ in self._parts]
        for owner in self._numbers:
            owners[_part_of(owner)].append(owner)
        for part, theirs in zip(self._parts, owners, strict=True):
            stories = self._read(part)
            for owner in theirs:
                yield owner, list(read(bytes(stories.pop(self._numbers[owner]))))

    def _read(self, part: IO[bytes]) -> dict[int, bytearray]:
        part.seek(0)
        stories: dict[int, bytearray] = {}
        while head := part.read(8):
            number, size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
            stories.setdefault(number, bytearray()).extend(part.read(size))
        return stories


def _part_of(owner: Owner) -> int:
    return crc32(owner[1].encode()) % PARTS
