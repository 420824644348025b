"""Playlists as players read them (RFC 8216bis: HLS with its low-latency parts), written from a time line.

What arrives: a `Timeline`. What leaves: text. Addresses are relative to the playlist's own, so that a signed word
before them stays; what they name never changes, so that any cache may keep it. It does not know files or requests.

    7.mp4        header of epoch 7
    812.m4s      part 812
    809-812.m4s  parts 809 to 812: a segment
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from livecommerce.video.timeline import Part, Segment, Stretch, Timeline

LIVE_WINDOW_MS = 60_000
REPLAY_SEGMENT_MS = 6000
# Apple's authoring rules: a player stays at least three parts behind the newest (14.3); more forgives a late part.
HOLD_BACK_PARTS = 3
# Parts are told for this much of the newest; older segments are fetched whole.
_PARTS_TOLD_MS = 12_000


def live_playlist(timeline: Timeline, from_ms: float = -math.inf, *, over: bool = False) -> str:
    """The newest minute, parts and all, without segments that begin before `from_ms` of the programme. `over`: nothing
    more will come. Empty of segments before anything was filmed."""
    shown = _newest(timeline.segments[timeline.first_from(from_ms) :], LIVE_WINDOW_MS)
    part_target = max(0.1, timeline.part_ms_max / 1000)
    target = max(1, math.ceil(max(timeline.segment_ms_max, *(segment.duration_ms for segment in shown), 0, 0) / 1000))
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={part_target * HOLD_BACK_PARTS:.3f}",
        f"#EXT-X-PART-INF:PART-TARGET={part_target:.3f}",
        f"#EXT-X-MEDIA-SEQUENCE:{shown[0].number if shown else 0}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{shown[0].breaks if shown else 0}",
    ]
    parts_from_ms = shown[-1].programme_ms - _PARTS_TOLD_MS if shown else 0.0
    for index, segment in enumerate(shown):
        lines += _opening(segment, shown[index - 1] if index else None)
        if segment.programme_ms >= parts_from_ms:
            lines += map(_part, segment.parts)
        if segment.whole or over:
            lines += [f"#EXTINF:{segment.duration_ms / 1000:.5f},", _address(segment.parts)]
    if over:
        lines.append("#EXT-X-ENDLIST")
    elif shown:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{len(timeline.parts)}.m4s"')
    return "\n".join(lines) + "\n"


def replay_playlist(stretch: Stretch, from_ms: float = -math.inf, to_ms: float = math.inf) -> str:
    """All of it, or a clip between two programme times, in segments of some six seconds. What is still open is told as
    it stands: a show whose server died is a whole replay up to its last part."""
    groups = list(_grouped(stretch, from_ms, to_ms))
    longest = max((_seconds(parts) for _, parts in groups), default=1.0)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{math.ceil(longest)}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-MEDIA-SEQUENCE:0",
    ]
    before: Segment | None = None
    for segment, parts in groups:
        lines += _opening(segment, before, parts[0].programme_ms)
        lines += [f"#EXTINF:{_seconds(parts):.5f},", _address(parts)]
        before = segment
    lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def _newest(segments: list[Segment], window_ms: float) -> list[Segment]:
    shown, total = 0, 0.0
    for segment in reversed(segments):
        if total >= window_ms:
            break
        shown += 1
        total += segment.duration_ms
    return segments[len(segments) - shown :]


def _grouped(stretch: Stretch, from_ms: float, to_ms: float) -> Iterator[tuple[Segment, list[Part]]]:
    first: Segment | None = None
    parts: list[Part] = []
    for segment, wanted in stretch.clip(from_ms, to_ms):
        follows = bool(parts) and parts[-1].number + 1 == wanted[0].number
        if first is not None and (
            first.epoch is not segment.epoch or not follows or _seconds(parts) * 1000 >= REPLAY_SEGMENT_MS * 0.9
        ):
            yield first, parts
            first, parts = None, []
        first = first or segment
        parts = parts + wanted
    if first is not None:
        yield first, parts


def _opening(segment: Segment, before: Segment | None, programme_ms: float | None = None) -> list[str]:
    lines = []
    if before is None or before.epoch is not segment.epoch:
        if before is not None:
            lines.append("#EXT-X-DISCONTINUITY")
        lines.append(f'#EXT-X-MAP:URI="{segment.epoch.epoch}.mp4"')
    at = datetime.fromtimestamp((segment.programme_ms if programme_ms is None else programme_ms) / 1000, UTC)
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}")
    return lines


def _part(part: Part) -> str:
    alone = ",INDEPENDENT=YES" if part.alone else ""
    return f'#EXT-X-PART:DURATION={part.duration_ms / 1000:.5f},URI="{part.number}.m4s"{alone}'


def _address(parts: list[Part]) -> str:
    first, last = parts[0].number, parts[-1].number
    return f"{first}.m4s" if first == last else f"{first}-{last}.m4s"


def _seconds(parts: list[Part]) -> float:
    return sum(part.duration_ms for part in parts) / 1000
