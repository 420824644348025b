"""The demo end to end on the real server, its story told faster: seeded, on air, one visitor, one round, one crowd."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from livecommerce.client.api import Api
from livecommerce.client.socket import Closed, ShowSocket
from livecommerce.demo.director import CLOSING_SECONDS, direct
from livecommerce.demo.programme import LIVE_TITLE, TO_COME
from livecommerce.demo.seed import cast_path, seed
from livecommerce.ending import end
from livecommerce.protocol.facts import Hold
from livecommerce.protocol.to_viewer import Own, Welcome
from livecommerce.settings import Settings, read_settings, with_secrets
from livecommerce.valkey_child import socket_path
from tests.live_server import LiveServer, live_server, until

# Seconds of the story in one of ours: a round's sixty are over in fifteen.
PACE = 4.0
BUYERS = 60


@pytest.fixture(scope="session")
def seeded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's shop, without its drawings: they take most of the time of a seed and nothing here looks at them."""
    data = tmp_path_factory.mktemp("demo") / "data"
    asyncio.run(seed(settings_on(data), lambda _: None, pictures=False))
    return data


def settings_on(data: Path, **given: Any) -> Settings:
    return with_secrets(read_settings({}, data=data, mode="demo", **given))


def test_a_second_seed_on_the_same_folder_changes_nothing(seeded_folder: Path) -> None:
    ledger, cast = seeded_folder / "ledger.sqlite3", cast_path(settings_on(seeded_folder))
    before = ledger.read_bytes(), cast.read_bytes()
    said: list[str] = []

    asyncio.run(seed(settings_on(seeded_folder), said.append))

    assert (ledger.read_bytes(), cast.read_bytes()) == before
    assert said == ["The shop is there already; what you made in it stays."]


class Rival:
    """The rival's phone as the demo page opens it: by a one-time code. `states` are those her hold went through."""

    def __init__(self, server: LiveServer, show_id: str, token: str) -> None:
        self.states: list[str] = []
        self._socket = ShowSocket(server.socket_url(show_id), token)

    async def watch(self) -> None:
        with contextlib.suppress(Closed):
            async for message in self._socket:
                match message:
                    case Own(hold=Hold(state=state)):
                        self._saw(state)
                    case Welcome(holds=holds):
                        for hold in holds:
                            self._saw(hold.state)

    def _saw(self, state: str) -> None:
        if self.states[-1:] != [state]:
            self.states.append(state)


@pytest.fixture
async def demo(seeded_folder: Path) -> AsyncIterator[tuple[LiveServer, Api]]:
    with live_server(seeded_folder, LIVECOMMERCE_MODE="demo") as server:
        redis_url = f"unix://{socket_path(server.data)}"
        directing = asyncio.create_task(direct(settings_on(server.data, port=server.port, redis_url=redis_url), PACE))
        try:
            async with Api(server.base_url) as api:
                yield server, api
        finally:
            await end([directing], CLOSING_SECONDS)


async def until_sum(api: Api, what: Any, why: str) -> dict[str, Any]:
    """The sum, once it is as wanted."""
    latest: dict[str, Any] = {}

    async def ask() -> None:
        while not what(latest):
            latest.update(await api.get("/api/demo/sum"))
            await asyncio.sleep(0.1)

    asking = asyncio.create_task(ask())
    try:
        await until(asking.done, why)
        await asking
    finally:
        asking.cancel()
    return latest


async def test_a_visitor_s_round_and_a_crowd(demo: tuple[LiveServer, Api]) -> None:
    server, api = demo
    await until_sum(api, lambda now: now.get("phase") == "story", "the demo to be on air")

    shows: Any = await api.get("/api/shows")
    assert [show["title"] for show in shows["live"]] == [LIVE_TITLE]
    public = {plan.title for plan in TO_COME if not plan.places}
    assert {show["title"] for show in shows["upcoming"]} >= public

    # A visitor arrives: a round of her own, and a rival who comes too late.
    arrived: Any = await api.post("/api/demo/arrive")
    assert arrived["story"][0]["key"] == "arrive"
    entered: Any = await api.post("/api/enter", {"code": arrived["rival_code"]})
    rival = Rival(server, arrived["show_id"], entered["token"])
    watching = asyncio.create_task(rival.watch())
    try:
        began_ms = arrived["arrived_at_ms"] - 2000
        now = await until_sum(
            api, lambda now: now.get("phase") == "sum" and now["story_began_ms"] > began_ms, "the round's sum"
        )
        assert (now["units"], now["held"] + now["sold"], now["oversold"]) == (24, 24, 0)
        assert now["taps"] >= 50
        await until(lambda: "held" in rival.states, f"the rival to hold what another gave up: {rival.states}")
        assert rival.states[:3] == ["waiting", "offered", "held"]

        await api.post("/api/demo/buyers", {"count": BUYERS})
        now = await until_sum(api, lambda now: now.get("buyers", {}).get("phase") == "over", "the crowd's answers")
        buyers = now["buyers"]
        assert (buyers["held"], buyers["sold_out"], buyers["oversold"]) == (50, BUYERS - 50, 0)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
