"""One event of a show in sixteen bytes: two parties who got the same event, at the same place, have the same digest.

What arrives: an event with its place, as it travels. What leaves: hexadecimal text. It knows neither log nor socket;
server and load tester call the same function, so that they compare what was said and not how it was sent.
"""

from hashlib import blake2b

import msgspec

from livecommerce.protocol.facts import Stamped

DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode


def digest_of(stamped: Stamped) -> str:
    """The digest of offset, instant and event: 32 hexadecimal digits."""
    return blake2b(_encode(stamped), digest_size=DIGEST_BYTES).hexdigest()
