"""Is an address one of the public internet, and which addresses does a name have? Asked of what others hand in.

What arrives: an IP address in text, or a host's name. What leaves: yes or no; the addresses of a name. An address of
one kind may hide one of another (IPv4 within IPv6, in several ways), so what is inside is looked at, too. It fetches
nothing.
"""

import asyncio
import ipaddress
import socket

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def is_public(address: str) -> bool:
    """True for an address of the public internet; false for loopback, private, link-local, multicast and reserved."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return all(_is_global(each) for each in (ip, *_inside(ip)))


async def addresses_of(host: str, port: int) -> list[str]:
    """Every address of a name, each once, as the machine's resolver says. Raises `OSError` where there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


def _is_global(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip.sixtofour or ip in _NAT64:
            return True  # only what is inside counts
        if ip.is_site_local or ip.teredo:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _inside(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one leads to."""
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    found = [each for each in (ip.ipv4_mapped, ip.sixtofour) if each is not None]
    if ip in _NAT64 or ip in _COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return found
