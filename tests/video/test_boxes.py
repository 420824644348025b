"""The reader of fragmented MP4: what it finds, however the bytes come, and what it refuses."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.video.boxes import FRAGMENT_BYTES_MAX, BadStream, Fragment, Header, Reader
from tests.video.films import film, needs_ffmpeg


def _read(data: bytes, size: int) -> list[Header | Fragment]:
    reader = Reader()
    return [each for at in range(0, len(data), size) for each in reader.feed(data[at : at + size])]


@needs_ffmpeg
def test_a_film_is_a_header_and_fragments_that_follow_each_other() -> None:
    header, *fragments = _read(film("mp4"), 7919)

    assert isinstance(header, Header)
    assert header.codecs.startswith("avc1.")
    assert header.codecs.endswith(",mp4a.40.2")
    assert header.picture is not None
    assert (header.picture.width, header.picture.height) == (160, 284)
    parts = [each for each in fragments if isinstance(each, Fragment)]
    assert len(parts) >= 8
    assert parts[0].alone
    assert not all(part.alone for part in parts)
    for before, after in itertools.pairwise(parts):
        assert after.at_ms == pytest.approx(before.at_ms + before.duration_ms, abs=1)
    assert sum(part.duration_ms for part in parts) == pytest.approx(4000, abs=100)


@needs_ffmpeg
@pytest.mark.parametrize("size", [1, 13, 65_536, 1 << 30])
def test_it_does_not_matter_how_the_bytes_come(size: int) -> None:
    assert _read(film("mp4", 1.0), size) == _read(film("mp4", 1.0), 1000)


@needs_ffmpeg
def test_no_byte_is_lost_or_changed() -> None:
    data = film("mp4", 2.0)
    kept = b"".join(each.data for each in _read(data, 4096))

    assert data.startswith(kept)
    assert data[len(kept) + 4 : len(kept) + 8] == b"mfra"  # an index for files, which no stream needs


def test_pictures_before_a_header_are_refused() -> None:
    with pytest.raises(BadStream, match="before the header"):
        Reader().feed(struct.pack(">I4s", 8, b"moof"))


@pytest.mark.parametrize("size", [0, 7, FRAGMENT_BYTES_MAX + 1, 0xFFFFFFFF])
def test_a_box_of_no_possible_size_is_refused(size: int) -> None:
    with pytest.raises(BadStream, match="expected 8 to"):
        Reader().feed(struct.pack(">I4s", size, b"ftyp"))


def test_a_header_that_never_ends_is_refused() -> None:
    with pytest.raises(BadStream, match="header of more than"):
        _read((struct.pack(">I4s", 50_000, b"free") + bytes(49_992)) * 100, 50_000)


@needs_ffmpeg
@given(at=st.integers(0, 6000), value=st.binary(min_size=1, max_size=8))
def test_damaged_bytes_are_read_or_refused_and_nothing_else(at: int, value: bytes) -> None:
    data = bytearray(film("mp4", 1.0)[:60_000])
    data[at : at + len(value)] = value
    try:
        found = _read(bytes(data), 10_000)
    except BadStream:
        return
    assert all(isinstance(each, Header | Fragment) for each in found)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        assert Reader().feed(data) in ([],)
    except BadStream:
        return
