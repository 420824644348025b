"""SRT for encoders in phones: which port is whose, and the child that listens there.

What arrives: show ids, passphrases. What leaves: claims of ports that outlive processes, and the bytes that a caller
sends once its passphrase was right. It does not know publishers or requests.

One port a show. ffmpeg's listener has one passphrase and does not tell which stream id a caller gave, so on a port that
shows share, whoever knows one show's passphrase would film another's. A port of its own makes the passphrase the key,
checked in SRT's handshake, before a byte of picture is taken. A claim is a small file with a lock on it: the process
that holds the lock listens, and when it dies, another of the machine does, on the same port.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from livecommerce.children import end_with_parent
from livecommerce.errors import R, Refused
from livecommerce.video.remux import confine

_SAID_CHARACTERS_MAX = 300
_READ_BYTES = 1 << 16
_CLOSE_SECONDS_MAX = 2.0


class Ports:
    """Which show has which port, on this machine."""

    def __init__(self, folder: Path, ports: range) -> None:
        self._folder = folder
        self._ports = ports

    def open(self, show_id: str) -> int:
        """The show's port, claimed for it if it has none. Refuses VIDEO_QUOTA where all are taken."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if found := self.of(show_id):
            return found
        for port in self._ports:
            # Written whole beside it, then linked: of two that claim at once one wins, and nobody reads half a claim.
            draft = self._folder / f"{port}.{secrets.token_hex(4)}"
            draft.write_text(show_id)
            try:
                os.link(draft, self._folder / str(port))
            except FileExistsError:
                continue
            finally:
                draft.unlink()
            return port
        raise Refused(R.VIDEO_QUOTA, why=f"all {len(self._ports)} ports of SRT_PORTS belong to other shows")

    def of(self, show_id: str) -> int | None:
        return next((port for port, claimed_by in self.claims().items() if claimed_by == show_id), None)

    def claims(self) -> dict[int, str]:
        """port → show."""
        found = {}
        for port in self._ports:
            with contextlib.suppress(OSError):
                if show_id := (self._folder / str(port)).read_text():
                    found[port] = show_id
        return found

    def lock(self, port: int) -> int | None:
        """A descriptor that holds the claim until it is closed; None where another process has it."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._folder / str(port), os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Freed and claimed anew in between, the name is another file's by now.
                if os.path.samestat(os.fstat(descriptor), os.stat(self._folder / str(port))):
                    return descriptor
            except OSError:
                pass
            os.close(descriptor)
        return None

    def free(self, port: int) -> None:
        """Its show is over. Call it with the lock held."""
        (self._folder / str(port)).unlink(missing_ok=True)
        (self._folder / f"{port}.said").unlink(missing_ok=True)

    def tell(self, port: int, said: str) -> None:
        (self._folder / f"{port}.said").write_text(said[:_SAID_CHARACTERS_MAX])

    def said(self, port: int) -> str:
        """What is wrong with the line of this port, in ffmpeg's words or ours; "" where nothing is."""
        try:
            return (self._folder / f"{port}.said").read_text()
        except OSError:
            return ""


def command(host: str, port: int, passphrase: str) -> list[str]:
    """ffmpeg's arguments. It hands the caller's bytes on as they are: what is in them is the publisher's to read."""
    literal = f"[{host}]" if ":" in host else host
    address = f"srt://{literal}:{port}?mode=listener&passphrase={passphrase}&pbkeylen=16"
    return [
        "-hide_banner", "-nostdin", "-loglevel", "error", "-protocol_whitelist", "srt,pipe",
        "-f", "data", "-i", address, "-map", "0", "-c", "copy", "-f", "data", "-flush_packets", "1", "pipe:1",
    ]  # fmt: skip


class Listener:
    """One caller: `start`, read `chunks` until it has gone, always `aclose`. Wrong passphrases are turned away by SRT
    and do not end it."""

    def __init__(self, host: str, port: int, passphrase: str) -> None:
        self._command = command(host, port, passphrase)
        self._passphrase = passphrase
        self._process: asyncio.subprocess.Process | None = None
        self._said = ""

    async def start(self) -> None:
        """Refuses NO_FFMPEG."""
        program = shutil.which("ffmpeg")
        if program is None:
            raise Refused(R.NO_FFMPEG)
        pipe = asyncio.subprocess.PIPE
        # It waits for its caller without reading or writing: only the kernel can tell it that we are no more.
        self._process = await asyncio.create_subprocess_exec(
            program, *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe,
            preexec_fn=end_with_parent(session=False),
        )  # fmt: skip
        confine(self._process.pid)
        self._listening = asyncio.create_task(self._listen(), name="srt-words")

    @property
    def said(self) -> str:
        """The last line of ffmpeg's own words, without the passphrase."""
        return self._said.replace(self._passphrase, "…")

    async def chunks(self) -> AsyncIterator[bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        while data := await self._process.stdout.read(_READ_BYTES):
            yield data

    def hang_up(self) -> None:
        """End the line; `chunks` then ends."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def aclose(self) -> None:
        process = self._process
        if process is None:
            return
        self.hang_up()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS_MAX):
                await process.wait()
        except TimeoutError:  # inside its handshake it hears no signal
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._said = line.decode(errors="replace").strip()[:_SAID_CHARACTERS_MAX]
