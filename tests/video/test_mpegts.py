"""What picture is in a transport stream, by its own table."""

import pytest

from livecommerce.video.mpegts import PACKET_BYTES, picture_codec
from tests.video.films import film, needs_ffmpeg


@needs_ffmpeg
@pytest.mark.parametrize(("kind", "codec"), [("ts", "h264"), ("ts-mpeg2", "mpeg2"), ("ts-sound", "")])
def test_the_codec_stands_in_the_first_packets(kind: str, codec: str) -> None:
    stream = film(kind, 1.0)

    assert picture_codec(stream) == codec
    found = [picture_codec(stream[:size]) for size in range(0, 8 * PACKET_BYTES, 50)]
    assert found[0] is None
    assert set(found) <= {None, codec}  # less of it is never another answer


def test_what_is_no_transport_stream_is_no_stream() -> None:
    with pytest.raises(ValueError, match="transport"):
        picture_codec(b"GET / HTTP/1.1\r\n" * 40)


@pytest.mark.parametrize("filled", [0x00, 0x40, 0xFF])
def test_packets_that_contradict_themselves_end_nothing(filled: int) -> None:
    """Lengths and pointers that lead out of the packet."""
    for flags in (0x10, 0x20, 0x30):
        packet = bytes([0x47, 0x40, 0x00, flags]) + bytes([filled]) * (PACKET_BYTES - 4)
        assert picture_codec(packet * 3) in (None, "")
