"""The generator's command: what is missing or refused is said in words, and the exit code tells."""

import asyncio
import os
import sys

import pytest
from click.testing import CliRunner

from loadtest.generate import __main__ as command
from loadtest.generate.link import listen


@pytest.mark.parametrize(
    ("arguments", "key", "words"),
    [
        ((), "k", "--join"),
        (("--join", "nowhere"), "k", "HOST:PORT"),
        (("--join", "127.0.0.1:9"), "", "LOADTEST_KEY"),
    ],
)
def test_a_bad_call_ends_before_anything_begins(arguments: tuple[str, ...], key: str, words: str) -> None:
    done = CliRunner().invoke(command.main, arguments, env={"LOADTEST_KEY": key})
    assert done.exit_code == 2
    assert words in done.output


def test_where_nobody_conducts_it_gives_up_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "JOIN_TRIES", 2)
    monkeypatch.setattr(command, "JOIN_AGAIN_SECONDS", 0.0)
    done = CliRunner().invoke(command.main, ("--join", "127.0.0.1:9"), env={"LOADTEST_KEY": "k"})
    assert done.exit_code == 1
    assert "No conductor answers at 127.0.0.1:9" in done.output


async def test_with_another_key_it_ends_with_the_conductors_words() -> None:
    async with await listen("127.0.0.1", 0, "the key of this run") as links:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtest.generate", "--join", f"127.0.0.1:{links.port}",
            env=dict(os.environ) | {"LOADTEST_KEY": "another key"}, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await process.communicate()
    assert process.returncode == 1
    assert b"The key is not the one of this run" in said
    assert b"Traceback" not in said
