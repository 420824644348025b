"""Addresses in a line of chat, and whose they are. Links lead to our own pages or nowhere.

What arrives: a line, and the hosts that are ours. What leaves: the first address that is not. An address counts
however it is written: without `http`, in other widths, with blanks, brackets or words for its dots. What stands before
an `@` in an address names no host, and a host that merely begins like ours is not ours. It opens nothing.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import urlsplit

from livecommerce.rooms.letters import INVISIBLE

# Endings that nobody writes by leaving out the blank behind a full stop …
_ENDINGS = (
    "com|net|org|info|biz|io|co|cn|ru|shop|store|xyz|top|link|app|fr|de|uk|ly|gg|tv|cc|hk|tw|jp|kr|eu|ca|ch|nl|pl|site|online|"
    "club|vip|dev|icu|cyou|click|website|tk|ml|ga|cf|gd|sh"
)
# … and any other ("nice.me too") needs what follows a name in an address.
_ANY_ENDING = "[a-z]{2,24}(?=/[^\\s/])"
# Borders and names in ASCII: in a language without blanks an address stands between letters.
_LETTER = "[a-z0-9_-]"
_WRITTEN_DOT = re.compile(
    r"\s*[\[({<（【]\s*(?:\.|dot|point|点)\s*[\])}>）】]\s*|(?<=\w)\s+(?:dot|点)\s+(?=\w)|(?<=[a-z0-9])点(?=[a-z]{2})",
    re.IGNORECASE,
)
_SPACED = re.compile(rf"(?<=\w)\s*\.\s*(?=(?:com|net|org)(?!{_LETTER}))|(?<=www)\s*\.\s*", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{1,15})\s*:\s*/\s*/\s*", re.IGNORECASE)
_WIDE_DOT = re.compile(r"(?<=[A-Za-z0-9])[。．｡](?=[A-Za-z]{2})")
_ADDRESS = re.compile(
    rf"(?:[a-z][a-z0-9+.-]{{1,15}}://[^\s]+|(?<!{_LETTER})(?<!{_LETTER}\.)(?:[a-z0-9_.+-]+@)?(?:www\.[a-z0-9_.-]+|{_LETTER}+(?:\.{_LETTER}+)*\.(?:"
    rf"(?:{_ENDINGS})(?!{_LETTER})|{_ANY_ENDING}))(?:[:/?#][^\s]*)?|(?<![0-9.])(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}(?::[0-9]+|/)\S*)",
    re.IGNORECASE | re.ASCII,
)
# Most lines have nothing that an address could not do without; those are told by one look.
_MAYBE = re.compile(r"[.:@。．｡․﹒：点]|dot|www", re.IGNORECASE)
_TRAIL = ".,;:!?)]}>\"'»”’）。，！？"


def hosts_of(addresses: Iterable[str]) -> frozenset[str]:
    """The hosts of origins ("https://shop.example"), addresses or bare names; `*.shop.example` is all below it."""
    found = set()
    for each in addresses:
        host = _host(each if "://" in each else f"https://{each}")
        if host:
            found.add(host)
    return frozenset(found)


def foreign_link(line: str, ours: frozenset[str] = frozenset()) -> str:
    """The first address in `line` that does not lead to one of `ours`, or ""."""
    if not _MAYBE.search(line):
        return ""
    text = _WIDE_DOT.sub(".", INVISIBLE.sub("", line))
    text = unicodedata.normalize("NFKC", text)
    text = _SPACED.sub(".", _WRITTEN_DOT.sub(".", _SCHEME.sub(r"\1://", text)))
    for found in _ADDRESS.finditer(text):
        address = found.group().rstrip(_TRAIL)
        if not _is_ours(address, ours):
            return address
    return ""


def _is_ours(address: str, ours: frozenset[str]) -> bool:
    if "://" not in address:
        if "@" in address.partition("/")[0]:
            return False  # an e-mail address leads away too
        address = f"https://{address}"
    elif not address.lower().startswith(("http://", "https://")):
        return False
    if "\\" in address:
        return False  # browsers read it as a slash, others as part of the name
    host = _host(address)
    return host in ours or any(each.startswith("*.") and host.endswith(each[1:]) for each in ours)


def _host(address: str) -> str:
    """Host and, where it is not the scheme's own, port: another port is another server."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    name = (parts.hostname or "").rstrip(".").lower()
    try:
        name = name.encode("ascii").decode()
    except UnicodeEncodeError:
        return ""  # ours are written in ASCII; a letter that looks like one of them is another place
    usual = {"http": 80, "https": 443}.get(parts.scheme.lower())
    return name if port in (None, usual) else f"{name}:{port}"
