"""Verified guests: whoever types the code that was sent to an e-mail address or a phone is the person behind it.

What arrives: a viewer and an address or a number, later the code. What leaves: a letter or a text, then the viewer
with an opaque word for where it went. The word is a keyed hash, the same for everybody who confirms the same
mailbox or phone, so limits can count a person over all her browsers; address and number are kept nowhere. Six
digits do, because five wrong ones end them.
"""

import hashlib
import hmac
import secrets
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import mail_codes, viewers
from livecommerce.people.accounts import clean_email
from livecommerce.people.attempts import Attempts
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.post import Post
from livecommerce.people.texts import TextGateway, clean_number
from livecommerce.settings import Settings

CODE_MINUTES = 15
TRIES_MAX = 5

# Subject and text by the shop's language.
_LETTERS = {
    "en": (
        "{code} is your code for {shop}",
        "Your code for {shop}: {code}\n\n"
        "It is good for {minutes} minutes. If it was not you who asked for it, leave it be.\n",
    ),
    "fr": (
        "{code} est votre code pour {shop}",
        "Votre code pour {shop} : {code}\n\n"
        "Il est valable {minutes} minutes. Si vous ne l’avez pas demandé, ne faites rien.\n",
    ),
    "zh-Hans": (
        "{shop}验证码：{code}",
        "您在{shop}的验证码：{code}\n\n{minutes} 分钟内有效。如非本人操作，请忽略此邮件。\n",
    ),
}
_TEXTS = {
    "en": "{code} is your code for {shop}. It is good for {minutes} minutes.",
    "fr": "{code} est votre code pour {shop}. Il est valable {minutes} minutes.",
    "zh-Hans": "您在{shop}的验证码：{code}，{minutes} 分钟内有效。",
}


class Verification:
    """Sends codes and takes them back."""

    def __init__(
        self, database: Database, attempts: Attempts, post: Post, texts: TextGateway, settings: Settings, clock: Clock
    ) -> None:
        self._database = database
        self._attempts = attempts
        self._post = post
        self._texts = texts
        self._settings = settings
        self._clock = clock
        self._key = hmac.digest(settings.secret.encode(), b"verified guests", "sha256")

    async def send(self, viewer: ViewerIdentity, email: str, address: str) -> None:
        """A code to this mailbox; an older one is worth nothing from now on. `address` is the client's.

        Refuses MALFORMED for what is no address, LOCKED_OUT with the time to wait, UNAVAILABLE where the letter did not
        go.
        """
        to = clean_email(email)
        await self._attempts.count_letter(to, address)
        words = await self._new_code(viewer, self.word_of(to))
        subject, text = _LETTERS.get(self._settings.locale, _LETTERS["en"])
        await self._post.send(to, subject.format(**words), text.format(**words))

    async def send_text(self, viewer: ViewerIdentity, phone: str, address: str) -> None:
        """As `send`, to a phone. Refuses MALFORMED for what is no number with its country, LOCKED_OUT, and UNAVAILABLE
        where the text did not go or nobody here carries any."""
        to = clean_number(phone)
        if not self._settings.has_texts:
            raise Refused(R.UNAVAILABLE)
        await self._attempts.count_text(to, address)
        words = await self._new_code(viewer, self.word_of_phone(to))
        await self._texts.send(to, _TEXTS.get(self._settings.locale, _TEXTS["en"]).format(**words))

    async def _new_code(self, viewer: ViewerIdentity, verified: str) -> dict[str, Any]:
        """Keep a new code in place of an older one; the words of the message that carries it."""
        code = f"{secrets.randbelow(10**6):06}"
        row = {
            "viewer_id": viewer.viewer_id,
            "code_hash": self._hash(viewer.viewer_id, code),
            "verified": verified,
            "tries": 0,
            "expires_at_ms": self._clock.now_ms() + CODE_MINUTES * 60_000,
        }

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(mail_codes).where(mail_codes.c.viewer_id == viewer.viewer_id))
            await connection.execute(insert(mail_codes).values(row))

        await self._database.write(work)
        return {"code": code, "shop": self._settings.shop_name, "minutes": CODE_MINUTES}

    async def confirm(self, viewer: ViewerIdentity, code: str) -> ViewerIdentity:
        """The viewer as a verified person. Refuses WRONG_CODE, and CODE_SPENT once it is old, used or guessed at too
        often: then she asks for another."""
        typed = self._hash(viewer.viewer_id, "".join(code.split()))
        now_ms = self._clock.now_ms()
        mine = mail_codes.c.viewer_id == viewer.viewer_id

        async def work(connection: AsyncConnection) -> str | None:
            row: Row[tuple[object, ...]] | None
            row = (await connection.execute(select(mail_codes).where(mine).with_for_update())).first()
            if row is None or row.expires_at_ms <= now_ms or row.tries >= TRIES_MAX:
                raise Refused(R.CODE_SPENT)
            if not hmac.compare_digest(row.code_hash, typed):
                await connection.execute(update(mail_codes).where(mine).values(tries=row.tries + 1))
                return None  # no refusal in here: it would undo the count
            await connection.execute(delete(mail_codes).where(mine))
            await connection.execute(
                update(viewers).where(viewers.c.id == viewer.viewer_id).values(verified=row.verified)
            )
            return str(row.verified)

        verified = await self._database.write(work)
        if verified is None:
            raise Refused(R.WRONG_CODE)
        return msgspec.structs.replace(viewer, verified=verified)

    def word_of(self, email: str) -> str:
        """The opaque word of a mailbox. What stands behind a plus is the same mailbox."""
        local, _, domain = email.rpartition("@")
        mailbox = f"{local.partition('+')[0]}@{domain}"
        return "v" + hmac.new(self._key, mailbox.encode(), hashlib.sha256).hexdigest()[:24]

    def word_of_phone(self, number: str) -> str:
        """The opaque word of a phone. A mailbox and a phone of one person are two words: nobody here could know."""
        return "v" + hmac.new(self._key, f"tel:{number}".encode(), hashlib.sha256).hexdigest()[:24]

    def _hash(self, viewer_id: str, code: str) -> str:
        return hmac.new(self._key, f"{viewer_id}\0{code}".encode(), hashlib.sha256).hexdigest()
