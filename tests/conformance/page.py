"""`docs/conformance.md`, made from a run of the table."""

from tests.conformance.cases import Case

_PROSE = """\
# Conformance of the socket

What a WebSocket test suite checks, as a table of our own: each case is sent as bytes through a plain TCP connection to
a running server, and what comes back is written down. `python -m tests.conformance` runs it and writes this page;
`tests/conformance` runs it with every change and holds the page to it, `make test-long` also on uvloop, which serves.

Last run on {date}: {right} of {all} cases as expected.

Up to the 101 answer the handshake is read twice, by uvicorn (httptools) and by `websockets`; behind it the frames are
read by `gateway/reading.py`, which is stricter than the standard asks in one point: a text that is not UTF-8 fails at
the end of the frame in which it stands, not of the message. Compression (Autobahn's categories 12 and 13) is never
negotiated. The largest message is 4096 bytes, so Autobahn's category 9 is answered with 1009.

How to read it: `answer n` is the room's answer to a message, `pong …` a pong with its payload (hex), `refused n` a
refusal of the list in [protocol.md](protocol.md), `close n` a close frame with its code, `end` the end of the
connection, `open` a line that goes on, `silent` a line on which nothing comes until it is idle.
"""


def row_of(case: Case, seen: tuple[str, ...]) -> str:
    words = ", ".join(_short(list(seen)))
    verdict = "" if seen == case.expect else f" (expected: {', '.join(_short(list(case.expect)))})"
    return f"| {case.name} | {words}{verdict} |"


def _short(seen: list[str]) -> list[str]:
    """`pong 21` forty times is one entry."""
    out: list[str] = []
    while seen:
        same = next((n for n, each in enumerate(seen) if each != seen[0]), len(seen))
        word = seen[0].strip()
        word = f"{word[:20]}…" if len(word) > 40 else word
        out.append(f"{same} × `{word}`" if same > 1 else f"`{word}`")
        seen = seen[same:]
    return out


def page(results: list[tuple[Case, tuple[str, ...]]], date: str) -> str:
    right = sum(seen == case.expect for case, seen in results)
    parts = [_PROSE.format(date=date, right=right, all=len(results))]
    for category in dict.fromkeys(case.category for case, _ in results):
        rows = "\n".join(row_of(case, seen) for case, seen in results if case.category == category)
        parts.append(f"## {category}\n\n| case | seen |\n|---|---|\n{rows}\n")
    return "\n".join(parts)
