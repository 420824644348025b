"""A show as a calendar entry (RFC 5545), so that a reminder comes from the viewer's own calendar.

What arrives: a show's facts and its address. What leaves: the text of an .ics file. No I/O.
"""

from datetime import UTC, datetime

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import ShowFacts

# A show has no planned end; a calendar needs one.
HOURS_PLANNED = 1
REMIND_MINUTES = 15
_LINE_BYTES_MAX = 75


def ics_of(facts: ShowFacts, url: str, made_at_ms: int) -> str:
    """The calendar entry. Refuses NOT_FOUND where the show has no instant yet."""
    if facts.scheduled_at_ms is None:
        raise Refused(R.NOT_FOUND, what="date of this show")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//livecommerce//shows//EN",
        "BEGIN:VEVENT",
        f"UID:{facts.show_id}@livecommerce",
        f"DTSTAMP:{_stamp(made_at_ms)}",
        f"DTSTART:{_stamp(facts.scheduled_at_ms)}",
        f"DTEND:{_stamp(facts.scheduled_at_ms + HOURS_PLANNED * 3_600_000)}",
        f"SUMMARY:{_text(facts.title)}",
        f"DESCRIPTION:{_text(facts.about)}",
        f"URL:{url}",
        f"STATUS:{'CANCELLED' if facts.status == 'cancelled' else 'CONFIRMED'}",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{_text(facts.title)}",
        f"TRIGGER:-PT{REMIND_MINUTES}M",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(_folded(line) + "\r\n" for line in lines)


def _stamp(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return escaped.replace("\r\n", "\\n").replace("\r", "\\n").replace("\n", "\\n")


def _folded(line: str) -> str:
    """Lines of at most 75 bytes, never cut inside a character."""
    parts, size = [""], 0
    for character in line:
        width = len(character.encode())
        if size + width > _LINE_BYTES_MAX:
            parts.append(" ")
            size = 1
        parts[-1] += character
        size += width
    return "\r\n".join(parts)
