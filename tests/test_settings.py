"""Settings: read once, checked as a whole, secrets made once."""

from pathlib import Path

import pytest

from livecommerce.settings import SettingsError, read_settings, settings_environ, settings_table, with_secrets

PRODUCTION = {
    "LIVECOMMERCE_MODE": "production",
    "PUBLIC_URL": "https://live.example.com",
    "PAYMENT_PROVIDER": "stripe",
}


def test_an_empty_environment_gives_a_server_on_loopback_with_embedded_parts() -> None:
    settings = read_settings({})

    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.embedded_redis
    assert settings.sql_url.startswith("sqlite+aiosqlite:///")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"PORT": "many", "CURRENCY": "euro", "TIME_ZONE": "Mars/Olympus", "TAX_INCLUDED": "perhaps"})

    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("environ", "word"),
    [
        ({"PORT": "70000"}, "PORT"),
        ({"LOCALE": "tlh"}, "LOCALE"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"PUBLIC_URL": "ftp://x"}, "PUBLIC_URL"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"REDIS_URL": "http://x"}, "REDIS_URL"),
        ({"LIVECOMMERCE_MODE": "prod"}, "LIVECOMMERCE_MODE"),
        ({"OUTBOX_BYTES": "10"}, "OUTBOX_BYTES"),
        ({"HOST": "0.0.0.0"}, "LIVECOMMERCE_INSECURE"),
        (PRODUCTION | {"PAYMENT_PROVIDER": "test"}, "moves no money"),
        (PRODUCTION | {"LIVECOMMERCE_SECRET": "changeme"}, "weak"),
        (PRODUCTION | {"WEBHOOK_SECRET": "a" * 64}, "weak"),
        (PRODUCTION | {"PUBLIC_URL": "http://live.example.com"}, "https"),
        (PRODUCTION | {"LIVECOMMERCE_INSECURE": "yes"}, "INSECURE"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(environ: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ)

    assert any(word in problem for problem in caught.value.problems)


def test_sound_production_settings_are_taken() -> None:
    assert read_settings(PRODUCTION).secure


def test_the_command_line_wins_over_the_environment() -> None:
    assert read_settings({"PORT": "1000"}, port=2000).port == 2000


def test_the_environment_for_children_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    settings = read_settings(
        {"ALLOWED_ORIGINS": "https://a.example, https://b.example", "TAX_INCLUDED": "no"}, data=tmp_path, port=9000
    )

    assert read_settings(settings_environ(settings)) == settings


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = with_secrets(read_settings({}, data=tmp_path))
    second = with_secrets(read_settings({}, data=tmp_path))

    assert first.secret == second.secret
    assert len(first.secret) == 64
    assert first.secret != first.webhook_secret
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())


def test_a_given_secret_is_used_and_never_shown(tmp_path: Path) -> None:
    settings = with_secrets(read_settings({"LIVECOMMERCE_SECRET": "x" * 40}, data=tmp_path))

    assert settings.secret == "x" * 40
    assert not any("x" * 40 in value for _, value, _ in settings_table(settings))
    assert "LIVECOMMERCE_SECRET" not in settings_environ(settings)


def test_a_kept_secret_that_is_empty_or_weak_in_production_is_refused(tmp_path: Path) -> None:
    with_secrets(read_settings({}, data=tmp_path))
    kept = tmp_path / "secrets" / "webhook_secret"
    production = {"LIVECOMMERCE_MODE": "production", "PUBLIC_URL": "https://x.example", "PAYMENT_PROVIDER": "stripe"}
    for environ, value in (({}, ""), (production, "changeme")):
        kept.write_text(value)
        with pytest.raises(SettingsError) as refused:
            with_secrets(read_settings(environ, data=tmp_path))
        assert "webhook_secret is weak" in refused.value.problems[0]


def test_every_setting_is_documented() -> None:
    for variable, _, about in settings_table(read_settings({})):
        assert variable.isupper()
        assert len(about) > 10


def test_nothing_else_reads_the_environment() -> None:
    # The two that start a process hand os.environ to read_settings; the supervisor gives it to its children; what is
    # compiled follows the machine's conventions, CFLAGS and XDG_CACHE_HOME, which are no settings of ours.
    allowed = {"settings.py", "cli.py", "director.py", "supervisor.py", "compiled.py"}
    for path in Path("livecommerce").rglob("*.py"):
        if path.name not in allowed:
            assert "os.environ" not in path.read_text(), path


def test_times_that_no_deal_may_have_are_no_defaults_either() -> None:
    """Else every card without times of its own would be refused, and nobody would know why."""
    with pytest.raises(SettingsError) as error:
        read_settings({"HOLD_SECONDS": "4", "PAY_SECONDS": "29"})
    assert error.value.problems == [
        "HOLD_SECONDS must be at least 5, and is 4.",
        "PAY_SECONDS must be at least 30, and is 29.",
    ]


@pytest.mark.parametrize(("hours", "words"), [("23", "at least 24"), ("49", "at most 48")])
def test_an_article_waits_at_a_counter_for_a_day_or_two(hours: str, words: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings({"TRY_ON_HOURS": hours})
    assert error.value.problems == [f"TRY_ON_HOURS must be {words}, and is {hours}."]
