"""The merchant's page about moderation: its receiver runs as it stands there, and what it names exists."""

import re
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from livecommerce.clock import RealClock
from livecommerce.errors import R
from livecommerce.gateway.judge import JudgedLine, Verdict, judge_of
from livecommerce.protocol.from_host import AnyCommand
from livecommerce.settings import Settings, settings_table
from tests.gateway.test_judge import SECRET, hooked

PAGE = (Path(__file__).parents[2] / "docs" / "moderation.md").read_text()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The sample receiver of the page, on a free port."""
    monkeypatch.setenv("MODERATION_HOOK_SECRET", SECRET)
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    module: dict[str, Any] = {"__name__": "sample"}
    exec(compile(source, "docs/moderation.md", "exec"), module)
    server = ThreadingHTTPServer(("127.0.0.1", 0), module["Judge"])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def line(text: str, member: bool = False) -> JudgedLine:
    return JudgedLine("jdg_1", "shw_1", "chat", text, "Ada", "vw_1", member, 0)


async def test_the_sample_receiver_judges(receiver: str, settings: Settings) -> None:
    judge, close = judge_of(hooked(settings, receiver), RealClock())
    assert await judge(line("lovely")) == Verdict("allow")
    assert await judge(line("cheaper at LILA's")) == Verdict("refuse", reason="please, no prices of other shops.")
    assert await judge(line("a refund?")) == Verdict("hold", reason="asks about a refund")
    assert await judge(line("a refund?", member=True)) == Verdict("allow")
    assert judge.status == "well"
    await close()


async def test_the_sample_receiver_hears_nobody_with_another_secret(receiver: str, settings: Settings) -> None:
    forged = hooked(settings, receiver, moderation_hook_secret="another secret of some length")
    judge, close = judge_of(forged, RealClock())
    assert (await judge(line("cheaper at LILA's"))).verdict == "allow"  # the fallback
    assert judge.last_failure.endswith("it answered 401")
    await close()


def test_what_the_page_names_exists(settings: Settings) -> None:
    words = {row.value.word for row in R}
    table = PAGE.split("| check |")[1].split("\n\n")[0]
    for named in re.findall(r"`([a-z_]+)`", table):
        assert named in words, named
    variables = {name for name, _, _ in settings_table(settings)}
    assert set(re.findall(r"`(MODERATION_[A-Z_]+)`", PAGE)) <= variables
    commands = {str(kind.__struct_config__.tag) for kind in AnyCommand.__args__}  # type: ignore[attr-defined]
    for named in re.findall(r"`([a-z_]+)`", PAGE.split("/commands`:")[1].split(")")[0]):
        assert named in commands, named
