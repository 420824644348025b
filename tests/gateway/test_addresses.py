"""Where a request comes from: X-Forwarded-For counts only as far as trusted proxies wrote it."""

from dataclasses import replace

import pytest

from livecommerce.gateway.addresses import AddressMarks, address_group, client_address, is_loopback, was_forwarded
from livecommerce.settings import Settings, SettingsError, read_settings


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("198.51.100.9", [], (), "198.51.100.9"),
        ("198.51.100.9", ["1.2.3.4"], (), "198.51.100.9"),
        ("198.51.100.9", ["1.2.3.4"], ("10.0.0.0/8",), "198.51.100.9"),
        ("10.0.0.1", ["1.2.3.4"], ("10.0.0.0/8",), "1.2.3.4"),
        ("10.0.0.1", ["9.9.9.9, 1.2.3.4"], ("10.0.0.0/8",), "1.2.3.4"),
        ("10.0.0.1", ["9.9.9.9, 1.2.3.4, 10.0.0.2"], ("10.0.0.0/8",), "1.2.3.4"),
        ("10.0.0.1", ["9.9.9.9", "1.2.3.4"], ("10.0.0.0/8",), "1.2.3.4"),
        ("10.0.0.1", ["1.2.3.4:5678"], ("10.0.0.1",), "1.2.3.4"),
        ("10.0.0.1", ["[2001:db8::1]:443"], ("10.0.0.1",), "2001:db8::1"),
        ("10.0.0.1", ["nonsense"], ("10.0.0.1",), "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, <script>"], ("10.0.0.1",), "10.0.0.1"),
        ("::ffff:10.0.0.1", ["1.2.3.4"], ("10.0.0.0/8",), "1.2.3.4"),
        ("", ["1.2.3.4"], ("unix",), "1.2.3.4"),
        ("", ["1.2.3.4"], (), "unix"),
        ("::1", ["1.2.3.4"], ("127.0.0.0/8", "::1"), "1.2.3.4"),
    ],
)
def test_the_address_is_what_the_last_trusted_hop_saw(
    settings: Settings, peer: str, forwarded: list[str], trusted: tuple[str, ...], expected: str
) -> None:
    headers = [(b"X-Forwarded-For", line.encode()) for line in forwarded]
    assert client_address(headers, peer, replace(settings, trusted_proxies=trusted)) == expected
    assert client_address({"headers": headers}, peer, replace(settings, trusted_proxies=trusted)) == expected


def test_a_proxy_that_is_no_address_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="TRUSTED_PROXIES"):
        read_settings({"TRUSTED_PROXIES": "10.0.0.1,my-proxy"})


def test_one_customer_of_ipv6_is_one_group() -> None:
    assert address_group("2001:db8:1:2::5") == address_group("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert address_group("203.0.113.7") == "203.0.113.7"
    assert address_group("unix") == "unix"


def test_loopback_and_forwarding_are_told_apart() -> None:
    assert [is_loopback(name) for name in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "unix")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert was_forwarded([(b"x-forwarded-for", b"1.2.3.4")])
    assert not was_forwarded([(b"host", b"shop")])


def test_an_address_has_one_word_that_only_this_server_can_make() -> None:
    marks = AddressMarks("secret")
    assert marks.of("198.51.100.9") == AddressMarks("secret").of("198.51.100.9")
    assert marks.of("198.51.100.9") != marks.of("198.51.100.8")
    assert marks.of("198.51.100.9") != AddressMarks("another").of("198.51.100.9")
    assert "198" not in marks.of("198.51.100.9")


def test_one_customers_network_counts_as_one_address() -> None:
    marks = AddressMarks("secret")
    assert marks.of("2001:db8::1") == marks.of("2001:db8::ffff") != marks.of("2001:db8:0:1::1")
    assert marks.of("::ffff:198.51.100.9") == marks.of("198.51.100.9")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "unix", "", "nonsense"])
def test_what_stands_before_everybody_is_nobodys_address(address: str) -> None:
    assert AddressMarks("secret").of(address) == ""
