"""A film as long as wanted, as a camera page's recorder sends it: Matroska in chunks of 250 ms.

What arrives: how large and how heavy the picture is. What leaves: chunks with the moments they cover. ffmpeg makes
some seconds once; they are played again and again with times that go on, block by block, so that an hour costs nobody
an hour of encoding and every picture's moment is known exactly. It does not know servers.
"""

import functools
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from livecommerce.video.remux import find_ffmpeg

CHUNK_MS = 250
HD, SMALL = "1280x720", "640x360"  # as many bytes of either, so a small one does where only bytes matter
MIME = "video/webm;codecs=h264,opus"
_FRAMES_PER_SECOND = 30
# A little over a second apart, as Chromium's: keyframes at whole chunks would always wait equally long for their own.
_KEYFRAME_FRAMES = 31
_LOOP_FRAMES = 15 * _KEYFRAME_FRAMES  # the fewest that are whole chunks
LOOP_SECONDS = _LOOP_FRAMES / _FRAMES_PER_SECOND

_SEGMENT, _CLUSTER, _TIME, _SIMPLE, _GROUP, _BLOCK = (
    0x18538067, 0x1F43B675, 0xE7, 0xA3, 0xA0, 0xA1,
)  # fmt: skip
_OPENED = {_SEGMENT, _CLUSTER, _GROUP}  # what stands inside is read as if it stood alone
_PICTURE = b"\x81"  # ffmpeg's first track
_KEYFRAME = 0x80


@dataclass(frozen=True, slots=True)
class Chunk:
    """`end_ms`: where in the film it ends, on the film's own clock, which begins at 0."""

    data: bytes
    end_ms: int


@dataclass(frozen=True, slots=True)
class _Block:
    at_ms: int
    track: bytes
    flags: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Film:
    """`chunks` as often as wanted. It lasts `loop_ms` and begins again with its first picture."""

    head: bytes
    blocks: tuple[_Block, ...]
    loop_ms: int

    def chunks(self, seconds: float) -> Iterator[Chunk]:
        """So long a film. The first chunk has the head in front."""
        head = self.head
        slots = self._slots()
        for number in range(round(seconds * 1000 / CHUNK_MS)):
            start_ms = number * CHUNK_MS
            blocks = slots[number % len(slots)]
            behind_ms = start_ms % self.loop_ms
            body = b"".join(_simple(each, each.at_ms - behind_ms) for each in blocks)
            cluster = _element(_TIME, start_ms.to_bytes(8, "big")) + body
            yield Chunk(head + _element(_CLUSTER, cluster), start_ms + CHUNK_MS)
            head = b""

    def parts_end_ms(self, part_ms: float) -> list[float]:
        """Where in one round of the film a remuxer that copies the picture cuts: before a keyframe, and before the
        picture that is `part_ms` or more after the last cut. The last is the round's end, for a keyframe follows it."""
        pictures = [each for each in self.blocks if each.track == _PICTURE]
        cuts, begun_ms = [], 0.0
        for each in pictures[1:]:
            if each.flags & _KEYFRAME or each.at_ms - begun_ms >= part_ms:
                cuts.append(float(each.at_ms))
                begun_ms = each.at_ms
        return [*cuts, float(self.loop_ms)]

    def _slots(self) -> list[list[_Block]]:
        slots: list[list[_Block]] = [[] for _ in range(self.loop_ms // CHUNK_MS)]
        for block in self.blocks:
            slots[block.at_ms // CHUNK_MS].append(block)
        return slots


@functools.cache
def film(kilobits: int, size: str = SMALL) -> Film:
    """A moving test picture of 30 frames a second, and a tone."""
    made = made_by_ffmpeg(kilobits, size, "-c:a", "libopus", "-b:a", "96k", "-f", "matroska", "-live", "1")
    head, blocks = _read(made)
    first_ms = min(block.at_ms for block in blocks if block.track == _PICTURE)
    loop_ms = round(LOOP_SECONDS * 1000)
    moved = (_Block(max(0, each.at_ms - first_ms), each.track, each.flags, each.frame) for each in blocks)
    return Film(head, tuple(each for each in moved if each.at_ms < loop_ms), loop_ms)


def made_by_ffmpeg(kilobits: int, size: str, *rest: str) -> bytes:
    """`LOOP_SECONDS` of picture and sound in the container and with the sound that `rest` names."""
    path = find_ffmpeg()
    assert path is not None, "why_no_film is asked before"
    source = f"testsrc2=size={size}:rate={_FRAMES_PER_SECOND}"
    rate, times = f"{kilobits}k", str(_KEYFRAME_FRAMES)
    command = [
        path, "-v", "error", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=440:sample_rate=48000",
        "-frames:v", str(_LOOP_FRAMES), "-t", str(LOOP_SECONDS), "-c:v", "libx264", "-preset", "superfast",
        "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", times, "-b:v", rate, "-maxrate", rate, "-bufsize", rate,
        "-nal-hrd", "cbr", *rest, "pipe:1",
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=300).stdout


def why_no_film() -> str:
    """ "" where this machine can make one."""
    return "" if find_ffmpeg() else "there is no ffmpeg here (Debian: ffmpeg)"


# --- Matroska (RFC 9559), as much of it as blocks need --------------------------------------------------------------


def _read(data: bytes) -> tuple[bytes, list[_Block]]:
    """What stands before the first cluster, and all blocks of all clusters."""
    head, blocks, cluster_ms = b"", [], 0
    at = 0
    while at < len(data):
        begins, kind, at = at, *_number(data, at, keep_marker=True)
        size, at = _number(data, at, keep_marker=False)
        if kind == _CLUSTER and not head:
            head = data[:begins]
        if kind in _OPENED:
            continue
        if kind == _TIME:
            cluster_ms = int.from_bytes(data[at : at + size], "big")
        elif kind in (_SIMPLE, _BLOCK):
            blocks.append(_block(data[at : at + size], cluster_ms))
        at += size
    return head, blocks


def _number(data: bytes, at: int, *, keep_marker: bool) -> tuple[int, int]:
    """One of EBML's numbers, whose leading zeros tell its length; and where it ends."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length


def _block(data: bytes, cluster_ms: int) -> _Block:
    _, at = _number(data, 0, keep_marker=False)
    (after_ms,) = struct.unpack_from(">h", data, at)
    return _Block(cluster_ms + after_ms, data[:at], data[at + 2], data[at + 3 :])


def _simple(block: _Block, after_ms: int) -> bytes:
    return _element(_SIMPLE, block.track + struct.pack(">hB", after_ms, block.flags) + block.frame)


def _element(kind: int, body: bytes) -> bytes:
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + ((1 << 56) | len(body)).to_bytes(8, "big") + body
