"""Signatures of webhooks by the Standard Webhooks scheme: HMAC-SHA256 over `id.timestamp.body`.

What arrives: raw bytes, headers, the time. What leaves: headers, or the id of a message that is genuine and fresh. Own
code because the published package reads the machine's clock, and here every instant comes from `clock`; a test holds
the two against each other.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from livecommerce.errors import R, Refused

TOLERANCE_SECONDS = 300


def sign(secret: str, message_id: str, timestamp_seconds: int, body: bytes) -> str:
    """The signature as it stands in the header: `v1,` and base 64."""
    signed = f"{message_id}.{timestamp_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def signed_headers(secret: str, message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
    """All headers of a message."""
    at = now_ms // 1000
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(secret, message_id, at, body),
    }


def verify(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now_ms: int) -> str:
    """The message's id. Raises `Refused(SIGNATURE)` unless one of `secrets` signed it within 300 s of now.

    Several secrets: while one is being replaced, both are good. Compared in constant time.
    """
    message_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not message_id or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise Refused(R.SIGNATURE)
    if abs(now_ms // 1000 - int(stamp)) > TOLERANCE_SECONDS:
        raise Refused(R.SIGNATURE)
    given = headers.get("webhook-signature", "").encode()
    expected = [sign(secret, message_id, int(stamp), body).encode() for secret in secrets]
    if not any(hmac.compare_digest(one, good) for one in given.split(b" ") for good in expected):
        raise Refused(R.SIGNATURE)
    return message_id
