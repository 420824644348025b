"""One frozen record of settings, read from the environment once, checked as a whole, and handed down.

What arrives: environment variables (12-factor) and, where the command line gave one, the data folder. What leaves: a
`Settings`, or `SettingsError` that lists every problem at once. Secrets that are not given are made at the first
start and kept in the data folder, readable by its owner only. `livecommerce settings` prints the table below.
Nothing else in the project reads the environment.
"""

import contextlib
import dataclasses
import ipaddress
import os
import secrets
import zoneinfo
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Mode = Literal["demo", "development", "production"]


class SettingsError(Exception):
    """Settings that cannot work together; `problems` has a sentence for each, saying what to do."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _setting(env: str, about: str, default: Any = MISSING, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"env": env, "about": about, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Sizes in bytes and times in the unit that ends the name."""

    data: Path = _setting("LIVECOMMERCE_DATA", "folder that holds all state", Path("data"))
    mode: Mode = _setting("LIVECOMMERCE_MODE", "demo, development or production", "development")
    host: str = _setting("HOST", "address to listen on", "127.0.0.1")
    port: int = _setting("PORT", "port to listen on", 8080)
    public_url: str = _setting("PUBLIC_URL", "how people reach this server; links, QR codes and cookies follow it", "")
    redis_url: str = _setting(
        "REDIS_URL",
        "Redis >= 6.2 or Valkey: redis://, rediss://, unix://, redis+sentinel://host,host/master, "
        "redis+cluster://host; empty: a private Valkey in the data folder",
        "",
    )
    database_url: str = _setting("DATABASE_URL", "ledger; empty: SQLite in the data folder", "")
    web_processes: int = _setting("WEB_PROCESSES", "web processes under `serve`", 1)
    insecure: bool = _setting(
        "LIVECOMMERCE_INSECURE", "allow plain http on a network address (no phone cameras)", False
    )
    tls: bool = _setting(
        "LIVECOMMERCE_TLS", "serve https with a certificate of our own, kept in the data folder", False
    )

    shop_name: str = _setting("SHOP_NAME", "name of the shop", "livecommerce")
    currency: str = _setting("CURRENCY", "ISO 4217 code of all prices", "EUR")
    time_zone: str = _setting("TIME_ZONE", "time zone of shows and receipts", "Europe/Paris")
    locale: str = _setting("LOCALE", "language of the pages: en, fr or zh-Hans", "en")
    tax_basis_points: int = _setting("TAX_BASIS_POINTS", "tax rate in hundredths of a percent", 2000)
    tax_included: bool = _setting("TAX_INCLUDED", "prices include the tax", True)
    shipping_minor: int = _setting("SHIPPING_MINOR", "price of sending a parcel, minor units", 490)
    shipping_free_from_minor: int = _setting(
        "SHIPPING_FREE_FROM_MINOR", "parcels are free from this sum on; 0: never", 5000
    )

    payment_provider: str = _setting("PAYMENT_PROVIDER", "`test` moves no money and is refused in production", "test")
    hold_seconds_default: int = _setting("HOLD_SECONDS", "how long a hold lives unless the deal says otherwise", 300)
    pay_seconds_default: int = _setting("PAY_SECONDS", "how long a payment may take", 600)
    retry_seconds: int = _setting("PAY_RETRY_SECONDS", "at least this much is left for another try after a decline", 90)
    offer_seconds: int = _setting("OFFER_SECONDS", "how long an offer from the wait-list stands", 60)
    rebuild_seconds: int = _setting(
        "REBUILD_SECONDS", "after Redis lost history: how long processes and viewers may prove their holds", 5
    )

    mail_url: str = _setting(
        "MAIL_URL",
        "smtp(s)://user:password@host:port; empty: messages stay in the data folder",
        "",
        secret=True,
    )
    mail_from: str = _setting("MAIL_FROM", "sender of messages", "")
    sms_url: str = _setting(
        "SMS_URL", 'https address to which text messages are posted as {"to", "text"}; "print": to the terminal', ""
    )
    sms_token: str = _setting("SMS_TOKEN", "bearer token of that address", "", secret=True)

    shop_hold_seconds: int = _setting("SHOP_HOLD_SECONDS", "how long a bag of the web shop is kept", 900)
    shop_limit: int = _setting("SHOP_LIMIT", "units of one article in a bag of the web shop", 10)
    bag_minutes_max: int = _setting("BAG_MINUTES", "a bag that is changed again and again is kept no longer", 60)
    basket_hours_max: int = _setting("BASKET_HOURS", "the longest that an advisor may keep units for a customer", 24)
    try_on_hours: int = _setting("TRY_ON_HOURS", "how long an article waits at a counter to be tried: 24 to 48", 36)
    try_on_limit: int = _setting("TRY_ON_LIMIT", "articles one person may have waiting to be tried", 2)
    no_shows_max: int = _setting("NO_SHOWS", "after so many not tried, no more are set aside for a while; 0: always", 3)
    no_show_days: int = _setting("NO_SHOW_DAYS", "how long somebody who did not come is remembered for it", 30)

    secret: str = _setting("LIVECOMMERCE_SECRET", "signs tokens and cookies; made at first start", "", secret=True)
    webhook_secret: str = _setting("WEBHOOK_SECRET", "signs payment webhooks; made at first start", "", secret=True)
    metrics_token: str = _setting("METRICS_TOKEN", "bearer token for /metrics; empty: loopback only", "", secret=True)
    allowed_origins: tuple[str, ...] = _setting(
        "ALLOWED_ORIGINS", "further origins whose pages may connect, by comma", ()
    )
    trusted_proxies: tuple[str, ...] = _setting(
        "TRUSTED_PROXIES", "addresses or networks whose X-Forwarded-For counts", ()
    )

    sockets_max: int = _setting("SOCKETS_MAX", "sockets one web process takes", 20_000)
    http_lines_max: int = _setting("HTTP_LINES_MAX", "connections without a socket; the one idle longest goes", 8192)
    sockets_per_viewer_max: int = _setting("SOCKETS_PER_VIEWER", "sockets of one identity; the oldest goes", 5)
    sockets_per_address_max: int = _setting("SOCKETS_PER_ADDRESS", "sockets of one address; 0: no bound", 0)
    accepts_per_second: int = _setting("ACCEPTS_PER_SECOND", "new sockets a second, per process", 3000)
    outbox_bytes_max: int = _setting("OUTBOX_BYTES", "bytes that may wait for one viewer", 262_144)
    talk_tick_ms: int = _setting("TALK_TICK_MS", "chat is sent in ticks of this length", 100)
    talk_lines_per_second: int = _setting("TALK_LINES_PER_SECOND", "chat lines a room shows; 0: all", 10)
    talk_lines_per_second_phone: int = _setting("TALK_LINES_PHONE", "chat lines a phone gets", 3)
    banned_words: tuple[str, ...] = _setting("BANNED_WORDS", "words that no line of chat may contain, by comma", ())
    moderation_hook: str = _setting(
        "MODERATION_HOOK", "the shop's own judge of lines: an https address, or module:function of its own Python", ""
    )
    moderation_hook_secret: str = _setting(
        "MODERATION_HOOK_SECRET", "signs what is posted to MODERATION_HOOK", "", secret=True
    )
    moderation_hook_ms: int = _setting("MODERATION_HOOK_MS", "how long a verdict may take", 200)
    moderation_hook_fallback: Literal["allow", "hold", "refuse"] = _setting(
        "MODERATION_HOOK_FALLBACK", "where there is no verdict in time: allow, hold or refuse", "allow"
    )
    moderation_hook_private: bool = _setting(
        "MODERATION_HOOK_PRIVATE", "MODERATION_HOOK may be an address of this machine or its own network", False
    )
    ping_seconds: int = _setting("PING_SECONDS", "a sign of life is asked for this often", 25)
    hello_seconds: int = _setting("HELLO_SECONDS", "time for a new socket to say who it is", 10)
    drain_seconds: int = _setting("DRAIN_SECONDS", "a stopping process spreads its viewers' return over this time", 10)
    token_minutes: int = _setting("TOKEN_MINUTES", "life of a socket token; renewed on the live socket", 10)
    video_part_ms: int = _setting(
        "VIDEO_PART_MS", "length of a part of live video; 500 for near viewers, 1000 for a public shop", 500
    )
    rtmp_port: int = _setting("RTMP_PORT", "port for OBS and other encoders (usually 1935); 0: none", 0)
    srt_ports: str = _setting(
        "SRT_PORTS", "UDP ports for encoders that speak SRT, one a show, such as 9000-9009; empty: none", ""
    )
    video_origins: tuple[str, ...] = _setting(
        "VIDEO_ORIGINS",
        "origins of other video servers that are trusted whatever their address, such as https://cdn.example.com, by "
        "comma; their pieces may be played, too",
        (),
    )
    mediamtx_url: str = _setting("MEDIAMTX_URL", "where viewers reach the HLS of a MediaMTX; empty: there is none", "")
    mediamtx_ingest: tuple[str, ...] = _setting(
        "MEDIAMTX_INGEST",
        "where encoders reach it: rtmp(s)://host:port, srt://host:port, https://host:port for WHIP, by comma",
        (),
    )
    film_mb_max: int = _setting("FILM_MB", "the largest film that may be uploaded, megabytes", 2048)
    video_keep_seconds: int = _setting("VIDEO_KEEP_SECONDS", "a camera whose line broke may come back for so long", 10)
    video_slate_after_seconds: int = _setting(
        "VIDEO_SLATE_AFTER_SECONDS", "a slate goes over a camera's picture that is lost for so long; 0: never", 5
    )
    video_stall_seconds: int = _setting(
        "VIDEO_STALL_SECONDS", "an ffmpeg from which nothing comes for so long is replaced by a new one", 3
    )
    video_hours_max: int = _setting("VIDEO_HOURS", "the longest that one show may be filmed", 12)
    video_show_gib_max: int = _setting("VIDEO_SHOW_GIB", "what the recording of one show may take of the disk", 20)
    video_keep_days: int = _setting(
        "VIDEO_KEEP_DAYS", "recordings of shows that ended longer ago are removed, but for those kept; 0: never", 0
    )
    video_transcodes_max: int = _setting(
        "VIDEO_TRANSCODES", "videos converted at once per web process (VP8, VP9); each takes a third of a core", 2
    )
    rehearsals: bool = _setting("REHEARSALS", "in production: hand out passes for simulated viewers", False)
    embedded: bool = _setting("LIVECOMMERCE_EMBEDDED", "set by the supervisor: Redis is its own child", False)
    restarts: int = _setting("LIVECOMMERCE_RESTARTS", "set by the supervisor: how often this process was replaced", 0)
    process_name: str = _setting("LIVECOMMERCE_PROCESS", "set by the supervisor: what this process is called here", "")
    ready_fd: int = _setting(
        "LIVECOMMERCE_READY_FD", "set by the supervisor: where to say that this process serves", -1
    )
    log_level: str = _setting("LOG_LEVEL", "debug, info, warning or error", "info")
    log_json: bool = _setting("LOG_JSON", "logs as JSON lines (for machines) or text (for people)", False)

    @property
    def base_url(self) -> str:
        """Where people reach us, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def secure(self) -> bool:
        """True where people reach us by https: cookies are then marked secure."""
        return self.base_url.startswith("https://")

    @property
    def sql_url(self) -> str:
        """The ledger's address, SQLite in the data folder where none was given."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data.resolve() / 'ledger.sqlite3'}"

    @property
    def has_mail(self) -> bool:
        """Whether a message can reach anybody. Where nothing is real yet, one in the data folder does."""
        return bool(self.mail_url) or self.mode != "production"

    @property
    def has_texts(self) -> bool:
        """Whether a code can be sent to a phone."""
        return bool(self.sms_url)

    def srt_port_range(self) -> range:
        """The ports of SRT_PORTS. Raises `ValueError`."""
        if not self.srt_ports:
            return range(0)
        first, _, last = self.srt_ports.partition("-")
        ports = range(int(first), int(last or first) + 1)
        if not 1 <= len(ports) <= 100 or ports[0] < 1 or ports[-1] > 65535:
            raise ValueError("no range of ports")
        return ports

    @property
    def embedded_redis(self) -> bool:
        return not self.redis_url


def read_settings(environ: Mapping[str, str], **given: Any) -> Settings:
    """Settings from `environ`, where `given` (from the command line) wins. Raises `SettingsError` with all problems.

    Does not touch the disk: secrets stay empty until `with_secrets`.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        if given.get(setting.name) is not None:
            values[setting.name] = given[setting.name]
            continue
        text = environ.get(setting.metadata["env"])
        if text is None or text == "":
            continue
        try:
            values[setting.name] = _parse(setting, text)
        except ValueError as error:
            problems.append(f"{setting.metadata['env']}={text!r}: {error}")
    settings = Settings(**values)
    problems += _problems(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _parse(setting: "Field[Any]", text: str) -> Any:
    default: Any = setting.default
    kind = type(default)
    if kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise ValueError("expected yes or no")
    if kind is int:
        try:
            return int(text)
        except ValueError:
            raise ValueError("expected a whole number") from None
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(default, Path):
        return Path(text)
    return text


# What must be greater than nothing for the server to make sense at all.
_AT_LEAST = {
    "web_processes": 1, "sockets_max": 1, "accepts_per_second": 1, "outbox_bytes_max": 16_384, "talk_tick_ms": 10,
    "ping_seconds": 1, "hello_seconds": 1, "token_minutes": 1, "hold_seconds_default": 5, "pay_seconds_default": 30,
    "sockets_per_viewer_max": 1, "tax_basis_points": 0, "shipping_minor": 0, "shipping_free_from_minor": 0,
    "talk_lines_per_second": 0, "talk_lines_per_second_phone": 0, "drain_seconds": 0, "retry_seconds": 0,
    "offer_seconds": 1, "sockets_per_address_max": 0, "rebuild_seconds": 1, "shop_hold_seconds": 60, "shop_limit": 1,
    "bag_minutes_max": 1, "basket_hours_max": 1, "try_on_hours": 24, "try_on_limit": 1, "no_shows_max": 0,
    "no_show_days": 1, "http_lines_max": 16, "moderation_hook_ms": 1, "video_part_ms": 200, "video_keep_seconds": 1,
    "video_hours_max": 1, "film_mb_max": 1, "video_transcodes_max": 0,
    "video_slate_after_seconds": 0, "video_stall_seconds": 1, "video_show_gib_max": 1, "video_keep_days": 0,
}  # fmt: skip
# A shelf is not a cloakroom: an article that waits longer than this is not tried any more.
_AT_MOST = {"try_on_hours": 48}
_WEAK = {"", "secret", "changeme", "change-me", "password", "default", "test"}
SMS_PRINT = "print"
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def _problems(settings: Settings) -> list[str]:
    problems = [
        f"{_env(name)} must be at least {least}, and is {getattr(settings, name)}."
        for name, least in _AT_LEAST.items()
        if getattr(settings, name) < least
    ]
    problems += [
        f"{_env(name)} must be at most {most}, and is {getattr(settings, name)}."
        for name, most in _AT_MOST.items()
        if getattr(settings, name) > most
    ]
    if settings.mode not in ("demo", "development", "production"):
        problems.append("LIVECOMMERCE_MODE must be demo, development or production.")
    if not 0 <= settings.port <= 65535:
        problems.append("PORT must be from 0 to 65535.")
    if not 0 <= settings.rtmp_port <= 65535:
        problems.append("RTMP_PORT must be from 0 to 65535.")
    if len(settings.currency) != 3 or not settings.currency.isalpha() or not settings.currency.isupper():
        problems.append("CURRENCY must be three capital letters, such as EUR, CNY or USD.")
    if settings.time_zone not in zoneinfo.available_timezones():
        problems.append(f"TIME_ZONE {settings.time_zone!r} is not known; expected one such as Europe/Paris.")
    if settings.locale not in ("en", "fr", "zh-Hans"):
        problems.append("LOCALE must be en, fr or zh-Hans.")
    if settings.log_level not in ("debug", "info", "warning", "error"):
        problems.append("LOG_LEVEL must be debug, info, warning or error.")
    if settings.mail_url:
        mail = urlsplit(settings.mail_url)
        if mail.scheme not in ("smtp", "smtps") or not mail.hostname:
            problems.append("MAIL_URL must be smtp://host:port or smtps://user:password@host:port.")
        if "@" not in settings.mail_from:
            problems.append("MAIL_FROM must be the address that messages come from, where MAIL_URL is given.")
    problems += _hook_problems(settings) + _video_problems(settings)
    if settings.sms_url and settings.sms_url != SMS_PRINT:
        sms = urlsplit(settings.sms_url)
        if not sms.hostname or (sms.scheme != "https" and (sms.scheme != "http" or sms.hostname not in _LOOPBACK)):
            problems.append('SMS_URL must begin with https:// (http:// to this machine), or be "print".')
    if settings.public_url and urlsplit(settings.public_url).scheme not in ("http", "https"):
        problems.append("PUBLIC_URL must begin with http:// or https://.")
    if settings.database_url and not settings.database_url.startswith(
        ("sqlite+aiosqlite:///", "postgresql+asyncpg://")
    ):
        problems.append("DATABASE_URL must begin with sqlite+aiosqlite:/// or postgresql+asyncpg://.")
    problems += _redis_problems(settings.redis_url)
    problems += _proxy_problems(settings)
    problems += _network_problems(settings) + (_production_problems(settings) if settings.mode == "production" else [])
    return problems


def _video_problems(settings: Settings) -> list[str]:
    problems = [
        f"VIDEO_ORIGINS: {origin!r} is no origin; expected https://host or https://host:port, without a path."
        for origin in settings.video_origins
        if not _is_origin(origin)
    ]
    problems += [
        f"MEDIAMTX_INGEST: {base!r} cannot be sent to; expected rtmp(s)://, srt:// or https://host:port."
        for base in settings.mediamtx_ingest
        if urlsplit(base).scheme not in ("rtmp", "rtmps", "srt", "https", "http") or not urlsplit(base).hostname
    ]
    media = urlsplit(settings.mediamtx_url)
    if settings.mediamtx_url and (media.scheme not in ("http", "https") or not media.hostname or media.query):
        problems.append("MEDIAMTX_URL must be https://host:port, where viewers reach its HLS.")
    elif media.scheme == "http" and settings.mode == "production":
        problems.append("MEDIAMTX_URL must be https in production: a page of https loads no picture over http.")
    try:
        settings.srt_port_range()
    except ValueError:
        problems.append("SRT_PORTS must be one port or two with a hyphen, such as 9000-9009: at most 100 of them.")
    return problems


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}"


def _redis_problems(url: str) -> list[str]:
    if not url:
        return []
    # Read where it is used: whoever only reads settings needs no client of Redis.
    from livecommerce.hot_state import read_address

    try:
        read_address(url)
    except ValueError as error:
        return [f"REDIS_URL: {error}."]
    return []


def _proxy_problems(settings: Settings) -> list[str]:
    problems = []
    for entry in settings.trusted_proxies:
        try:
            if entry != "unix":
                ipaddress.ip_network(entry, strict=False)
        except ValueError:
            problems.append(
                f"TRUSTED_PROXIES: {entry!r} is no address or network; expected 10.0.0.1, 10.0.0.0/8 or unix."
            )
    return problems


def _network_problems(settings: Settings) -> list[str]:
    open_to_network = settings.host not in _LOOPBACK
    if open_to_network and not settings.secure and not settings.insecure:
        return [
            f"HOST={settings.host} is reachable from the network without TLS: secure cookies and phone cameras will "
            "not work. Put a TLS proxy in front and set PUBLIC_URL=https://…, or set LIVECOMMERCE_TLS=yes, or accept "
            "plain http with LIVECOMMERCE_INSECURE=yes."
        ]
    return []


def lost_without_tls(settings: Settings) -> str:
    """What will not work on the address that is served, in a sentence; "" where it is https, or this machine alone."""
    if settings.secure or settings.host in _LOOPBACK:
        return ""
    return (
        "plain http on a network address: no secure cookies, so whoever is on the way can be anybody; no camera on "
        "phones; no copying by a button. Use --tls, or a proxy with PUBLIC_URL=https://…"
    )


def _production_problems(settings: Settings) -> list[str]:
    problems = []
    if settings.payment_provider == "test":
        problems.append("PAYMENT_PROVIDER=test moves no money and is refused in production; choose a real provider.")
    for name in ("secret", "webhook_secret"):
        value = getattr(settings, name)
        if value and is_weak(value):
            problems.append(f"{_env(name)} is weak: use 32 random characters or more (`openssl rand -hex 32`).")
    if settings.sms_url == SMS_PRINT:
        problems.append("SMS_URL=print sends nothing to anybody and is refused in production.")
    if settings.insecure:
        problems.append("LIVECOMMERCE_INSECURE is refused in production.")
    if not settings.secure:
        problems.append("PUBLIC_URL must be https:// in production (TLS by a proxy in front, see docs/deploy.md).")
    return problems


def is_weak(secret: str) -> bool:
    """True for what could be guessed: a known word, less than 32 characters, or nearly the same one throughout."""
    return secret.lower() in _WEAK or len(secret) < 32 or len(set(secret)) < 10


def _env(name: str) -> str:
    return str(next(f.metadata["env"] for f in fields(Settings) if f.name == name))


def with_secrets(settings: Settings) -> Settings:
    """The same settings with their secrets: the given ones, else those kept in the data folder, else new ones.

    Raises `SettingsError` where a kept one is empty, or weak in production: its file was written by somebody else.
    """
    kept = settings.data / "secrets"
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    values = {name: getattr(settings, name) or _kept_secret(kept / name) for name in ("secret", "webhook_secret")}
    problems = [
        f"{kept / name} is weak: put 32 random characters or more into it, or remove it to have a new one made."
        for name, value in values.items()
        if not value or (settings.mode == "production" and is_weak(value))
    ]
    if problems:
        raise SettingsError(problems)
    return dataclasses.replace(settings, secret=values["secret"], webhook_secret=values["webhook_secret"])


def _hook_problems(settings: Settings) -> list[str]:
    hook, problems = settings.moderation_hook, list[str]()
    if settings.moderation_hook_fallback not in ("allow", "hold", "refuse"):
        problems.append("MODERATION_HOOK_FALLBACK must be allow, hold or refuse.")
    if not hook:
        return problems
    if "://" not in hook:
        module, _, function = hook.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
            problems.append("MODERATION_HOOK must be an https address, or module:function.")
        return problems
    parts = urlsplit(hook)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        problems.append("MODERATION_HOOK must be an https address, or module:function.")
    elif parts.scheme == "http" and not settings.moderation_hook_private:
        problems.append("MODERATION_HOOK must be https; http only beside MODERATION_HOOK_PRIVATE=yes.")
    if len(settings.moderation_hook_secret) < 16:
        problems.append("MODERATION_HOOK_SECRET must have 16 characters or more where MODERATION_HOOK is an address.")
    return problems


def _kept_secret(path: Path) -> str:
    if not path.exists():
        # Written whole beside it, then linked: of two processes that start at once one link wins, and nobody ever
        # reads half a secret.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def settings_environ(settings: Settings) -> dict[str, str]:
    """The environment from which `read_settings` reads the same settings again. Secrets are not in it."""
    environ = {}
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        if setting.metadata["secret"] or value == setting.default:
            continue
        if isinstance(value, bool):
            environ[setting.metadata["env"]] = "yes" if value else "no"
        elif isinstance(value, Path):
            environ[setting.metadata["env"]] = str(value.resolve())
        else:
            environ[setting.metadata["env"]] = ",".join(value) if isinstance(value, tuple) else str(value)
    return environ


def settings_table(settings: Settings) -> list[tuple[str, str, str]]:
    """(variable, value now, what it is), secrets shown as "set" or "made at first start"."""
    rows = []
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        if setting.metadata["secret"]:
            shown = "(set)" if value else "(not set)"
        else:
            shown = ",".join(value) if isinstance(value, tuple) else str(value)
        rows.append((setting.metadata["env"], shown, setting.metadata["about"]))
    return rows
