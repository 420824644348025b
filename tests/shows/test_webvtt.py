"""WebVTT: what is right is read, what cannot be right is refused with its line, what is written is read again."""

import pytest

from livecommerce.errors import R, Refused
from livecommerce.shows.webvtt import CUES_MAX, FILE_BYTES_MAX, Cue, escaped, read, written

HOUR_MS = 3_600_000


def test_a_file_of_any_editor_is_read() -> None:
    data = (
        "\ufeffWEBVTT - Tuesday\r\nKind: captions\r\n\r\nNOTE who spoke\r\nMina\r\n\r\n"
        "STYLE\r\n::cue { color: red }\r\n\r\n"
        "1\r\n00:01.000 --> 00:03.500 align:start position:10%\r\n"
        "<v Mina>Good evening &amp; welcome\r\nto all of you\r\n"
        "\r\n\r\n00:00:03.500 --> 00:00:05.000 onclick:x\r\n你好\r\n"
    ).encode()
    assert read(data, HOUR_MS) == [
        Cue(1000, 3500, "<v Mina>Good evening &amp; welcome\nto all of you", "align:start position:10%"),
        Cue(3500, 5000, "你好"),  # what is no setting is left out
    ]


def test_what_is_written_is_read_again() -> None:
    cues = [Cue(0, 900, "one"), Cue(900, 60_000, "two\nlines", "line:0")]
    assert read(written(cues).encode(), HOUR_MS) == cues
    rude = [Cue(0, 1, escaped("a --> b <i>&\n\n\x07"))]
    assert read(written(rude).encode(), HOUR_MS)[0].text == "a → b &lt;i&gt;&amp;"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "first line"),
        ("1\n00:00:01,000 --> 00:00:02,000\nan SRT file", "first line"),
        ("WEBVTTX\n\n00:01.000 --> 00:02.000\nx", "first line"),
        ("WEBVTT\n", "no caption"),
        ("WEBVTT\n\nNOTE nothing else", "no caption"),
        ("WEBVTT\n\njust words", "line 3 needs a time"),
        ("WEBVTT\n\n00:00:01,000 --> 00:00:02,000\nx", "line 3 needs a time"),
        ("WEBVTT\n\n00:01.000 --> 00:61.000\nx", "line 3 needs a time"),
        ("WEBVTT\n\n1\n00:02.000 --> 00:02.000\nx", "line 4 needs an end after its beginning"),
        ("WEBVTT\n\n00:02.000 --> 00:01.000\nx", "an end after its beginning"),
        ("WEBVTT\n\n00:02.000 --> 00:05:01.000\nx", "at most 120 seconds"),
        ("WEBVTT\n\n00:09.000 --> 00:10.000\nx\n\n00:05.000 --> 00:06.000\ny", "line 6 needs captions in their order"),
        ("WEBVTT\n\n01:00:00.000 --> 01:00:01.000\nx", "within the recording, which is 01:00:00.000 long"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n", "line 3 needs words"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "x" * 601, "at most 600 letters"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nx\n00:02.000 --> 00:03.000\ny", "an empty line between"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_line(body: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        read(body.encode(), HOUR_MS)
    assert refused.value.why is R.IMPORT
    assert why in refused.value.text


def test_what_is_no_text_or_too_much_is_refused() -> None:
    with pytest.raises(Refused, match="UTF-8"):
        read(b"WEBVTT\n\n\xff\xfe", HOUR_MS)
    with pytest.raises(Refused) as large:
        read(b"WEBVTT" + bytes(FILE_BYTES_MAX), HOUR_MS)
    assert large.value.why is R.TOO_LARGE
    many = "WEBVTT\n" + "".join(f"\n00:00.{n % 2:03d} --> 00:01.000\nx\n" for n in [0] * (CUES_MAX + 1))
    with pytest.raises(Refused, match="more than"):
        read(many.encode(), HOUR_MS)
