"""Who may open a socket, how many, and how much each may send. Settled before anything is allocated for a viewer.

What arrives: the facts of a handshake (address, origin, cookie), the time. What leaves: nothing, or `Refused`.
Also here: the credits of one socket. It knows no token and no show.
"""

from collections import Counter
from collections.abc import Iterable

from livecommerce.errors import R, Refused
from livecommerce.gateway.addresses import address_group
from livecommerce.gateway.origins import Origins
from livecommerce.settings import Settings


class Bucket:
    """A token bucket: `per_second`, at most `burst` at once."""

    __slots__ = ("_at", "_tokens", "burst", "per_second")

    def __init__(self, per_second: float, burst: float, now_seconds: float) -> None:
        self.per_second = per_second
        self.burst = burst
        self._tokens = burst
        self._at = now_seconds

    def take(self, now_seconds: float) -> bool:
        tokens = self._tokens + (now_seconds - self._at) * self.per_second
        if tokens > self.burst:
            tokens = self.burst
        self._at = now_seconds
        if tokens < 1:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1
        return True

    @property
    def again_ms(self) -> int:
        return round(max(0.0, 1 - self._tokens) * 1000 / self.per_second)


# Nobody sent away comes back sooner, or is told to wait longer: the crowd is shorter then, or somebody looks into it.
TURN_SECONDS_MIN, TURN_SECONDS_MAX = 1.0, 20.0

# What one socket may send of each kind: (per second, at once). A page's ordinary use stays far below.
CREDITS: dict[str, tuple[float, float]] = {
    "hello": (0.2, 2),
    "token": (0.2, 3),
    "ping": (1, 10),
    "control": (2, 40),  # pings and pongs of the standard: ours are answered every 25 s, and hers are her library's
    "say": (1, 5),
    "vote": (2, 10),
    "react": (5, 20),
    "reserve": (2, 10),
    "release": (2, 10),
    "accept": (2, 10),
    "proof": (2, 48),  # twice what one viewer may hold
    "offer_seen": (2, 10),
    "delay": (0.1, 3),
}


class Credits:
    """The credits of one socket, each made at its first use."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def take(self, kind: str, now_seconds: float) -> None:
        """Spend one. Raises `Refused(TOO_MANY)` with the time until the next."""
        bucket = self._buckets.get(kind)
        if bucket is None:
            bucket = self._buckets[kind] = Bucket(*CREDITS[kind], now_seconds)
        if not bucket.take(now_seconds):
            raise Refused(R.TOO_MANY, after_ms=bucket.again_ms)


class Admission:
    """The door's count of this process: accepts a second, sockets in all, and sockets of one address."""

    def __init__(self, settings: Settings, now_seconds: float) -> None:
        self._settings = settings
        self._accepts = Bucket(settings.accepts_per_second, settings.accepts_per_second, now_seconds)
        self._addresses: Counter[str] = Counter()
        self._origins = Origins(settings)
        self._turn = now_seconds  # told to whoever was sent away last
        self.sockets = 0

    def check_origin(self, origin: str, host: str, cookie: str) -> None:
        """The page must be ours or on the list. Without an Origin only a program can be asking, and a program has no
        business with a browser's cookie."""
        if not origin:
            if cookie:
                raise Refused(R.ORIGIN)
            return
        if not self._origins.allows(origin, host):
            raise Refused(R.ORIGIN)

    def enter(self, address: str, now_seconds: float) -> None:
        """Count one socket in; each must be matched by `leave`. Raises `Refused` and counts nothing."""
        most = self._settings.sockets_per_address_max
        address = address_group(address)
        if self.sockets >= self._settings.sockets_max:
            raise Refused(R.SERVER_FULL, after_ms=5000)
        if most and self._addresses[address] >= most:
            raise Refused(R.TOO_MANY, after_ms=5000)
        if not self._accepts.take(now_seconds):
            raise Refused(R.TOO_MANY, after_ms=self._next_turn_ms(now_seconds))
        self.sockets += 1
        if most:
            self._addresses[address] += 1

    def _next_turn_ms(self, now_seconds: float) -> int:
        """Everybody who is sent away is told another moment, one after the other, at the rate at which they can be let
        in: told the same, they would all be back in the same moment and most be sent away again."""
        earliest, latest = now_seconds + TURN_SECONDS_MIN, now_seconds + TURN_SECONDS_MAX
        turn = min(latest, max(earliest, self._turn + 1 / self._settings.accepts_per_second))
        self._turn = turn
        return round((turn - now_seconds) * 1000)

    def leave(self, address: str) -> None:
        self.sockets -= 1
        address = address_group(address)
        if self._addresses.get(address, 0) > 1:
            self._addresses[address] -= 1
        else:
            self._addresses.pop(address, None)


def tokens_in(offered: Iterable[str]) -> str:
    """The token that travels as a further subprotocol, `token.<jwt>`; "" where there is none."""
    return next((each[6:] for each in offered if each.startswith("token.")), "")
