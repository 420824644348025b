"""The secrets that open a show's picture: stream keys, passphrases, and words in addresses with an end of their own.

What arrives: show ids. What leaves: secrets made from the server's own, so that none is stored; and whether one is
genuine. It does not know who may have them.
"""

import hashlib
import hmac

from livecommerce.clock import Clock
from livecommerce.ids import is_id
from livecommerce.settings import Settings

WORD_HOURS = 12


class Keys:
    """The same for as long as the server's secret is."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._key = hmac.digest(settings.secret.encode(), b"video", "sha256")
        self._clock = clock

    def word(self, show_id: str, *, staff: bool = False) -> str:
        """A word that opens this show's picture for some hours; with `staff` also what was filmed before the show."""
        until = (self._clock.now_ms() // 1000 + WORD_HOURS * 3600) // 3600 * 3600
        return f"{until:x}-{self._signature(show_id, until, staff)}"

    def opens(self, word: str, show_id: str, *, staff: bool = False) -> bool:
        """Whether a signed word opens this show now. One for staff is none for viewers, nor the other way round."""
        until, _, signature = word.partition("-")
        try:
            until_s = int(until, 16)
        except ValueError:
            return False
        wanted = self._signature(show_id, until_s, staff)
        return hmac.compare_digest(wanted.encode(), signature.encode()) and until_s * 1000 > self._clock.now_ms()

    def _signature(self, show_id: str, until_s: int, staff: bool) -> str:
        return self._signed(f"{'staff:' if staff else ''}{show_id}:{until_s}")[:32]

    def stream_key(self, show_id: str) -> str:
        """What an encoder is told to open this show with."""
        return f"{show_id}.{self._signed(f'key:{show_id}')[:24]}"

    def show_of_key(self, key: str) -> str:
        """The show that a stream key opens; "" for a wrong one."""
        show_id = key.partition(".")[0]
        genuine = is_id(show_id) and hmac.compare_digest(self.stream_key(show_id).encode(), key.encode())
        return show_id if genuine else ""

    def passphrase(self, show_id: str) -> str:
        """What both ends of an SRT line of this show know."""
        return self._signed(f"srt:{show_id}")[:32]

    def _signed(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
