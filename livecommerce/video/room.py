"""Room on the disk for files beside a recording: enough of it stays free, and nothing half made stays for ever.

What arrives: a folder, and what somebody means to write there. What leaves: whether there is room, and the folder
without what processes left that were killed at it. It does not know what the files are.
"""

import contextlib
import shutil
import time
from pathlib import Path

FREE_BYTES_MIN = 1 << 30
# Without a byte for so long, an upload is none any more.
_LEFT_BEHIND_SECONDS = 3600.0


def has_room(folder: Path, size: int) -> bool:
    """Whether `size` more bytes leave enough of the disk. Raises `FileNotFoundError` where the folder is gone."""
    return shutil.disk_usage(folder).free - size >= FREE_BYTES_MIN


def sweep(folder: Path, pattern: str, kept: Path | None = None) -> None:
    """Remove what was left half made an hour ago, but not `kept`."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if path != kept and time.time() - path.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                path.unlink()
