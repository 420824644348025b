"""One web process and one worker: what `livecommerce web` and `livecommerce worker` are.

What arrives: checked settings, and perhaps a socket to listen on. What leaves: a served process. Sockets, signals and
the event loop are settled here; what the parts do is theirs.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import Generator

import structlog
import uvicorn
import uvloop

from livecommerce.app import open_parts
from livecommerce.background.duties import duties_of
from livecommerce.background.worker import Worker
from livecommerce.certificate import certificate_for
from livecommerce.gateway import fan_out, seats
from livecommerce.gateway.callers import Callers
from livecommerce.gateway.encoders import Encoders
from livecommerce.gateway.pictures import PictureReports
from livecommerce.gateway.showings import Showings
from livecommerce.gateway.web import build_app
from livecommerce.host_measures import HostMeasures
from livecommerce.logs import set_up_logs
from livecommerce.settings import Settings
from livecommerce.supervisor import listen, say_what_is_lost
from livecommerce.video.publisher import CHUNK_BYTES_MAX

log = structlog.get_logger(__name__)


def web(settings: Settings, descriptor: int | None) -> None:
    """One web process, on an inherited socket where there is one."""
    set_up_logs(settings)
    loop, why_in_python = fan_out.best()
    seats.use_loop(loop)
    log.info("fan_out_loop", compiled=not why_in_python, why=why_in_python)
    _raise_descriptor_limit(settings.sockets_max + settings.http_lines_max)
    if descriptor is None:  # else the supervisor has said it
        say_what_is_lost(settings)
    listener = listen(settings.host, settings.port) if descriptor is None else socket.socket(fileno=descriptor)
    uvloop.run(_web(settings, listener))


async def _web(settings: Settings, listener: socket.socket) -> None:
    certificate = certificate_for(settings)  # before the parts: they trust it when they call this server
    measures = HostMeasures(settings.data, settings.process_name or f"web-{settings.port}")
    async with open_parts(settings) as parts:
        await parts.hub.start()
        await measures.start()
        config = uvicorn.Config(
            build_app(parts),
            ws=parts.hub.protocol_class,
            http=parts.hub.http_class,
            # Of cameras: their chunks are compressed already, and to be unpacked is no stranger's right.
            ws_max_size=CHUNK_BYTES_MAX + 1024,
            ws_per_message_deflate=False,
            loop="uvloop",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # The hub reads the proxy's headers itself, from trusted proxies only; so does the door.
            proxy_headers=False,
            ssl_certfile=certificate[0] if certificate else None,
            ssl_keyfile=certificate[1] if certificate else None,
            timeout_graceful_shutdown=settings.drain_seconds + 5,
            timeout_keep_alive=30,
            backlog=4096,
        )
        encoders = Encoders(parts)
        if settings.rtmp_port:
            await encoders.start(settings.host, settings.rtmp_port)
        callers, showings, pictures = Callers(parts), Showings(parts), PictureReports(parts)
        callers.start()
        showings.start()
        await pictures.start()
        _spare_the_collector()
        await _Server(config, settings).serve(sockets=[listener])
        await encoders.aclose()
        await callers.aclose()
        await showings.aclose()
        await pictures.aclose()
        await measures.aclose()
        await parts.hub.aclose()


class _Server(uvicorn.Server):
    """Uvicorn's, but for two things. It says when it serves. And it does not raise the signal that stopped it once more
    at its end: the process would die by it there and then, before the hub, the ledger and, last, Redis are closed."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("web_ready", url=self._settings.base_url)
        _say_ready(self._settings)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield


def _say_ready(settings: Settings) -> None:
    """To a supervisor that waits for it, before it ends the process in whose place this one stands."""
    if settings.ready_fd >= 0:
        with contextlib.suppress(OSError):
            os.write(settings.ready_fd, b"1")
            os.close(settings.ready_fd)


def _spare_the_collector() -> None:
    """What is loaded by now stays until the end: the collector need not walk it again and again. And a hub makes some
    hundred small objects for every request, nearly none of them in cycles: by the usual thresholds it would stop for
    them every few requests."""
    gc.collect()
    gc.freeze()
    # Higher would be cheaper still, and cost more in memory than it saves: a join leaves cycles of SQLAlchemy behind,
    # 13.5 KiB a viewer at 20,000 against 11.6 here.
    gc.set_threshold(2_000, 10, 10)


def worker(settings: Settings) -> None:
    """One worker, until SIGINT or SIGTERM."""
    set_up_logs(settings)
    uvloop.run(_worker(settings))


async def _worker(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    measures = HostMeasures(settings.data, settings.process_name or "worker")
    async with open_parts(settings) as parts:
        running = Worker(parts.database, parts.clock, duties_of(parts))
        await running.start()
        await measures.start()
        log.info("worker_ready")
        _say_ready(settings)
        await stop.wait()
        await measures.aclose()
        await running.aclose()


def _raise_descriptor_limit(connections_max: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + 256
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
