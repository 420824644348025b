"""Where FLV changes what it is, read from what the real ffmpeg makes."""

import pytest

from livecommerce.video.flv import HEADER, Descriptions
from tests.video.films import film, later, needs_ffmpeg, tags, turned

PICTURE, SOUND, DATA = 9, 8, 18


def tag(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + bytes(7) + body + (len(body) + 11).to_bytes(4, "big")


def changes(all_tags: list[bytes]) -> list[int]:
    descriptions = Descriptions()
    return [place for place, each in enumerate(all_tags) if descriptions.changed_by(each)]


@needs_ffmpeg
def test_a_film_of_one_size_never_changes() -> None:
    assert film("flv").startswith(HEADER[:9])
    assert changes(tags(film("flv"))) == []


@needs_ffmpeg
def test_another_size_changes_where_its_description_stands() -> None:
    all_tags = tags(turned())
    first = [place for place, each in enumerate(all_tags) if each[0] == PICTURE and each[12] == 0]
    assert changes(all_tags) == first[1:2]


def test_the_same_description_once_more_changes_nothing() -> None:
    described = tag(PICTURE, b"\x17\x00size one")
    assert changes([described, tag(PICTURE, b"\x17\x01picture"), later(described, 5000)]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (tag(PICTURE, b"\x17\x00one"), tag(PICTURE, b"\x17\x00other")),
        (tag(PICTURE, b"\x90hvc1one"), tag(PICTURE, b"\x90hvc1other")),
        (tag(PICTURE, b"\x17\x00one"), tag(PICTURE, b"\x90av01one")),
        (tag(SOUND, b"\xaf\x00one"), tag(SOUND, b"\xaf\x00other")),
    ],
)
def test_another_description_changes_the_stream(one: bytes, other: bytes) -> None:
    assert changes([one, tag(PICTURE, b"\x17\x01picture"), tag(SOUND, b"\xaf\x01sound"), other]) == [3]


@pytest.mark.parametrize(
    "other",
    [tag(PICTURE, b"\x17"), tag(SOUND, b"\xaf"), tag(DATA, b"\x17\x00"), tag(DATA, b""), tag(PICTURE, b"\x22\x00")],
)
def test_what_describes_nothing_changes_nothing(other: bytes) -> None:
    assert changes([tag(PICTURE, b"\x17\x00one"), tag(SOUND, b"\xaf\x00one"), other]) == []


def test_a_demuxer_that_begins_here_reads_the_other_description_first_at_this_time() -> None:
    descriptions = Descriptions()
    sound, picture = tag(SOUND, b"\xaf\x00sound"), later(tag(PICTURE, b"\x17\x00other"), 0x01020304)
    for each in (tag(PICTURE, b"\x17\x00one"), sound, picture):
        descriptions.changed_by(each)

    assert descriptions.before(picture) == HEADER + later(sound, 0x01020304)
