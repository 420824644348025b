"""`python -m tests.fuzz` runs every target for a minute; `python -m tests.fuzz csv 600` one of them for ten.

With atheris what is new is found by coverage and stays in a folder of its own (`--keep FOLDER`); without it known
inputs are changed by chance. An input that breaks a promise is printed and left as `crash-…`.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
NAMES = ("frames", "message_msgpack", "message_json", "bodies", "csv", "headers", "talk", "rtmp", "connection")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=("all", *NAMES), default="all")
    parser.add_argument("seconds", nargs="?", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="folder for what atheris finds worth keeping")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.target == "all":
        keep = ["--keep", str(given.keep)] if given.keep else []
        runs = [[sys.executable, "-m", "tests.fuzz", name, str(given.seconds), *keep] for name in NAMES]
        return max(subprocess.run(run, check=False).returncode for run in runs)
    try:
        import atheris  # noqa: F401
    except ImportError:
        return _by_chance(given.target, given.seconds, given.seed)
    return _by_coverage(given.target, given.seconds, given.keep)


def _by_coverage(name: str, seconds: int, keep: Path | None) -> int:
    import atheris

    with atheris.instrument_imports(include=["livecommerce", "websockets"]):
        from tests.fuzz.targets import TARGETS
    with tempfile.TemporaryDirectory() as temporary:
        found = (keep or Path(temporary)) / name
        found.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=0"]
        atheris.Setup([name, *options, "-print_final_stats=1", str(found), str(CORPUS / name)], TARGETS[name])
        atheris.Fuzz()
    return 0


def _by_chance(name: str, seconds: int, seed: int) -> int:
    from tests.fuzz.change import changed
    from tests.fuzz.targets import TARGETS

    known = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    chance, until, tried = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = changed(chance.choice(known), chance)
        tried += 1
        try:
            TARGETS[name](data)
        except BaseException:
            Path(f"crash-{name}-{seed}-{tried}").write_bytes(data)
            print(f"{name}: {data!r}", file=sys.stderr)
            raise
    print(f"{name}: {tried} inputs in {seconds} s, none broke a promise")
    return 0


if __name__ == "__main__":
    sys.exit(main())
