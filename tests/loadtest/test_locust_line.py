"""One blocking connection, against doors that behave and doors that do not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from livecommerce.protocol.from_viewer import Hello
from loadtest.locust_line import Line, LineEnded


@contextmanager
def _door(answer: bytes) -> Iterator[str]:
    """A server that takes one caller, reads what she says, answers this, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            plug, _ = listening.accept()
            with plug:
                plug.recv(65_536)
                plug.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def _http(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers, "", body]
    return "\r\n".join(lines).encode()


def _ended(answer: bytes) -> LineEnded:
    with _door(answer) as url, pytest.raises(LineEnded) as raised:
        Line(url, "shw_1")
    return raised.value


def test_a_full_room_is_told_with_its_number_and_when_to_come_back() -> None:
    body = '{"number": 211, "word": "server_full", "text": "The room is full right now."}'
    ended = _ended(_http("503 Service Unavailable", body, "Retry-After: 3"))

    assert (ended.number, ended.words) == (503, "211 The room is full right now.")
    assert (ended.come_back, ended.after_seconds) == (True, 3.0)


def test_a_foreign_origin_is_told_and_is_no_use_to_try_again() -> None:
    ended = _ended(_http("403 Forbidden", '{"number": 207, "text": "This page is not allowed to connect."}'))

    assert str(ended) == "403 207 This page is not allowed to connect."
    assert not ended.come_back


def test_another_kind_of_server_is_told_by_its_status_and_words() -> None:
    assert str(_ended(_http("404 Not Found", "nginx"))) == "404 nginx"
    assert str(_ended(_http("404 Not Found", ""))) == "404 Not Found"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Swi", b"SSH-2.0-OpenSSH\r\n\r\n", b"\x00\x01\x02\r\n\r\n"])
def test_a_door_that_hangs_up_or_speaks_something_else_is_told_in_words(answer: bytes) -> None:
    ended = _ended(answer)

    assert "does not answer like a show's socket" in str(ended)
    assert ended.come_back


def test_nobody_at_the_door_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(LineEnded, match="The network broke: Connection refused"):
        Line(f"http://127.0.0.1:{port}", "shw_1")


def test_a_door_without_tls_is_told_in_words() -> None:
    with _door(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, pytest.raises(LineEnded, match="The network broke"):
        Line(url.replace("http", "https"), "shw_1")


def test_a_line_that_breaks_after_the_handshake_ends_in_words() -> None:
    # The key of the handshake is random, so the door computes the answer to it as any server does.
    from websockets.utils import accept_key

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            plug, _ = listening.accept()
            with plug:
                said = plug.recv(65_536).decode()
                key = said.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
                head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
                chosen = [f"Sec-WebSocket-Accept: {accept_key(key)}", "Sec-WebSocket-Protocol: livecommerce.v1.msgpack"]
                plug.sendall("\r\n".join([*head, *chosen, "", ""]).encode())
                plug.recv(65_536)

        thread = threading.Thread(target=serve)
        thread.start()
        line = Line(f"http://127.0.0.1:{listening.getsockname()[1]}", "shw_1")
        with pytest.raises(LineEnded) as raised:
            line.enter(Hello(token="x"))
        thread.join()
        line.close()
        with pytest.raises(LineEnded):  # what is closed says so, whoever asks
            line.send(Hello())

    assert raised.value.come_back
    assert raised.value.number in (0, 1006)
