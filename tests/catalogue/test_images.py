"""Pictures: what is taken, what is refused, and that fetching reaches the public web only."""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image

from livecommerce.catalogue.images import IMAGE_BYTES_MAX, Fetcher, ImageStore
from livecommerce.errors import R, Refused

HOST = "pictures.example"


def picture(size: tuple[int, int], kind: str = "JPEG", **how: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind, **how)
    return file.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


async def refused(waiting: Awaitable[object]) -> Refused:
    with pytest.raises(Refused) as caught:
        await waiting
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
async def test_pictures_become_webp_in_three_widths(store: ImageStore, kind: str) -> None:
    kept = await store.keep(picture((1920, 960), kind))
    assert (kept.width, kept.height) == (960, 480)
    for width in (160, 480, 960):
        path = await store.file(kept.name, width)
        assert path is not None
        with Image.open(path) as image:
            assert (image.format, image.size) == ("WEBP", (width, width // 2))


async def test_a_small_picture_is_not_made_larger(store: ImageStore) -> None:
    kept = await store.keep(picture((90, 60), "PNG"))
    path = await store.file(kept.name, 480)
    assert path is not None
    with Image.open(path) as image:
        assert image.size == (90, 60)


async def test_a_phones_photo_is_turned_upright_and_loses_where_it_was_taken(store: ImageStore) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90°
    exif[0x010F] = "SecretPhone"
    kept = await store.keep(picture((400, 200), exif=exif))
    assert (kept.width, kept.height) == (200, 400)
    path = await store.file(kept.name, 960)
    assert path is not None
    assert b"SecretPhone" not in path.read_bytes()
    with Image.open(path) as image:
        assert not image.getexif()


async def test_see_through_pictures_stay_see_through(store: ImageStore) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (50, 50), (255, 0, 0, 0)).save(file, "PNG")
    kept = await store.keep(file.getvalue())
    path = await store.file(kept.name, 960)
    assert path is not None
    with Image.open(path) as image:
        assert image.mode == "RGBA"


async def test_a_bomb_is_refused_by_its_header(store: ImageStore) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert "50 million" in (await refused(store.keep(bomb.getvalue()))).text


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<svg/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, picture((90, 90))[:300]]
)
async def test_what_is_no_whole_picture_is_refused_and_nothing_is_written(store: ImageStore, data: bytes) -> None:
    assert (await refused(store.keep(data))).why is R.IMAGE
    assert not store.folder.exists()


async def test_too_many_bytes_are_refused(store: ImageStore) -> None:
    assert (await refused(store.keep(b"x" * (IMAGE_BYTES_MAX + 1)))).why is R.TOO_LARGE


async def test_an_unknown_picture_has_no_file(store: ImageStore) -> None:
    assert await store.file("0" * 32, 160) is None


# --- fetching -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://pictures.example/a.png",
        "file:///etc/passwd",
        "https://pictures.example:8443/a",
        "https:///a",
        "ftp://x/a",
        "",
    ],
)
async def test_only_https_on_its_own_port_is_fetched(url: str) -> None:
    async def nobody(host: str) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    assert (await refused(Fetcher(nobody).fetch(url))).why is R.IMAGE


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], []])
async def test_a_name_that_leads_inside_is_refused_before_connecting(addresses: list[str]) -> None:
    async def resolve(host: str) -> list[str]:
        return addresses

    assert "public internet" in (await refused(Fetcher(resolve).fetch(f"https://{HOST}/a"))).text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of a server of pictures, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def serving(certificate: Path, answer: Callable[[str], bytes]) -> AsyncIterator[Fetcher]:
    """A fetcher that takes loopback for public, and a TLS server there that answers by `answer(path)`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert f"host: {HOST}" in head.lower()
        writer.write(answer(head.split()[1]))
        await writer.drain()
        writer.close()

    async def resolve(host: str) -> list[str]:
        return ["127.0.0.1"] if host == HOST else []

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    yield Fetcher(resolve, lambda address: True, ssl.create_default_context(cafile=str(certificate)), port)
    server.close()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body


def moved(to: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()


async def test_a_picture_is_fetched_from_the_checked_address_under_its_name(certificate: Path) -> None:
    async with serving(certificate, lambda path: ok(b"bytes of " + path.encode())) as fetcher:
        assert await fetcher.fetch(f"https://{HOST}/a.png?x=1") == b"bytes of /a.png?x=1"


async def test_redirects_are_followed_by_hand_and_each_is_checked(certificate: Path) -> None:
    answers = {
        "/1": moved("/2"),
        "/2": moved("/3"),
        "/3": ok(b"here"),
        "/in": moved("https://inside.example/"),
        "/plain": moved("http://x/"),
    }
    async with serving(certificate, lambda path: answers.get(path, moved("/loop"))) as fetcher:
        assert await fetcher.fetch(f"https://{HOST}/1") == b"here"
        assert "public" in (await refused(fetcher.fetch(f"https://{HOST}/in"))).text
        assert "https" in (await refused(fetcher.fetch(f"https://{HOST}/plain"))).text
        assert "on and on" in (await refused(fetcher.fetch(f"https://{HOST}/loop"))).text


async def test_errors_and_too_much_are_refused(certificate: Path) -> None:
    answers = {
        "/none": b"HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "/cut": b"HTTP/1.1 2",
        "/big": ok(b"x" * (IMAGE_BYTES_MAX + 1)),
    }
    async with serving(certificate, lambda path: answers[path]) as fetcher:
        assert "404" in (await refused(fetcher.fetch(f"https://{HOST}/none"))).text
        assert (await refused(fetcher.fetch(f"https://{HOST}/cut"))).why is R.IMAGE
        assert (await refused(fetcher.fetch(f"https://{HOST}/big"))).why is R.TOO_LARGE
