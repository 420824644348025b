"""Our own certificate: made once, made anew for new names, its key readable by the owner only."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from livecommerce.app import own_trust
from livecommerce.certificate import certificate_for, own_certificate
from livecommerce.settings import Settings


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


def test_without_tls_there_is_none(settings: Settings) -> None:
    assert certificate_for(settings) is None
    assert not (settings.data / "tls").exists()


async def test_the_server_trusts_itself_by_it(settings: Settings) -> None:
    settings = replace(settings, tls=True)
    certificate = certificate_for(settings)
    assert certificate is not None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx.AsyncClient(verify=own_trust(settings)) as we, httpx.AsyncClient() as stranger:
        assert (await we.get(url)).status_code == 204
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await stranger.get(url)
