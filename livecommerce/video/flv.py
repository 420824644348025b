"""Where a stream of FLV tags begins to be another: another size, another rate, another codec.

What arrives: tags in order. What leaves: whether one of them tells that what follows is read differently, and the tags
that a demuxer must have before it can read on from here. ffmpeg takes such a tag in the middle of a stream and goes on
under its first header, so that players decode one size by the description of another: a new epoch begins instead. It
does not know connections or shows.

Source: Adobe, "Video File Format Specification" 10.1 (2010), annex E; "Enhanced RTMP" v1 (2023) for pictures with a
FourCC.
"""

# What begins a file: version 1, with picture and sound.
HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"

_SOUND, _PICTURE = 8, 9
_TIME = slice(4, 8)
_HEAD, _SIZE = 11, 4  # bytes before the body, and behind it
_AVC, _AAC = 7, 10
_DESCRIBES = 0
_ENHANCED = 0x80


class Descriptions:
    """The newest tag that describes the picture, and the newest that describes the sound."""

    def __init__(self) -> None:
        self._newest: dict[int, bytes] = {}

    def changed_by(self, tag: bytes) -> bool:
        """Take in one tag. True where it describes its picture or sound otherwise than the one before; encoders that
        say the same again, as some do at each keyframe, change nothing."""
        if not _describes(tag):
            return False
        before = self._newest.get(tag[0])
        self._newest[tag[0]] = tag
        return before is not None and _body(before) != _body(tag)

    def before(self, tag: bytes) -> bytes:
        """What a demuxer that begins with `tag` reads before it: the file's header and all descriptions, at the time
        of `tag`."""
        described = (one[: _TIME.start] + tag[_TIME] + one[_TIME.stop :] for one in self._newest.values() if one != tag)
        return HEADER + b"".join(described)


def _body(tag: bytes) -> bytes:
    return tag[_HEAD:-_SIZE]


def _describes(tag: bytes) -> bool:
    """Asked of every tag, so its body is not copied for it."""
    if len(tag) < _HEAD + 2 + _SIZE:
        return False
    kind, first, second = tag[0], tag[_HEAD], tag[_HEAD + 1]
    if kind == _PICTURE and first & _ENHANCED:
        return first & 0x0F == _DESCRIBES
    codec = first & 0x0F if kind == _PICTURE else first >> 4
    return (kind, codec) in ((_PICTURE, _AVC), (_SOUND, _AAC)) and second == _DESCRIBES
