"""The commands as a person types them."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from livecommerce.cli import main

COMMANDS = [
    ["serve"], ["web"], ["worker"], ["demo"], ["migrate"], ["import", "products"], ["user", "add"], ["user", "reset"],
    ["token"], ["verify-tickets"], ["settings"], ["doctor"], ["audit"], ["import"], ["user"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])

    assert result.exit_code == 0
    assert f"livecommerce {' '.join(command)}" in result.output


@pytest.mark.parametrize("command", ["web", "worker"])
def test_bare_processes_refuse_to_start_without_a_redis(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [command, "--data", str(tmp_path)], env={"REDIS_URL": ""})

    assert result.exit_code == 2
    assert "REDIS_URL is needed" in result.output


def test_production_with_the_test_provider_does_not_start(tmp_path: Path) -> None:
    environ = {"LIVECOMMERCE_MODE": "production", "PUBLIC_URL": "https://x.example"}
    result = CliRunner().invoke(main, ["serve", "--data", str(tmp_path / "d")], env=environ)

    assert result.exit_code == 2
    assert "moves no money" in result.output
    assert not (tmp_path / "d").exists()


def test_a_payment_provider_that_is_not_installed_does_not_start(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "--data", str(tmp_path)], env={"PAYMENT_PROVIDER": "nobody"})

    assert result.exit_code == 2
    assert "'nobody' is not installed" in result.output
    assert not (tmp_path / "ledger.sqlite3").exists()


def test_migrate_makes_the_ledger_and_then_has_nothing_to_do(tmp_path: Path) -> None:
    first = CliRunner().invoke(main, ["migrate", "--data", str(tmp_path)])
    second = CliRunner().invoke(main, ["migrate", "--data", str(tmp_path)])

    assert "from an empty database" in first.output
    assert "Nothing to do" in second.output


def test_settings_lists_every_variable(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["settings", "--data", str(tmp_path)])

    assert result.exit_code == 0
    assert "REDIS_URL" in result.output
    assert "HOLD_SECONDS" in result.output


def test_doctor_names_what_will_not_work_and_exits_1(tmp_path: Path) -> None:
    environ = {"REDIS_URL": "redis://127.0.0.1:1", "PORT": "0"}
    result = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path)], env=environ)

    assert result.exit_code == 1
    assert "correct REDIS_URL" in result.output


def test_doctor_leaves_no_trace(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path / "none"), "--port", "0"])

    assert "made at the first start" in result.output
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_weak_secrets_and_those_that_others_can_read(tmp_path: Path) -> None:
    kept = tmp_path / "secrets"
    kept.mkdir()
    (kept / "secret").write_text("secret")
    (kept / "secret").chmod(0o644)

    loose = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path), "--port", "0"])
    (kept / "secret").chmod(0o600)
    weak = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path), "--port", "0"])

    assert "readable by others" in loose.output
    assert "weak: secret" in weak.output


def test_doctor_survives_a_ledger_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.doctor._LEDGER_SECONDS_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        url = f"postgresql+asyncpg://shop:pass@127.0.0.1:{silent.getsockname()[1]}/shop"
        result = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path), "--port", "0"], env={"DATABASE_URL": url})

    assert result.exit_code == 1
    assert "no answer in time" in result.output


def test_a_ledger_that_is_no_database_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("garbage")

    result = CliRunner().invoke(main, ["migrate", "--data", str(tmp_path)])

    assert result.exit_code == 1
    assert "The ledger cannot be used" in result.output
    assert "Traceback" not in result.output
