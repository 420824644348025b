"""Small C files beside our Python: compiled on first use, kept by what they are made of, loaded through ctypes.

What arrives: a source file. What leaves: the loaded library, or `CannotBuild` with the reason, in words for a person.
Nothing here is needed: whoever uses it has the same in Python for machines without a compiler. It does not know what
the files do.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

_FLAGS = ("-O2", "-std=c11", "-Wall", "-Wextra", "-shared", "-fPIC")
_COMPILERS = ("cc", "gcc", "clang")
_COMPILE_SECONDS_MAX = 60


class CannotBuild(Exception):
    """The compiled half cannot be had on this machine; the words say why."""


def compiled(source: Path, what: str) -> ctypes.CDLL:
    """The library of that C file, built now where no earlier run left it; `what` is its name, also for people.

    Kept in the user's cache by the hash of source and flags, so that one that was built needs no compiler any more;
    where no cache can be used (read-only, full, no home), built for this process alone. Raises `CannotBuild`.
    """
    flags = [*_FLAGS, *shlex.split(os.environ.get("CFLAGS", "")), str(source)]
    recipe = "\0".join((*flags[:-1], platform.machine())).encode()
    name = f"{what}-{hashlib.sha256(source.read_bytes() + recipe).hexdigest()[:24]}.so"
    try:
        return _cached(name, flags, what)
    except (OSError, RuntimeError):  # mounted without execution, too; or there is no home at all
        pass
    # Under a name of this process alone: a guessable one in a folder that all may write is an invitation.
    with tempfile.TemporaryDirectory(prefix="livecommerce-") as own:
        _compile(flags, Path(own) / name, what)
        try:
            return _load(Path(own) / name)
        except OSError as error:
            raise CannotBuild(f"the compiled {what} cannot be loaded: {error}") from error


def _compiler() -> str:
    found = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if found is None:
        raise CannotBuild(f"there is no C compiler ({', '.join(_COMPILERS)}) on this machine")
    return found


def _cached(name: str, flags: list[str], what: str) -> ctypes.CDLL:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livecommerce"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / name).exists():
        with tempfile.TemporaryDirectory(dir=folder) as making:
            _compile(flags, Path(making) / name, what)
            # In one step: another process that starts now finds a whole file or none.
            os.replace(Path(making) / name, folder / name)
    return _load(folder / name)


def _load(path: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(path), use_errno=True)


def _compile(flags: list[str], path: Path, what: str) -> None:
    command = [compiler := _compiler(), *flags, "-o", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired:
        raise CannotBuild(f"{compiler} took more than {_COMPILE_SECONDS_MAX} s") from None
    if done.returncode:
        first = next((row for row in done.stderr.splitlines() if "error" in row), done.stderr.strip()[:200])
        raise CannotBuild(f"{compiler} could not build the {what}: {first}")
