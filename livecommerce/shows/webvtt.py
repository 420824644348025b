"""WebVTT, read from a merchant's file and written for players.

What arrives: bytes of a file, or cues. What leaves: cues in order, or text. What cannot be right is refused with its
line: a caption that shows at the wrong moment is found by viewers, long after it was uploaded. Styles and regions are
left out, since the page has its own; a cue keeps its words and where it stands. It does not know shows or recordings.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from livecommerce.errors import R, Refused

FILE_BYTES_MAX = 1 << 20
CUES_MAX = 10_000  # three hours of speech have some four thousand
CUE_LETTERS_MAX = 600
CUE_MS_MAX = 120_000  # longer than this stands no caption: its end is a slip

_TIME = r"(?:(\d{2,3}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"^{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t]+(.*))?$")
_SETTINGS = re.compile(r"^(?:(?:line|position|size|align|vertical):[A-Za-z0-9.,%-]{1,20}(?:[ \t]+|$))*$")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands from `begin_ms` until `end_ms`. `text` is cue text of WebVTT: already escaped, with its own tags."""

    begin_ms: int
    end_ms: int
    text: str
    settings: str = ""


def read(data: bytes, length_ms: float) -> list[Cue]:
    """The cues of a file for a recording of that length. Refuses IMPORT with the line and what was expected there, and
    TOO_LARGE."""
    if len(data) > FILE_BYTES_MAX:
        raise Refused(R.TOO_LARGE, limit=f"{FILE_BYTES_MAX // 1024} KiB")
    lines = _lines(data)
    cues: list[Cue] = []
    for first, block in _blocks(lines):
        timing = next((index for index, line in enumerate(block[:2]) if "-->" in line), None)
        if timing is None:
            if block[0].split(" ")[0].rstrip(":") in ("NOTE", "STYLE", "REGION"):
                continue
            raise _wrong(first, 'a time like "00:01:02.000 --> 00:01:04.500"')
        cue = _cue(block[timing], block[timing + 1 :], first + timing, length_ms)
        if cues and cue.begin_ms < cues[-1].begin_ms:
            before = written_time(cues[-1].begin_ms)
            raise _wrong(first + timing, f"captions in their order: the one above begins later, at {before}")
        cues.append(cue)
        if len(cues) > CUES_MAX:
            raise Refused(R.IMPORT, why=f"it has more than {CUES_MAX} captions")
    if not cues:
        raise Refused(R.IMPORT, why="there is no caption in it")
    return cues


def written(cues: Iterable[Cue]) -> str:
    """A WebVTT file."""
    rows = ["WEBVTT", ""]
    for cue in cues:
        settings = f" {cue.settings}" if cue.settings else ""
        rows += [f"{written_time(cue.begin_ms)} --> {written_time(cue.end_ms)}{settings}", cue.text, ""]
    return "\n".join(rows)


def one_line(text: str) -> str:
    """Words of people without what is no letter, in one line."""
    return " ".join(_CONTROL.sub(" ", text).split())


def escaped(text: str) -> str:
    """Words of people as cue text: no tags, no arrow that would be taken for a time."""
    text = one_line(text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "→").replace(">", "&gt;")


def written_time(ms: float) -> str:
    """ "01:02:03.450" """
    seconds, rest = divmod(max(0, round(ms)), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _lines(data: bytes) -> list[str]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(R.IMPORT, why="it is not text in UTF-8") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[0] != "WEBVTT" and not lines[0].startswith(("WEBVTT ", "WEBVTT\t")):
        raise Refused(R.IMPORT, why='it is not WebVTT: the first line must be "WEBVTT"')
    return lines


def _blocks(lines: list[str]) -> Iterable[tuple[int, list[str]]]:
    """(number of its first line, its lines) of what stands between empty lines, the head left out."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line:
            block.append(line)
            continue
        if block and number - len(block) > 1:
            yield number - len(block), block
        block = []


def _cue(timing: str, rest: list[str], line: int, length_ms: float) -> Cue:
    found = _TIMING.fullmatch(timing.strip())
    if found is None:
        raise _wrong(line, 'a time like "00:01:02.000 --> 00:01:04.500"')
    begin_ms, end_ms = _ms(found.groups()[:4]), _ms(found.groups()[4:8])
    if end_ms <= begin_ms:
        raise _wrong(line, "an end after its beginning")
    if end_ms - begin_ms > CUE_MS_MAX:
        raise _wrong(line, f"a caption of at most {CUE_MS_MAX // 1000} seconds")
    if begin_ms >= length_ms:
        raise _wrong(line, f"a beginning within the recording, which is {written_time(length_ms)} long")
    text = _CONTROL.sub("", "\n".join(rest)).strip()
    if not text:
        raise _wrong(line, "words under the time")
    if len(text) > CUE_LETTERS_MAX:
        raise _wrong(line, f"at most {CUE_LETTERS_MAX} letters under one time")
    if "-->" in text:
        raise _wrong(line, "an empty line between two captions")
    settings = (found[9] or "").strip()
    return Cue(begin_ms, end_ms, text, settings if _SETTINGS.fullmatch(settings) else "")


def _ms(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, rest = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def _wrong(line: int, expected: str) -> Refused:
    return Refused(R.IMPORT, why=f"line {line} needs {expected}", facts={"line": line})
