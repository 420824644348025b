"""Where a request comes from: the peer's address, or what a trusted proxy says stands behind it. No I/O.

`X-Forwarded-For` is what anybody can write; its entries count only from the right, and only as long as the hop that
added them is on the list of trusted proxies. Uvicorn's own reading of proxy headers is to be off (`proxy_headers=
False`): it would put a forwarded address where this file expects the peer.
"""

import functools
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from livecommerce.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Headers = Iterable[tuple[bytes, bytes]]


def client_address(source: Mapping[str, Any] | Headers, peer: str, settings: Settings) -> str:
    """The client's address as text, or `peer` as it is where nothing better is proved.

    `source` is an ASGI scope, or raw headers (name, value) with names in any case. `peer` is who the socket is
    connected to; empty for a unix socket, which is trusted where `unix` is on the list of proxies.
    """
    headers: Headers = source["headers"] if isinstance(source, Mapping) else source
    trusted = _networks(settings.trusted_proxies)
    hop = peer or "unix"
    for claimed in reversed(_forwarded(headers)):
        if not _is_trusted(hop, trusted):
            break
        address = _parsed(claimed)
        if address is None:
            break
        hop = str(address)
    return hop


def is_loopback(address: str) -> bool:
    parsed = _parsed(address)
    return parsed is not None and parsed.is_loopback


def was_forwarded(source: Mapping[str, Any] | Headers) -> bool:
    """True where some proxy, trusted or not, says it stands between. Such a request is not "from this machine",
    whatever its peer is."""
    headers: Headers = source["headers"] if isinstance(source, Mapping) else source
    return any(name.lower() in (b"x-forwarded-for", b"forwarded", b"x-real-ip") for name, _ in headers)


def address_group(address: str) -> str:
    """What bounds count by: an IPv4 address, or the /64 that one IPv6 customer owns and may hop about in."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


class AddressMarks:
    """Opaque words for network addresses, for counting without keeping them: the same address has the same word on
    every process of this server, and nobody without its secret can tell which address it was."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"network addresses", "sha256")

    def of(self, address: str) -> str:
        """The word; "" for this machine itself and for what is no address: a proxy that is not on the list of trusted
        ones must not make one crowd of everybody behind it."""
        parsed = _parsed(address)
        if parsed is None or parsed.is_loopback:
            return ""
        return hmac.new(self._key, address_group(str(parsed)).encode(), "sha256").hexdigest()[:20]


def _forwarded(headers: Headers) -> list[str]:
    lines = [value.decode("latin-1") for name, value in headers if name.lower() == b"x-forwarded-for"]
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _is_trusted(hop: str, trusted: tuple[tuple[str, ...], tuple[Any, ...]]) -> bool:
    words, networks = trusted
    if hop in words:
        return True
    address = _parsed(hop)
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


@functools.lru_cache(maxsize=8)
def _networks(trusted_proxies: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    words = tuple(entry for entry in trusted_proxies if entry == "unix")
    return words, tuple(ipaddress.ip_network(entry, strict=False) for entry in trusted_proxies if entry != "unix")


@functools.lru_cache(maxsize=4096)  # each viewer's is looked at four times, and a proxy's is the same for all
def _parsed(text: str) -> Address | None:
    """An address, with or without the port that some proxies add; IPv4 in IPv6's clothes is IPv4."""
    bare = text
    if text.startswith("["):
        bare = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        bare = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
