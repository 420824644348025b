"""Run every case and write `docs/conformance.md`."""

import asyncio
import datetime
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import uvloop
from redis.asyncio import Redis

from livecommerce.settings import read_settings, with_secrets
from livecommerce.valkey_child import valkey_binary
from tests.conformance.cases import Case, cases
from tests.conformance.page import page
from tests.conformance.run import run
from tests.gateway.live import live

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


async def _run_all(folder: Path) -> list[tuple[Case, tuple[str, ...]]]:
    redis = Redis(unix_socket_path=str(folder / "s"))
    settings = with_secrets(read_settings({}, data=folder / "data", mode="development"))
    async with live(redis, settings) as one:
        results = [(case, await run(case, one)) for case in cases()]
    await redis.aclose()
    return results


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="lc-conformance-"))
    command = [
        str(valkey_binary()),
        "--port",
        "0",
        "--unixsocket",
        str(folder / "s"),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    valkey = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not (folder / "s").exists():
            assert valkey.poll() is None, "Valkey did not start"
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            results = runner.run(_run_all(folder))
    finally:
        valkey.terminate()
        valkey.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
    PAGE.write_text(page(results, datetime.datetime.now(datetime.UTC).date().isoformat()))
    wrong = [case for case, seen in results if seen != case.expect]
    for case in wrong:
        print(f"{case.category}: {case.name}", file=sys.stderr)
    print(f"{len(results) - len(wrong)} of {len(results)} cases as expected; {PAGE}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
