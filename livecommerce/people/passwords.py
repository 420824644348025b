"""Passwords: argon2id hashes, made and checked off the event loop, a few at a time.

What arrives: a password and, to check it, the hash that is kept. What leaves: a hash, yes or no, or
`Refused(WEAK_PASSWORD)` with what is wrong. It does not know whose password it is, nor how often somebody tried.
"""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from livecommerce.errors import R, Refused

LENGTH_MIN = 10
# A longer one adds no safety and makes us hash whatever a stranger sends.
LENGTH_MAX = 200
_DISTINCT_MIN = 5
# Each hash takes 64 MiB and a core for some 50 ms: more than this at once and logins would starve the shows.
_AT_ONCE_MAX = 2
# What guessing programs try first among passwords that are long enough to pass the length check.
_COMMON_STEMS = (
    "password", "motdepasse", "qwertyuiop", "azertyuiop", "1234567890", "0123456789", "0987654321", "letmein",
    "iloveyou", "administrator", "welcome", "livecommerce", "changeme", "abcdefghij", "1q2w3e4r", "asdfghjkl",
)  # fmt: skip


class Passwords:
    """Hashes and checks; the hasher's parameters are inside each hash, so they may grow from year to year."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._room = asyncio.Semaphore(_AT_ONCE_MAX)
        self._decoy = ""

    async def hash(self, password: str) -> str:
        """The hash to keep. Cancelling the caller leaves a thread that ends by itself."""
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password: str, kept_hash: str | None) -> bool:
        """True where the password is the kept one. Without a hash the same work is done, and the answer is False:
        how long an answer takes must not tell which addresses have an account."""
        if kept_hash is None and not self._decoy:
            self._decoy = await self.hash("nobody has this password")
        async with self._room:
            right = await asyncio.to_thread(self._verify, kept_hash or self._decoy, password[:LENGTH_MAX])
        return right and kept_hash is not None

    def is_outdated(self, kept_hash: str) -> bool:
        """True where the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(kept_hash)

    def _verify(self, kept_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def refuse_weak(password: str, *known: str) -> None:
    """Raises `Refused(WEAK_PASSWORD)`; `known` are words an attacker knows of the person: e-mail address, name."""
    problem = _weakness(password, known)
    if problem:
        raise Refused(R.WEAK_PASSWORD, why=problem)


def _weakness(password: str, known: tuple[str, ...]) -> str:
    lowered = password.lower()
    if len(password) < LENGTH_MIN:
        return f"use {LENGTH_MIN} characters or more, three or four words for example"
    if len(password) > LENGTH_MAX:
        return f"use {LENGTH_MAX} characters at most"
    if len(set(lowered)) < _DISTINCT_MIN:
        return f"use at least {_DISTINCT_MIN} different characters"
    if any(_mostly(lowered, stem) for stem in _COMMON_STEMS):
        return "it is among the first that are tried"
    if any(_mostly(lowered, part) for word in known for part in _parts(word)):
        return "it is made of your name or e-mail address"
    return ""


def _mostly(password: str, stem: str) -> bool:
    """True where little is left of the password once the stem is taken out."""
    return stem in password and len(password.replace(stem, "")) < 6


def _parts(word: str) -> list[str]:
    lowered = word.lower().strip()
    pieces = [lowered, *lowered.replace("@", " ").replace(".", " ").replace("-", " ").split()]
    return [piece for piece in pieces if len(piece) >= 4]
