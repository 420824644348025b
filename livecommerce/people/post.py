"""Letters to people: by SMTP, or into the data folder where nothing is real yet.

What arrives: an address, a subject, a text. What leaves: one message, or a refusal: who asked for it is told at once
that it did not go. It keeps no address and logs none.
"""

import asyncio
import secrets
import smtplib
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

from livecommerce.errors import R, Refused
from livecommerce.settings import Settings

log = structlog.get_logger(__name__)

SEND_SECONDS_MAX = 10.0
_PORTS = {"smtp": 25, "smtps": 465}


class Post:
    """Sends one letter at a time for whoever waits for it; a thread of its own, as the library blocks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def folder(self) -> Path:
        """Where letters lie that nobody carries."""
        return self._settings.data / "mail"

    async def send(self, to: str, subject: str, text: str) -> None:
        """Refuses UNAVAILABLE where the letter did not go. Cancelled, it may go all the same."""
        try:
            letter = self._written(to, subject, text)
            if self._settings.mail_url:
                await asyncio.to_thread(self._carry, letter)
            elif self._settings.has_mail:
                await asyncio.to_thread(self._lay_down, letter)
            else:
                raise Refused(R.UNAVAILABLE)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            log.error("letter_not_sent", why=type(error).__name__)
            raise Refused(R.UNAVAILABLE, after_ms=5000) from error

    def _written(self, to: str, subject: str, text: str) -> EmailMessage:
        letter = EmailMessage()
        letter["From"] = self._settings.mail_from or "livecommerce@localhost"
        letter["To"] = to
        letter["Subject"] = subject
        letter.set_content(text)
        return letter

    def _carry(self, letter: EmailMessage) -> None:
        url = urlsplit(self._settings.mail_url)
        kind = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
        with kind(url.hostname or "", url.port or _PORTS[url.scheme], timeout=SEND_SECONDS_MAX) as server:
            if url.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls()
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(letter)

    def _lay_down(self, letter: EmailMessage) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / f"{secrets.token_hex(8)}.eml").write_bytes(bytes(letter))
