"""Text messages to phones: by whichever gateway the shop has, through one small interface.

What arrives: a number in the international form, a text. What leaves: one message, or a refusal: who asked for it is
told at once that it did not go. It keeps no number and logs none.

A gateway is whatever has `send`. Most sell an HTTP API of their own; what stands here posts {"to", "text"} as JSON
with a bearer token, which a few lines in front of any of them understand.
"""

import re
from typing import Protocol

import httpx
import structlog

from livecommerce.errors import R, Refused
from livecommerce.settings import SMS_PRINT, Settings

log = structlog.get_logger(__name__)

SEND_SECONDS_MAX = 10.0
_NUMBER = re.compile(r"\+[1-9]\d{6,14}\Z")  # E.164
_BETWEEN = re.compile(r"[\s().\-/]")


class TextGateway(Protocol):
    async def send(self, to: str, text: str) -> None:
        """Refuses UNAVAILABLE where the message did not go. Cancelled, it may go all the same."""


class HttpGateway:
    """Posts each message to one address; any 2xx means that it is on its way."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    async def send(self, to: str, text: str) -> None:
        try:
            async with httpx.AsyncClient(timeout=SEND_SECONDS_MAX) as client:
                answer = await client.post(self._url, json={"to": to, "text": text}, headers=self._headers)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            log.error("text_not_sent", why=type(error).__name__)
            raise Refused(R.UNAVAILABLE, after_ms=5000) from error


class PrintedTexts:
    """For development: what would go stands on the terminal."""

    async def send(self, to: str, text: str) -> None:
        print(f"text message to {to}: {text}", flush=True)


class NoTexts:
    """A server without a gateway."""

    async def send(self, to: str, text: str) -> None:
        raise Refused(R.UNAVAILABLE)


def gateway_for(settings: Settings) -> TextGateway:
    if not settings.sms_url:
        return NoTexts()
    return PrintedTexts() if settings.sms_url == SMS_PRINT else HttpGateway(settings.sms_url, settings.sms_token)


def clean_number(typed: str) -> str:
    """A number as +33612345678. Whether it is somebody's only a message to it could tell."""
    number = _BETWEEN.sub("", typed.strip())
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if not _NUMBER.match(number):
        raise Refused(R.MALFORMED, expected="a phone number with its country, such as +33 6 12 34 56 78")
    return number
