"""The viewers of a bench: what is lost, doubled or broken ends the measurement in words, and is never counted."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
import uvloop
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from livecommerce.protocol.codec import MSGPACK, encode
from livecommerce.protocol.facts import CardHidden, CardShown, Line, Stamped
from livecommerce.protocol.to_viewer import Levels, State, Talk
from loadtest.bench.audience import EPOCH, Audience, Entry
from loadtest.bench.lab import LabFailed
from loadtest.bench.stagehand import card
from loadtest.marks import marked

WELCOME = b"\x81\xa1t\xa7welcome"
Script = Callable[[ServerConnection], None]


def _card(offset: int, planned_us: int = 0) -> bytes:
    return encode(State(EPOCH, (Stamped(offset, 0, CardShown(card(marked("Soft", planned_us)))),)), MSGPACK)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


@pytest.fixture
def audience_of(runner: asyncio.Runner) -> Iterator[Callable[..., Audience]]:
    """Two viewers of a server that greets each and then does what `script` says."""
    endings: list[Callable[[], object]] = []

    def make(script: Script, *, greets: bool = True) -> Audience:
        def viewer(line: ServerConnection) -> None:
            if greets:
                line.send(WELCOME)
            script(line)
            with contextlib.suppress(ConnectionClosed):
                line.recv()  # until she leaves

        server = serve(viewer, "127.0.0.1", 0, compression=None)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        audience = Audience(runner, server.socket.getsockname()[1], greeted=greets)
        endings.extend((audience.close, server.shutdown, thread.join))
        audience.enter([Entry("/live/shw/vwr_1"), Entry("/live/shw/vwr_2")])
        return audience

    yield make
    for ending in endings:
        ending()


def _listen(audience: Audience, cards: int) -> list[int]:
    """The delays of so many cards, by all viewers."""
    delays: list[int] = []

    def enough(_singles: object) -> bool:
        delays.extend(us for us, viewers in audience.heard().cards_us.items() for _ in range(viewers))
        return len(delays) >= cards

    audience.until(enough, "the cards")
    return delays


def test_every_card_is_counted_for_every_viewer_from_its_planned_moment(
    audience_of: Callable[..., Audience],
) -> None:
    def script(line: ServerConnection) -> None:
        line.send(_card(1))
        line.send(_card(2))

    audience = audience_of(script)

    assert len(_listen(audience, 4)) == 4
    assert audience.card_bytes == len(_card(1))


def test_what_carries_no_mark_is_not_counted(audience_of: Callable[..., Audience]) -> None:
    def script(line: ServerConnection) -> None:
        line.send(encode(State(EPOCH, (Stamped(1, 0, CardHidden("crd_1")),)), MSGPACK))
        line.send(encode(Levels(1, {}), MSGPACK))
        line.send(encode(Talk((Line("ln_1", 0, "Ada", "hello"),)), MSGPACK))
        line.send(_card(2))

    assert len(_listen(audience_of(script), 2)) == 2


def test_who_is_not_greeted_is_in_with_the_handshake(audience_of: Callable[..., Audience]) -> None:
    go = threading.Event()

    def script(line: ServerConnection) -> None:
        go.wait()
        line.send(_card(1))

    audience = audience_of(script, greets=False)
    go.set()

    assert len(_listen(audience, 2)) == 2


@pytest.mark.parametrize(
    ("offsets", "words"),
    [((1, 3), "an event is missing: expected offset 2, got 3"), ((1, 1), "an event came twice: expected offset 2")],
)
def test_a_broken_order_ends_the_measurement(
    audience_of: Callable[..., Audience], offsets: tuple[int, ...], words: str
) -> None:
    go = threading.Event()

    def script(line: ServerConnection) -> None:
        go.wait()
        for offset in offsets:
            line.send(_card(offset))

    audience = audience_of(script)
    go.set()

    with pytest.raises(LabFailed, match=words):
        _listen(audience, 100)


def test_a_closed_line_ends_the_measurement_with_the_server_s_words(audience_of: Callable[..., Audience]) -> None:
    go = threading.Event()

    def script(line: ServerConnection) -> None:
        go.wait()
        line.close(4002, "busy")

    audience = audience_of(script)
    go.set()

    with pytest.raises(LabFailed, match="the server closed a line with 4002 busy"):
        _listen(audience, 1)


def test_a_viewer_who_is_not_let_in_is_told_of(audience_of: Callable[..., Audience], runner: asyncio.Runner) -> None:
    with pytest.raises(LabFailed, match="4002 no"):
        audience_of(lambda line: line.close(4002, "no"), greets=False).until(lambda _: False, "nothing")

    nobody = Audience(runner, 1)
    try:
        with pytest.raises(LabFailed, match="a viewer was not let in"):
            nobody.enter([Entry("/")])
    finally:
        nobody.close()
