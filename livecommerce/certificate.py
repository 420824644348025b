"""A certificate of our own, so that a phone on the same network gets https (and with it its camera).

What arrives: the data folder and the names people will use. What leaves: paths of a certificate and its key, made once
and renewed a month before they end. Browsers warn once, since nobody vouches for it; production uses a TLS proxy.
"""

import datetime
import ipaddress
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from livecommerce.settings import Settings

# Apple's platforms refuse server certificates that live longer than 825 days.
_DAYS = 397
_RENEW_DAYS_BEFORE = 30


def certificate_for(settings: Settings) -> tuple[Path, Path] | None:
    """(certificate, key) of a server with these settings; None where it does not serve https itself.

    Whoever starts several processes calls it first, so that all of them find the same one.
    """
    if not settings.tls:
        return None
    certificate, key = own_certificate(settings.data, [urlsplit(settings.base_url).hostname or "localhost"])
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)  # fails now, in words
    return certificate, key


def own_certificate(data: Path, names: list[str]) -> tuple[Path, Path]:
    """(certificate, key) as PEM files for `names` (host names and addresses), made anew where they do not fit."""
    folder = data / "tls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists() and _fits(certificate, names)):
        _make(certificate, key, names)
    return certificate, key


def _fits(path: Path, names: list[str]) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return left.days > _RENEW_DAYS_BEFORE and set(_alternative_names(names)) <= set(held)


def _make(certificate_path: Path, key_path: Path, names: list[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "livecommerce")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _alternative_names(names: list[str]) -> list[x509.GeneralName]:
    return [_alternative_name(name) for name in dict.fromkeys(["localhost", "127.0.0.1", *names])]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
