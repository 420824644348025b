"""Which pages may speak to this server: the allow-list of origins. Text in, yes or no out.

A page of ours has our own address as its origin, or one that the settings add. While a shop is being built or shown
(development, demo) people reach one server under many names, so loopback counts too, and so does the host that the
request itself names, where that name cannot be a stranger's: a number, or a name that only the local network knows.
(A public name that the request brings along proves nothing: its owner can point it at this machine.)
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from livecommerce.settings import Settings

_LOCAL_ENDINGS = (".local", ".lan", ".home", ".internal", ".home.arpa", ".localhost")


class Origins:
    """The allow-list of one server."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = {_normal(urlsplit(settings.base_url))}
        self._allowed |= {_normal(urlsplit(origin)) for origin in settings.allowed_origins}
        self._building = settings.mode in ("development", "demo")

    def allows(self, origin: str, host: str = "") -> bool:
        """True where a page of `origin` may connect; `host` is the request's own Host header."""
        parts = _split(origin)
        if parts is None:
            return False
        if _normal(parts) in self._allowed:
            return True
        if not self._building:
            return False
        name = parts.hostname or ""
        if _is_loopback(name):
            return True
        return bool(host) and parts.netloc.lower() == host.lower() and _is_local(name)


def _split(origin: str) -> SplitResult | None:
    try:
        parts = urlsplit(origin)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    is_origin = parts.scheme in ("http", "https") and parts.hostname and not (parts.path or parts.query)
    return parts if is_origin and "@" not in parts.netloc else None


def _normal(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_local(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(_LOCAL_ENDINGS)
    return True
