"""The floor's C, compiled on first use and kept by the hash of its source."""

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent / "floor.c"


def _compiler() -> str | None:
    return shutil.which("cc")


def why_no_compiler() -> str:
    """ "" where the library can be made, else why not."""
    if _compiler() is None:
        return "there is no C compiler here (Debian: gcc and libc6-dev)"
    try:
        floor_library()
    except subprocess.CalledProcessError as error:
        return f"the C compiler failed: {error.stderr.decode(errors='replace').strip()[:300]}"
    return ""


@functools.cache
def floor_library() -> Path:
    """The shared object. Raises `CalledProcessError` where the compiler refuses."""
    source = _SOURCE.read_bytes()
    folder = Path(tempfile.gettempdir()) / f"livecommerce-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    library = folder / f"floor-{hashlib.sha256(source).hexdigest()[:16]}.so"
    if not library.exists():
        made = library.with_suffix(f".{os.getpid()}")
        compiler = _compiler() or "cc"
        subprocess.run(
            [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(made), str(_SOURCE)],
            check=True,
            capture_output=True,
        )
        made.rename(library)  # in one step: another bench may be at it too
    return library
