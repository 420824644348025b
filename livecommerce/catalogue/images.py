"""Pictures: checked, turned upright, stripped of their data, made small, kept as WebP; or fetched from the web first.

What arrives: bytes of an upload, or an https address that an import brought. What leaves: files in the data folder
`images/`, named by their content, in three widths; or `Refused(IMAGE)`. Nothing of the given file is ever served:
every picture is decoded here and written anew. It knows no table.

Fetching is open to misuse (an address in a CSV that points into the shop's own network), so it goes only to https on
port 443, only to public addresses, to the very address that was checked, by hand through at most three redirects,
with bounds on size and time.
"""

import asyncio
import hashlib
import io
import os
import ssl
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
from PIL import Image, ImageOps, UnidentifiedImageError

from livecommerce.errors import R, Refused
from livecommerce.public_address import addresses_of, is_public

WIDTHS = (160, 480, 960)
IMAGE_BYTES_MAX = 12 * 1024 * 1024
# A phone's camera has 12 to 50 million pixels; a bomb claims more. Judged by the header, before anything is decoded.
PIXELS_MAX = 50_000_000
HEIGHT_MAX = 1920
FETCH_SECONDS_MAX = 6.0
REDIRECTS_MAX = 3
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_QUALITY = 82

Resolve = Callable[[str], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was taken. `name` is its content's hash and names its files; width and height are as stored."""

    name: str
    width: int
    height: int


class ImageStore:
    """The folder of pictures. The widest size is written at once, the smaller ones when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def keep(self, data: bytes) -> Picture:
        """Check and keep a picture; the same bytes give the same name. Refuses `TOO_LARGE` and `IMAGE`."""
        if len(data) > IMAGE_BYTES_MAX:
            raise Refused(R.TOO_LARGE, limit="12 MB")
        return await asyncio.to_thread(self._keep, data)

    async def file(self, name: str, width: int) -> Path | None:
        """The picture's file at one of `WIDTHS`, or None where it was never kept."""
        assert width in WIDTHS, f"a width of the list: {width}"
        path = self._path(name, width)
        if not await asyncio.to_thread(path.exists):
            if not await asyncio.to_thread(self._path(name, WIDTHS[-1]).exists):
                return None
            await asyncio.to_thread(self._shrink, name, width)
        return path

    def _keep(self, data: bytes) -> Picture:
        name = hashlib.sha256(data).hexdigest()[:32]
        path = self._path(name, WIDTHS[-1])
        if path.exists():
            with Image.open(path) as kept:
                return Picture(name, kept.width, kept.height)
        image = _decoded(data)
        image.thumbnail((WIDTHS[-1], HEIGHT_MAX), Image.Resampling.LANCZOS)
        self._write(path, image)
        return Picture(name, image.width, image.height)

    def _shrink(self, name: str, width: int) -> None:
        with Image.open(self._path(name, WIDTHS[-1])) as wide:
            image = wide.copy()
        image.thumbnail((width, HEIGHT_MAX), Image.Resampling.LANCZOS)
        self._write(self._path(name, width), image)

    def _write(self, path: Path, image: Image.Image) -> None:
        # Written whole beside it, then renamed: a reader never meets half a picture, whoever else writes the same.
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        image.save(draft, "WEBP", quality=_QUALITY, method=3)
        draft.replace(path)

    def _path(self, name: str, width: int) -> Path:
        return self.folder / f"{name}-{width}.webp"


def _decoded(data: bytes) -> Image.Image:
    """Upright pixels without any of the file's other data, as RGB or RGBA."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            if image.width * image.height > PIXELS_MAX:
                raise _no_picture("it has more than 50 million pixels.")
            if image.format == "JPEG":
                image.draft("RGB", (WIDTHS[-1], HEIGHT_MAX))  # decode a large photo at a fraction of the cost
            image.load()
            upright = ImageOps.exif_transpose(image)
            see_through = upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info
            return upright.convert("RGBA" if see_through else "RGB")
    except UnidentifiedImageError:
        raise _no_picture("it is none of JPEG, PNG, WebP and GIF.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _no_picture("it has more than 50 million pixels.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise _no_picture(f"it is damaged ({type(error).__name__}).") from None


class Fetcher:
    """Gets pictures from the web, as the module's head says. `resolve`, `allows` and `port` are the test's openings."""

    def __init__(
        self,
        resolve: Resolve | None = None,
        allows: Callable[[str], bool] | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 443,
    ) -> None:
        self._resolve = resolve or _resolve
        self._allows = allows or is_public
        self._tls = tls  # reading the machine's certificates takes 0.1 s: not before somebody fetches
        self._port = port

    async def fetch(self, url: str) -> bytes:
        """The bytes at `url`. Refuses `IMAGE` with the reason; takes at most `FETCH_SECONDS_MAX`."""
        try:
            async with asyncio.timeout(FETCH_SECONDS_MAX):
                return await self._follow(url)
        except TimeoutError:
            raise _no_picture("its server did not answer in time.") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise _no_picture(f"it could not be fetched ({type(error).__name__}).") from None

    async def _follow(self, url: str) -> bytes:
        tls = self._tls = self._tls or ssl.create_default_context()
        # No proxy and no netrc of the machine: the address that was checked is the one that is connected to.
        async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=FETCH_SECONDS_MAX) as client:
            for _ in range(REDIRECTS_MAX + 1):
                found = await self._get(client, url)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
        raise _no_picture("its address leads on and on.")

    async def _get(self, client: httpx.AsyncClient, url: str) -> bytes | str:
        """The body, or where a redirect leads."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not host or (parts.port or self._port) != self._port:
            raise _no_picture("only https addresses are fetched.")
        addresses = await self._resolve(host)
        if not addresses or not all(self._allows(address) for address in addresses):
            raise _no_picture("its address is not on the public internet.")
        literal = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        checked = urlunsplit(("https", f"{literal}:{self._port}", parts.path or "/", parts.query, ""))
        headers = {"host": host, "accept": "image/webp,image/png,image/jpeg", "user-agent": "livecommerce"}
        async with client.stream("GET", checked, headers=headers, extensions={"sni_hostname": host}) as response:
            if response.is_redirect:
                return str(response.headers.get("location", ""))
            if response.status_code != 200:
                raise _no_picture(f"its server answered {response.status_code}.")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > IMAGE_BYTES_MAX:
                    raise Refused(R.TOO_LARGE, limit="12 MB")
            return bytes(body)


async def _resolve(host: str) -> list[str]:
    return await addresses_of(host, 443)


def _no_picture(why: str) -> Refused:
    return Refused(R.IMAGE, why=why)
