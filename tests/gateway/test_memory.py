"""`docs/memory.md`: its sums are those of the code's bounds, and what is stuffed to the brim stays under them."""

import asyncio
import contextlib
import gc
import random
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from livecommerce.errors import Refused
from livecommerce.gateway import admission, hall, http_line, hub, offers, outbox, reading, shared_answers, socket
from livecommerce.gateway import claims as claim_desk
from livecommerce.gateway.fan_out import in_python
from livecommerce.gateway.outbox import Lane
from livecommerce.gateway.seats import send_to_all
from livecommerce.protocol import codec
from livecommerce.protocol.facts import Line, Note, Stamped
from livecommerce.rooms import copies, delays, moderation, ring, room, talk
from livecommerce.rooms.relay import QUEUE_MAX
from livecommerce.rooms.room import Room, Speaker
from livecommerce.settings import Settings
from livecommerce.shows.news import NEWS_MAX
from livecommerce.video import rtmp, screen
from tests.gateway.live import live, until
from tests.gateway.test_outbox import line

PAGE = Path(__file__).parents[2] / "docs" / "memory.md"
KIB, MIB = 1024, 1024 * 1024
TEXT_CHARACTERS_MAX = 500  # of a line, as `from_viewer` has it

# What Python makes of things on a 64-bit machine, rounded up; the page says the same in words.
LINE_BYTES = 3 * KIB  # one remembered line with its text of four-byte letters, its print and its record
KEY_BYTES = 320  # one small entry of a dictionary: key, value, its place
EVENT_BYTES = 8 * KIB  # one event, unpacked; a card with many deals is the largest
FRAME_BYTES_MAX = 64 * KIB  # a snapshot of a long show: the largest frame there is
REPLAY_BYTES_MAX = 700 * KIB  # twelve hours in segments of six seconds, plain and packed

VIEWER = {
    "socket, seat and transport, idle": 12 * KIB,
    "a frame and the message whose part it is": 2 * socket.MESSAGE_BYTES_MAX + 14,
    "credits": len(admission.CREDITS) * 200,
    "outbox": 262_144 + FRAME_BYTES_MAX,
    "transport": outbox.TRANSPORT_BYTES_MAX,
    "questions under way": hub.IN_FLIGHT_MAX * 6 * KIB,
    "own messages that wait for the welcome": hall.EARLY_MAX * KIB,
}
STRANGER = {"socket and transport": 12 * KIB, "a frame and a message": 2 * socket.MESSAGE_BYTES_MAX + 14}
PLAIN_LINE = {
    "connection and parser": 8 * KIB,
    "half a head, as it came and as it is kept": 2 * http_line.HEAD_BYTES_MAX,
    "requests sent ahead": (http_line.PIPELINE_MAX + 1) * 6 * KIB,
}
ROOM = {
    "ring": 3 * ring.BYTES_MAX + ring.EVENTS_MAX * KIB,
    "events ahead of a hole": room.AHEAD_MAX * EVENT_BYTES,
    "one shared read of the news": NEWS_MAX * EVENT_BYTES,
    "people who spoke": moderation.REMEMBERED_MAX * 2 * LINE_BYTES,
    "copies": copies.REMEMBERED_MAX * (LINE_BYTES + copies.PEOPLE_MAX * 120),
    "people who may not speak": moderation.REMEMBERED_MAX * KEY_BYTES,
    "lines for newcomers, and of one tick": (talk.HISTORY_MAX + 2 * talk.TICK_LINES_MAX) * LINE_BYTES,
    "lines for the show log": hall.TO_LOG_MAX * LINE_BYTES,
    "how late pictures are": 2 * (delays.DELAY_MS_MAX // delays.STEP_MS + 1) * KEY_BYTES,
    "pieces of its picture": screen.KEPT_BYTES_MAX,
    "texts of its replay": screen.REPLAYS_MAX * REPLAY_BYTES_MAX,
    "claims": claim_desk.KNOWN_MAX * KEY_BYTES,
    "offers": (offers.SEEN_MAX + offers.GIVEN_MAX + offers.BUYERS_MAX + offers.MARKS_MAX + offers.WAITING_MAX)
    * KEY_BYTES,
}
PROCESS = {
    "bodies that come in pieces": http_line.BODIES_MAX * 320 * KIB,
    "messages to the other processes": QUEUE_MAX * LINE_BYTES,
    "encoders without a key": 100 * 4 * rtmp.UNPROVED_BYTES_MAX,
    "answers that players share": shared_answers.KEPT_BYTES_MAX,
}
SUMS = {"viewer": VIEWER, "stranger": STRANGER, "plain connection": PLAIN_LINE, "room": ROOM, "process": PROCESS}


def shown(size: int) -> str:
    return f"{size / MIB:.1f} MiB" if size >= MIB else f"{size / KIB:.0f} KiB"


@pytest.mark.parametrize("name", SUMS)
def test_the_page_has_each_bound_and_their_sum(name: str) -> None:
    text = PAGE.read_text()
    rows = dict(re.findall(r"^\| (.+?) \| .* \| ([\d.]+ [KM]iB) \|$", text, re.MULTILINE))
    for what, size in SUMS[name].items():
        assert rows.get(what) == shown(size), what
    assert f"**{name}: {shown(sum(SUMS[name].values()))}**" in text


def test_the_page_names_the_settings_it_multiplies_by() -> None:
    text = PAGE.read_text()
    settings = Settings()
    assert f"`SOCKETS_MAX` ({settings.sockets_max:,})" in text
    assert f"`HTTP_LINES_MAX` ({settings.http_lines_max:,})" in text
    assert f"`OUTBOX_BYTES` ({settings.outbox_bytes_max:,})" in text
    assert settings.outbox_bytes_max == 262_144


@contextlib.contextmanager
def grown() -> Iterator[list[int]]:
    """How much memory was taken within and is still held at the end."""
    gc.collect()
    tracemalloc.start()
    took: list[int] = []
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield took
        gc.collect()
        took.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


def _loud_line(chance: random.Random, wide: bool) -> str:
    letters = [chr(0x20000 + n) for n in range(400)] if wide else list("abcdefghijklmnopqrstuvwxyz ")
    return "".join(chance.choices(letters, k=TEXT_CHARACTERS_MAX))


def test_a_room_stuffed_by_its_viewers_stays_under_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(4)
    # A tenth of its people, and of what the page allows for them.
    people = moderation.REMEMBERED_MAX // 10
    monkeypatch.setattr(moderation, "REMEMBERED_MAX", people)
    monkeypatch.setattr(copies, "REMEMBERED_MAX", copies.REMEMBERED_MAX // 10)
    of_people = sum(ROOM[what] for what in ("people who spoke", "copies", "people who may not speak"))
    with grown() as took:
        stuffed = Room("shw_1", "p1", 10, 3)
        stuffed.start("e1", 0, 0, "live")
        event = codec.event_to_bytes(Note("直" * 1500))
        for offset in range(1, ring.EVENTS_MAX * 2):
            stuffed.hear_state("e1", Stamped(offset, 0, codec.event_from_bytes(event)), len(event), 0.0)
        for offset in range(10_000, 10_000 + room.AHEAD_MAX * 2):
            stuffed.hear_state("e1", Stamped(offset, 0, codec.event_from_bytes(event)), len(event), 0.0)
        for number in range(people + 50):
            viewer_id = f"vwr_{number:022}"
            stuffed.mute(f"vwr_muted_{number:020}", 10**6, 0, 0.0)
            with contextlib.suppress(Refused):
                text = stuffed.moderation.check(viewer_id, "viewer", _loud_line(chance, number % 4 == 0), number / 100)
                stuffed.say(Speaker(viewer_id, "n" * 40, "viewer", False, None), f"cid_{number}", text, number, number)
            if number % 50 == 0:
                stuffed.take_published(float(number))
                stuffed.take_talk()
    assert len(stuffed.moderation._spoke) == people
    assert took[0] < sum(ROOM.values()) - of_people * 9 / 10


def test_one_line_said_by_a_crowd_remembers_a_part_of_it() -> None:
    clusters = copies.Copies(10.0)
    like = copies.print_of("the very same line by a whole crowd of people")
    counted = [clusters.people(like, f"vwr_{number}", 0.0) for number in range(10_000)]
    assert counted[:5] == [1, 2, 3, 4, 5]
    assert max(counted) == copies.PEOPLE_MAX


def test_a_mute_that_ran_out_is_forgotten_where_there_are_many() -> None:
    rules = moderation.Moderation()
    for number in range(moderation.REMEMBERED_MAX * 2):
        rules.mute(f"vwr_{number}", number + 1.0, float(number))
    assert len(rules._muted) <= moderation.REMEMBERED_MAX + 1


async def test_lines_that_nobody_reads_stay_under_the_bound_of_a_viewer() -> None:
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line()) for _ in range(30)]
        with grown() as took:
            for box, owner, _ in lines:
                while not owner.too_slow:
                    box.send(random.randbytes(1000), Lane.OWN)
        assert took[0] < len(lines) * (lines[0][0].bytes_max + outbox.TRANSPORT_BYTES_MAX + 16 * KIB)


async def test_what_waits_for_many_is_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecommerce.gateway.seats._loop", in_python)
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line()) for _ in range(30)]
        boxes = [box for box, _, _ in lines]
        while not all(box.waiting for box in boxes):
            send_to_all(boxes, bytes(1000), Lane.OWN)
        with grown() as took:
            for _ in range(80):
                send_to_all(boxes, random.randbytes(1000), Lane.STATE)
        assert all(box.waiting_bytes >= 60_000 for box in boxes)
        assert took[0] < 80 * 1000 + len(boxes) * 80 * 150, "references, not copies"


def test_what_a_stranger_sends_waits_as_one_message_at_most() -> None:
    readers = [reading.Reader(socket.MESSAGE_BYTES_MAX) for _ in range(100)]
    begun = bytes([0x01, 0xFE]) + (4000).to_bytes(2, "big") + bytes(4) + bytes(4000)
    rest = bytes([0x00, 0x80 | 96]) + bytes(4) + bytes(90)
    with grown() as took:
        for reader in readers:
            assert list(reader.feed(begun + b"\x00\x80\x00\x00\x00\x00" * 100 + rest[:-1])) == []
    assert took[0] < len(readers) * (2 * socket.MESSAGE_BYTES_MAX + 14 + 500)


async def test_hundreds_of_half_heads_stay_under_the_bound_of_a_connection(redis: Redis, settings: Settings) -> None:
    head = b"GET / HTTP/1.1\r\nHost: shop\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"x" * 990) for n in range(31))
    async with live(redis, settings) as one:
        with grown() as took:
            writers = []
            for _ in range(200):
                _, writer = await asyncio.open_connection("127.0.0.1", one.port)
                writer.write(head)
                await writer.drain()
                writers.append(writer)
            await until(lambda: sum(each._head_bytes > 29_000 for each in one.hub.http_lines._open) == 200)
        # The other ends live in this process, too.
        assert took[0] < 200 * (sum(PLAIN_LINE.values()) + 8 * KIB)
        for writer in writers:
            writer.close()


def test_a_line_of_chat_costs_no_more_than_the_page_says() -> None:
    with grown() as took:
        kept = [Line(f"ln_{n:020}", n, "n" * 40, chr(0x20000 + n) * TEXT_CHARACTERS_MAX, "viewer") for n in range(200)]
    assert took[0] < len(kept) * LINE_BYTES
