"""Which addresses are this machine's own. What arrives: an address or a host's name. What leaves: yes or no."""

import contextlib
import ipaddress
import socket


def is_this_machine(address: str) -> bool:
    """True for loopback and for the addresses of our own interfaces."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return is_this_machine(str(parsed.ipv4_mapped))
    if parsed.is_loopback or parsed.is_unspecified:
        return True
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as plug, contextlib.suppress(OSError):
        # Sends nothing: the kernel only chooses a route, and one to our own address starts at that same address.
        plug.connect((address, 9))
        return str(parsed) == str(ipaddress.ip_address(plug.getsockname()[0].partition("%")[0]))
    return False


def addresses_of(host: str, port: int = 0) -> list[str]:
    """All addresses the name leads to, in the order in which they are tried. Raises `OSError`. Blocks."""
    rows = socket.getaddrinfo(host, port or None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def is_loopback(host: str) -> bool:
    """True where the name leads to the very host that asks. Blocks."""
    try:
        return all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in addresses_of(host))
    except OSError:
        return False


def is_ipv4_loopback(host: str) -> bool:
    """True where the name leads to 127.… first: connections are then made over IPv4. Blocks."""
    try:
        first = ipaddress.ip_address(addresses_of(host)[0].partition("%")[0])
    except OSError:
        return False
    return first.version == 4 and first.is_loopback
