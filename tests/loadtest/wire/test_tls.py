"""The portable receiver over TLS: records hide bytes from the kernel, and none may stay unread for it."""

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.frames import Opcode

from livecommerce.certificate import own_certificate
from tests.loadtest.wire.stand import Stand, framed, state, welcome


class TlsStand(Stand):
    """Counts, as the receiver does, what lies inside the records."""

    def __init__(self, folder: Path) -> None:
        certificate, key = own_certificate(folder, ["shop.example"])
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(certificate, key)
        self._trusting = ssl.create_default_context(cafile=str(certificate))
        super().__init__("portable")

    def pair(self) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
        end, plug = super().pair()
        plug.setblocking(True)
        ends: list[ssl.SSLSocket] = []
        serving = threading.Thread(target=lambda: ends.append(self._serving.wrap_socket(end, server_side=True)))
        serving.start()
        wrapped = self._trusting.wrap_socket(plug, server_hostname="shop.example")
        serving.join()
        wrapped.setblocking(False)
        return ends[0], wrapped


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = TlsStand(tmp_path)
    yield made
    made.close()


def test_frames_come_out_however_records_cut_them(stand: Stand) -> None:
    for viewer in (1, 2):
        stand.seat(viewer)
    for viewer in (1, 2):
        stand.send(viewer, *(framed(state(offset)) for offset in range(1, 400)))
        stand.send(viewer, framed(b"x" * 70_000))
    stand.read_all()

    assert [stand.receiver.offset_of(viewer)[1] for viewer in (1, 2)] == [399, 399]
    assert sorted(stand.told()) == [(1, "PAYLOAD", b"x" * 70_000), (2, "PAYLOAD", b"x" * 70_000)]


def test_pings_are_answered_inside(stand: Stand) -> None:
    stand.seat(1)
    stand.send(1, framed(b"1234", Opcode.PING))
    stand.read_all()

    assert stand.server[1].recv(100)[:2] == b"\x8a\x84"


def test_a_welcome_holds_what_the_same_record_carried(stand: Stand) -> None:
    stand.enter(1)
    stand.send(1, framed(welcome(5)), framed(state(6)))
    stand.until(lambda: bool(stand.singles))
    assert stand.receiver.offset_of(1)[1] == 0

    stand.position(1, 5, 5)
    stand.pump()
    assert stand.kinds() == ["WELCOME", "CAUGHT_UP"]
    assert stand.receiver.offset_of(1)[1] == 6


def test_a_slow_viewer_sips_from_a_record(stand: Stand) -> None:
    stand.seat(1, slow=True)
    stand.send(1, framed(b"hello"))
    for _ in range(len(framed(b"hello"))):
        assert stand.kinds() == []
        stand.read_some(1, 1)

    assert stand.told() == [(1, "PAYLOAD", b"hello")]


def test_the_end_of_the_line_is_told(stand: Stand) -> None:
    stand.seat(1)
    stand.server[1].close()
    stand.until(lambda: bool(stand.singles))

    assert stand.kinds() == ["CLOSED"]
    assert stand.singles[0].a == 1006
