"""Logs: one set-up for our own lines and for what libraries write, as text for people or JSON for machines.

What arrives: events with ids bound around them (request, show). What leaves: lines on stderr. No personal data: fields
that hold any are dropped by name, and error texts lose what looks like an e-mail or network address, because a
traceback repeats whatever was being handled. It does not know what happened, only how it is written down.
"""

import logging
import logging.config
import re
from collections.abc import MutableMapping
from typing import Any

import structlog

from livecommerce.settings import Settings

# What people are called, how they are reached, where they are, what they said, and what would let somebody be them.
PERSONAL = frozenset(
    {
        "name", "email", "e_mail", "address", "addresses", "ip", "client", "client_address", "remote_addr", "host_name",
        "phone", "contact", "contact_name", "street", "city", "postcode", "zip", "line", "text", "chat", "message_text",
        "question", "answer_text", "body", "raw", "payload", "cookie", "cookies", "headers", "authorization", "token",
        "renewal", "password", "code", "csrf", "secret", "key", "external_ref", "user_agent", "query",
    }
)  # fmt: skip
# Names that also stand for plain numbers: a close code, a line of a file.
_MAY_BE_NUMBERS = frozenset({"code", "line", "key"})
_MASKED = (
    (re.compile(r"[^\s@'\"(<,=:]+@[^\s@'\")>,]+"), "<e-mail>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "<address>"),
    (re.compile(r"(?<![\w.])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b"), "<address>"),
    # PostgreSQL repeats the values that broke a constraint.
    (re.compile(r"(Key \([^)]*\)=)\(.*?\)(?= (?:already exists|is not present))"), r"\1(<value>)"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"), "<token>"),
)
Event = MutableMapping[str, Any]


def set_up_logs(settings: Settings) -> None:
    """Set up structlog and the standard library's logging, once per process. Calling it again replaces the set-up."""
    level = settings.log_level.upper()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        drop_personal,
        mask_texts,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        else structlog.dev.ConsoleRenderer(colors=False, sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        "foreign_pre_chain": [structlog.stdlib.ExtraAdder(), *shared],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {
                # Its lines hold every client's address; `gateway/access.py` writes ours, without.
                "uvicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
                "uvicorn": {"level": level, "handlers": [], "propagate": True},
                "uvicorn.error": {"level": level, "handlers": [], "propagate": True},
                # They name every statement and every request they make.
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                "aiosqlite": {"level": "WARNING"},
                "asyncio": {"level": "WARNING"},
            },
        }
    )


def drop_personal(_logger: object, _method: str, event: Event) -> Event:
    """Take out every field whose name says that it holds personal data, in nested records too."""
    for name in [name for name, value in event.items() if _is_personal(name, value)]:
        del event[name]
    for name, value in event.items():
        event[name] = _without_personal(value)
    return event


def mask_texts(_logger: object, _method: str, event: Event) -> Event:
    """Mask what looks like an address or a pass in the texts that remain."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = masked(value)
    return event


def masked(text: str) -> str:
    for pattern, instead in _MASKED:
        text = pattern.sub(instead, text)
    return text


def _is_personal(name: str, value: Any) -> bool:
    lowered = name.lower()
    return lowered in PERSONAL and not (lowered in _MAY_BE_NUMBERS and isinstance(value, int))


def _without_personal(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if not _is_personal(str(name), inner)}
        return {name: _without_personal(inner) for name, inner in kept.items()}
    if isinstance(value, (list, tuple)):
        return [_without_personal(inner) for inner in value]
    return value
