"""nchan, the push module of nginx in C: as Debian packages it, with a folder and a configuration of its own.

What arrives: a lab. What leaves: a running nginx with one worker, pinned, on a free port; viewers subscribe over
WebSocket, cards are published over HTTP. Not a system service: it ends with the `with`.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from loadtest.bench.lab import Lab, LabFailed, Process, end, end_with_parent, wait_until_served
from loadtest.machine import pin

_MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/usr/share/nginx/modules"))
_MODULE = "ngx_nchan_module.so"
_WORKER_SECONDS_MAX = 5.0

# One worker: one core is what everybody has here. No store of old messages: none of the other comparators has one.
_CONFIGURATION = """\
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 16000;
pid {folder}/pid;
error_log {folder}/errors error;
{user}
events {{ worker_connections 15000; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 128M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /healthz {{ return 200 "ok"; }}
    location = /publish {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 2; }}
    location /live/ {{ nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; }}
  }}
}}
"""


def _nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _module() -> Path | None:
    return next((folder / _MODULE for folder in _MODULES if (folder / _MODULE).exists()), None)


def why_no_nchan() -> str:
    """ "" where it can run, else what is missing."""
    if _nginx() is None:
        return "there is no nginx here (Debian: nginx-light and libnginx-mod-nchan)"
    if _module() is None:
        return "nginx has no nchan module here (Debian: libnginx-mod-nchan)"
    return ""


@contextlib.contextmanager
def nchan_server(lab: Lab) -> Iterator[Process]:
    nginx, module = _nginx(), _module()
    assert nginx is not None
    assert module is not None
    folder = lab.folder / "nchan"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Started by root it would give its worker to a user who may not enter the folder.
    user = "user root;" if _is_root() else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(module=module, folder=folder, port=port, user=user))
    master = subprocess.Popen(
        [nginx, "-p", str(folder), "-c", str(configuration), "-e", str(folder / "errors")],
        stdin=subprocess.DEVNULL,
        preexec_fn=end_with_parent,
    )
    try:
        wait_until_served(master, port)
        worker = _only_child(master.pid)
        pin(worker, lab.cores.server)
        yield Process(worker, port)
    finally:
        end(master)


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0


def _only_child(pid: int) -> int:
    """The worker that the master process has made."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + _WORKER_SECONDS_MAX
    while time.monotonic() < deadline:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.01)
    raise LabFailed("nginx has no worker")
