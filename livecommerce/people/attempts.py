"""How often somebody tried: counters in Redis that end with their window, shared by all processes.

What arrives: who tried (told apart by keyed hashes, so that no e-mail or network address lies in Redis) and from
where. What leaves: nothing, or `Refused(LOCKED_OUT)` with the time left. An attempt is counted before it is checked,
so a burst of parallel guesses counts in full. It does not know whether an attempt was right until it is told.
"""

import hmac
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.settings import Settings

WINDOW_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class _Bound:
    """At most `most` attempts a window for one (kind, who)."""

    kind: str
    who: str
    most: int


# One person mistypes a few times; a shop behind one address has many people; and an account must stay reachable for
# its owner while strangers guess at it from elsewhere, so its own bound, over all addresses, is the widest per person.
PERSON_HERE_MAX = 6
ADDRESS_MAX = 60
ACCOUNT_MAX = 100
# Letters with a code: nobody's mailbox is filled by strangers, and no script sends in our name.
LETTERS_TO_ONE_MAX = 5
LETTERS_FROM_ONE_MAX = 60
# A text costs the shop money, and some numbers earn by it.
TEXTS_FROM_ONE_MAX = 20
# A hall full of people behind one address may come in together; a script that fills the viewers' table may not.
NEWCOMERS_MAX = 3000


class Attempts:
    """Counts logins per (e-mail, address), per address and per account; and newcomers per address."""

    def __init__(self, redis: Redis, settings: Settings, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._key = hmac.digest(settings.secret.encode(), b"attempts", "sha256")

    async def count(self, email: str, address: str) -> None:
        """Count one attempt. Raises `Refused(LOCKED_OUT)` where a bound is passed, `UNAVAILABLE` without Redis:
        a lock that cannot count must not stand open."""
        await self._count(_bounds(email, address))

    async def count_letter(self, email: str, address: str) -> None:
        """Count one letter to a mailbox, asked for from an address. Refuses as `count`."""
        await self._count(
            (_Bound("letter_to", email, LETTERS_TO_ONE_MAX), _Bound("letter_from", address, LETTERS_FROM_ONE_MAX))
        )

    async def count_text(self, number: str, address: str) -> None:
        """Count one text message to a phone, asked for from an address. Refuses as `count`."""
        await self._count(
            (_Bound("text_to", number, LETTERS_TO_ONE_MAX), _Bound("text_from", address, TEXTS_FROM_ONE_MAX))
        )

    async def _count(self, bounds: tuple[_Bound, ...]) -> None:
        window, left_ms = self._window()
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for bound in bounds:
                name = self._name(bound, window)
                pipeline.incr(name)
                pipeline.pexpire(name, WINDOW_MS)
            counts = (await pipeline.execute())[::2]
        except (RedisError, OSError):
            raise Refused(R.UNAVAILABLE, after_ms=1000) from None
        if any(count > bound.most for count, bound in zip(counts, bounds, strict=True)):
            raise Refused(R.LOCKED_OUT, after_ms=left_ms)

    async def count_newcomer(self, address: str) -> None:
        """Count a new viewer from this address. Raises `Refused(TOO_MANY)`. Without Redis nobody is counted: a show
        must be possible to enter while stock is away."""
        window, left_ms = self._window()
        name = self._name(_Bound("newcomer", address, NEWCOMERS_MAX), window)
        try:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.incr(name)
            pipeline.pexpire(name, WINDOW_MS)
            count = (await pipeline.execute())[0]
        except (RedisError, OSError):
            return
        if count > NEWCOMERS_MAX:
            raise Refused(R.TOO_MANY, after_ms=left_ms)

    async def forgive(self, email: str, address: str) -> None:
        """The attempt was right: this person starts from nothing again here."""
        window, _ = self._window()
        try:
            await self._redis.delete(self._name(_bounds(email, address)[0], window))
        except (RedisError, OSError):
            return  # the counter ends with its window anyway

    def _window(self) -> tuple[int, int]:
        """(number of the window, milliseconds left of it)."""
        now_ms = self._clock.now_ms()
        return now_ms // WINDOW_MS, WINDOW_MS - now_ms % WINDOW_MS

    def _name(self, bound: _Bound, window: int) -> str:
        who = hmac.new(self._key, bound.who.encode(), "sha256").hexdigest()[:24]
        return f"attempts:{bound.kind}:{who}:{window}"


def _bounds(email: str, address: str) -> tuple[_Bound, ...]:
    return (
        _Bound("person", f"{email}\0{address}", PERSON_HERE_MAX),
        _Bound("address", address, ADDRESS_MAX),
        _Bound("account", email, ACCOUNT_MAX),
    )
