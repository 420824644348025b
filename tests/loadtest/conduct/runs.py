"""Runs the load tester's command as people do, and reads what it left."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from loadtest.report.files import read_result
from loadtest.result import Result

# A bound for a run that hangs, not a measure.
RUN_SECONDS_MAX = 240.0


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    folder: Path

    @property
    def result(self) -> Result:
        return read_result(self.folder)

    @property
    def has_result(self) -> bool:
        return (self.folder / "result.json").exists()


async def start(folder: Path, *arguments: str, **environ: str) -> asyncio.subprocess.Process:
    """`python -m loadtest …` with its results in `folder`."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest", *arguments, "--plain", "--out", str(folder),
        env=dict(os.environ) | environ,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process, folder: Path) -> Ran:
    assert process.stdout is not None
    heard = b""
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            while piece := await process.stdout.read(2**16):
                heard += piece
            code = await process.wait()
    except TimeoutError:
        process.kill()
        raise AssertionError(f"it did not end:\n{heard.decode()}") from None
    return Ran(code, heard.decode(), folder)


async def ran(folder: Path, *arguments: str, **environ: str) -> Ran:
    return await ended(await start(folder, *arguments, **environ), folder)


async def until_said(process: asyncio.subprocess.Process, words: str) -> None:
    """Return once the run has said that; raises where it ends before."""
    assert process.stdout is not None
    heard = ""
    async with asyncio.timeout(RUN_SECONDS_MAX):
        while words not in heard:
            line = await process.stdout.readline()
            assert line, f"it ended before it said “{words}”:\n{heard}"
            heard += line.decode()
