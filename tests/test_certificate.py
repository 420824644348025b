"""Our own certificate: made once, made anew for new names, its key readable by the owner only."""

import ssl
from pathlib import Path

from livecommerce.certificate import own_certificate


def test_it_is_kept_for_the_same_names_and_made_anew_for_others(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path, ["192.168.1.7"])
    first = certificate.read_bytes()

    own_certificate(tmp_path, ["192.168.1.7"])
    assert certificate.read_bytes() == first

    own_certificate(tmp_path, ["10.0.0.2", "shop.local"])
    assert certificate.read_bytes() != first
    assert key.stat().st_mode & 0o077 == 0


def test_a_server_can_use_it(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path, [])

    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
