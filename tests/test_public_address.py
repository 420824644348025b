"""Which addresses are of the public internet, however they are written."""

import pytest

from livecommerce.public_address import addresses_of, is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1::1", True), ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True), ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False),
        ("172.16.9.9", False), ("169.254.169.254", False), ("0.0.0.0", False), ("100.64.0.1", False),
        ("224.0.0.1", False), ("240.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False),
        ("fe80::1%eth0", False), ("fd00::1", False), ("fec0::1", False), ("ff02::1", False),
        ("::ffff:127.0.0.1", False), ("::ffff:a00:1", False), ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False), ("::127.0.0.1", False), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)  # fmt: skip
def test_private_addresses_are_known_in_every_form(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_a_name_has_each_of_its_addresses_once() -> None:
    found = await addresses_of("localhost", 443)

    assert found
    assert len(found) == len(set(found))
    assert not any(is_public(address) for address in found)
