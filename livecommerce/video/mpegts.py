"""What picture is in an MPEG transport stream, by its own table: a player takes H.264 as it is, and nothing else.

What arrives: the first bytes of a stream. What leaves: the name of the picture's codec, "" where it has none, None
where more bytes are needed. Source: ISO/IEC 13818-1, 2.4.4 (PAT and PMT).
"""

PACKET_BYTES = 188
_SYNC = 0x47
_CODECS = {0x1B: "h264", 0x24: "hevc", 0x01: "mpeg1", 0x02: "mpeg2", 0x10: "mpeg4", 0x33: "vvc", 0x42: "avs"}


def picture_codec(head: bytes) -> str | None:
    """The codec of the first picture of the first programme. Raises `ValueError` for what is no transport stream."""
    table_pid = 0
    for at in range(0, len(head) - PACKET_BYTES + 1, PACKET_BYTES):
        packet = head[at : at + PACKET_BYTES]
        if packet[0] != _SYNC:
            raise ValueError("no MPEG transport stream")
        section = _section(packet, table_pid)
        if section is None:
            continue
        if table_pid == 0:
            table_pid = _programme_pid(section)
        else:
            return _codec(section)
    return None


def _section(packet: bytes, wanted_pid: int) -> bytes | None:
    """The table that begins in this packet, if it is one of the wanted pid: as far as one packet holds it."""
    pid = int.from_bytes(packet[1:3], "big") & 0x1FFF
    begins, has_payload = packet[1] & 0x40, packet[3] & 0x10
    if pid != wanted_pid or not begins or not has_payload:
        return None
    start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    if start >= PACKET_BYTES:
        return None
    start += 1 + packet[start]  # the pointer to where the table begins
    section = packet[start:]
    if len(section) < 12:
        return None
    length = int.from_bytes(section[1:3], "big") & 0x0FFF
    return section[: max(0, 3 + length - 4)]  # without its checksum


def _programme_pid(section: bytes) -> int:
    """Of the first programme; programme 0 is the network's own table."""
    for at in range(8, len(section) - 3, 4):
        if section[at : at + 2] != b"\0\0":
            return int.from_bytes(section[at + 2 : at + 4], "big") & 0x1FFF
    return 0


def _codec(section: bytes) -> str:
    at = 12 + (int.from_bytes(section[10:12], "big") & 0x0FFF)
    while at + 5 <= len(section):
        if section[at] in _CODECS:
            return _CODECS[section[at]]
        at += 5 + (int.from_bytes(section[at + 3 : at + 5], "big") & 0x0FFF)
    return ""
