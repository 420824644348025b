"""May this address of somebody else's stand in a page of ours as a picture? Checked when a show is planned.

What arrives: what a host typed. What leaves: the address as every browser reads it, or `Refused(VIDEO_ADDRESS)` that
says what is wrong and what to do. The server fetches nothing, now or later: viewers' browsers do. So what could be done
with a bad address is to make thousands of browsers call a machine of their own network or of the shop's; which is why
only names are taken whose every address is one of the public internet, in whatever form it is written. Addresses on
VIDEO_ORIGINS are the operator's own word.
"""

import ipaddress
import re
import unicodedata
from typing import Literal
from urllib.parse import SplitResult, urlsplit, urlunsplit

from livecommerce.errors import R, Refused
from livecommerce.public_address import is_public
from livecommerce.settings import Settings
from livecommerce.video.adapters.contract import Resolve

Why = Literal["form", "plain", "credentials", "private", "unknown", "video_id"]
_TEXTS: dict[Why, str] = {
    "form": "it must begin with https:// and name a server, as https://media.example.com/live/index.m3u8.",
    "plain": "it must begin with https://, since browsers load no picture over http into a page of https.",
    "credentials": "it has a name or password in it, which every viewer could read. Remove them.",
    "private": "it leads to this machine or a private network, where viewers cannot and must not go. Use an address of "
    "the public internet, or ask whoever runs this server to add it to VIDEO_ORIGINS.",
    "unknown": "no server of this name was found. Look for a typing mistake, or try again in a moment.",
    "video_id": "no video was found in it. Copy the link from YouTube's Share button.",
}
URL_LENGTH_MAX = 2000
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.ASCII)
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\<>\"^`{|}]")
_PORTS = {"https": 443, "http": 80}


def not_taken(why: Why) -> Refused:
    return Refused(R.VIDEO_ADDRESS, why=_TEXTS[why], facts={"of": why})


async def checked(url: str, settings: Settings, resolve: Resolve) -> str:
    """The address, tidied. Refuses VIDEO_ADDRESS."""
    parts, host, port = _read(url.strip())
    literal = f"[{host}]" if ":" in host else host
    own = port == _PORTS[parts.scheme]
    tidy = urlunsplit((parts.scheme, literal if own else f"{literal}:{port}", parts.path or "/", parts.query, ""))
    if origin_of(tidy) in settings.video_origins:
        return tidy
    if parts.scheme == "http" and settings.mode == "production":
        raise not_taken("plain")
    addresses = await _addresses(host, port, resolve)
    if settings.mode != "production" and all(ipaddress.ip_address(each).is_loopback for each in addresses):
        return tidy  # somebody tries it out on her own machine
    if not all(is_public(each) for each in addresses):
        raise not_taken("private")
    if parts.scheme == "http":
        raise not_taken("plain")
    return tidy


def origin_of(url: str) -> str:
    """`scheme://host` or `scheme://host:port`, as a policy of a page names it; "" where the address is our own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc and parts.scheme in _PORTS else ""


def _read(url: str) -> tuple[SplitResult, str, int]:
    """(the parts, the host, the port). What two programs could read in two ways is no address."""
    if len(url) > URL_LENGTH_MAX or _NOT_IN_URLS.search(url):
        raise not_taken("form")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise not_taken("form") from None
    if parts.scheme not in _PORTS or not parts.netloc:
        raise not_taken("form")
    if "@" in parts.netloc:
        raise not_taken("credentials")
    return parts, _host(host, bracketed=parts.netloc.startswith("[")), port or _PORTS[parts.scheme]


def _host(text: str, *, bracketed: bool) -> str:
    """A host as browsers understand it: full-width letters become plain ones, numbers become addresses."""
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(text.replace("%", " ")))  # a zone means something on one machine alone
        except ValueError:
            raise not_taken("form") from None
    plain = unicodedata.normalize("NFKC", text).replace("。", ".").casefold().removesuffix(".")
    try:
        plain = plain.encode("idna").decode("ascii")
    except UnicodeError:
        raise not_taken("form") from None
    if not _HOST.fullmatch(plain) or len(plain) > 253:
        raise not_taken("form")
    return _as_number(plain) or plain


def _as_number(host: str) -> str:
    """127.0.0.1 for `127.1`, `2130706433`, `0x7f000001`, `0177.0.0.1`; "" for a name. As the URL standard reads them:
    one to four numbers, the last of which fills what is left."""
    labels = host.split(".")
    if not re.fullmatch(r"\d+|0x[0-9a-f]*", labels[-1]):
        return ""
    try:
        numbers = [_number(label) for label in labels]
    except ValueError:
        raise not_taken("form") from None
    *firsts, last = numbers
    if len(numbers) > 4 or any(each > 255 for each in firsts) or last >= 256 ** (5 - len(numbers)):
        raise not_taken("form")
    whole = last + sum(each << (24 - 8 * place) for place, each in enumerate(firsts))
    return str(ipaddress.IPv4Address(whole))


def _number(label: str) -> int:
    if label.startswith("0x"):
        return int(label[2:] or "0", 16)
    if len(label) > 1 and label.startswith("0"):
        return int(label, 8)
    return int(label)


async def _addresses(host: str, port: int, resolve: Resolve) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    if host == "localhost" or host.endswith(".localhost"):
        return ["127.0.0.1"]  # browsers ask nobody
    try:
        found = await resolve(host, port)
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise not_taken("unknown")
    return [each.partition("%")[0] for each in found]
