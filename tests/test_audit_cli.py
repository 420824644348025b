"""`livecommerce audit` as a person types it: exit codes and words for what cannot be looked at."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from alembic import command
from click.testing import CliRunner, Result
from redis import Redis
from sqlalchemy import create_engine

from livecommerce.cli import main
from livecommerce.ledger.migrate import alembic_config
from livecommerce.protocol.facts import Hold
from tests.conservation import check_conservation
from tests.live_server import Deal, LiveServer, Watcher, command_line, live_server, live_show, merchant_folder

__all__ = ["merchant_folder"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A migrated ledger without a show."""
    folder = tmp_path / "data"
    assert CliRunner().invoke(main, ["migrate", "--data", str(folder)]).exit_code == 0
    return folder


def audit(data: Path, *arguments: str, redis: str = "") -> Result:
    return CliRunner().invoke(main, ["audit", "--data", str(data), *arguments], env={"REDIS_URL": redis})


def test_a_house_that_never_sold_adds_up(data: Path, valkey_socket: str) -> None:
    Redis(unix_socket_path=valkey_socket).flushall()
    result = audit(data, redis=f"unix://{valkey_socket}")

    assert result.exit_code == 0
    assert "Nothing was ever put up for sale" in result.output


def test_json_is_one_document(data: Path, valkey_socket: str) -> None:
    result = audit(data, "--json", redis=f"unix://{valkey_socket}")

    assert json.loads(result.output) == {"exit_code": 0, "shows": [], "plan": [], "repaired": []}


@pytest.mark.parametrize("arguments", [(), ("--repair",), ("--json",)])
def test_an_unknown_show_is_told(data: Path, valkey_socket: str, arguments: tuple[str, ...]) -> None:
    result = audit(data, "--show", "shw_none", *arguments, redis=f"unix://{valkey_socket}")

    assert result.exit_code == 2
    assert "There is no show shw_none." in result.output


def test_a_redis_that_is_away_is_told(data: Path) -> None:
    result = audit(data, redis="redis://127.0.0.1:1")

    assert result.exit_code == 2
    assert "Redis does not answer" in result.output
    assert "Traceback" not in result.output


def test_a_server_that_does_not_run_is_told(data: Path) -> None:
    result = audit(data)

    assert result.exit_code == 2
    assert "No server runs on" in result.output
    assert "livecommerce serve" in result.output


def test_a_folder_without_a_ledger_is_told_and_gets_no_trace(tmp_path: Path) -> None:
    result = audit(tmp_path / "wrong")

    assert result.exit_code == 2
    assert "There is no ledger in" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_of_an_earlier_version_is_told(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.commit()
    engine.dispose()
    result = audit(tmp_path)

    assert result.exit_code == 2
    assert "run `livecommerce migrate` first" in result.output


def test_a_ledger_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("garbage")
    result = audit(tmp_path)

    assert result.exit_code == 2
    assert "The ledger cannot be read" in result.output


@pytest.fixture(scope="module")
def server(merchant_folder: Path) -> Iterator[LiveServer]:
    with live_server(merchant_folder) as running:
        yield running


async def test_beside_a_server_that_runs_everything_adds_up(server: LiveServer) -> None:
    """On the data folder alone: the command finds that server's own Valkey, and `/metrics` says the same as it does."""
    async with live_show(server, Deal(20, limit=2)) as show:
        ((viewer_id, token),) = server.crowd(1)
        async with Watcher(show, viewer_id, token) as watcher:
            answer = await watcher.socket.reserve([(show.deals[0], 2)])
            assert isinstance(answer, Hold)
            await check_conservation(server, show.show_id)
            said = command_line("audit", "--data", str(server.data), "--show", show.show_id)
    assert "✓ 1 shows, 1 deals: every unit is in exactly one place." in said
    assert [line.split() for line in said.splitlines() if line.split()[:1] == ["Redis"]] == [
        ["Redis", "20", "18", "2", "0", "0"]
    ]  # fmt: skip
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        measures = (await client.get("/metrics")).text
    assert "livecommerce_audit_breaches" in measures
