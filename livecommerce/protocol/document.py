"""`docs/protocol.md`, made from the types: every message with its fields and bounds, every refusal and close code.

What leaves: the text, which `python -m livecommerce.protocol.document` prints; a test holds the committed file to it.
The prose stands here, beside the code that it describes.
"""

import json
from typing import Any

import msgspec

from livecommerce.errors import Close, R
from livecommerce.protocol import facts, from_viewer, to_viewer
from livecommerce.protocol.codec import JSON, MSGPACK

_PROSE = f"""\
# The socket of a show

This page is made from the code by `python -m livecommerce.protocol.document`; a test keeps them together.

    GET /live/{{show_id}}   Upgrade: websocket
    Sec-WebSocket-Protocol: {MSGPACK}    (binary messages), or
                            {JSON}       (the same messages as text)

With a terminal: `websocat --protocol {JSON} ws://127.0.0.1:8080/live/SHOW`, then type
`{{"t":"hello","token":"…"}}`. Without a subprotocol the server speaks JSON.

**Who you are.** A short signed token: in `hello`, or as a further subprotocol `token.<jwt>`, or the cookie of a page of
this server. Never in the address. A page of a foreign origin is refused, and so is a cookie without an Origin. `hello`
must be the first message, within the time allowed (default 10 s). Renew the token on the open socket with `token`; 30 s
before its end the server sends `refused` with `re: "token"`.

**Order.** `state` events have dense offsets within an epoch. Each is delivered once, in order, or the connection
ends. After a break send `hello` with the last `epoch` and `offset`: `welcome.recovered` true means that every missed
event follows; false means that `welcome.snapshot` replaces what you had. Drop events whose offset you have; at a gap,
close and come back. A second `welcome` on an open line is a fresh snapshot, where your line was too slow for what it
missed; or, with `recovered` true, what is yours now (`holds`, `orders`), after the server's own line was cut: then your
offset stays. `levels` are values, a lower `version` is stale. `own` is only yours and is told whole in every `welcome`.
`talk` comes in ticks, may be thinned for everyone alike, and says by how much (`shed`, lines per second); `said`
tells the author.

**Asking.** `reserve`, `release` and `accept` are answered by `answer` or `refused` with the same rid. The same rid
again has one effect, so send it again after a break. `say` and `vote` are answered by `said` or `refused` with the
same cid.

**When stock is counted again.** After the server lost what it had answered, `counting` is on for some seconds:
`reserve` and its like are refused with 411 (try again), and `welcome.counting` says that your holds are not known just
now. Send the `token` of each hold you have as `proof`; when `counting` is off, a `welcome` tells whole what is yours.

**Claiming by a line of chat.** Where the show says so (`claims` of its facts), a `say` that begins with one of the
keywords and names a card by its `code` is a claim: `SOLD AA 10 blue 2`. It reserves under a rid made of its cid, so the
same line has one effect however often it comes. `claimed` tells its author alone what was understood, or why not; the
line itself is answered by `said` like any other.

**Offers.** `offer` is told to one viewer, one message for each. To take it, send `reserve` with its `deal_ids`, its
`wait` and its `offer_id`: an ordinary reservation, which may be refused like any. `offer_seen` says what became of it.

**Bounds.** One message has at most 4 KiB; each kind has credits (chat 1 a second, 5 at once; reservations 2 a second,
10 at once; pings 1 a second, 10 at once; hearts 5 a second, 20 at once; pings and pongs of the WebSocket itself 2 a
second, 40 at once). No compression, no fragments from the server, at most 128 from the viewer. A message that cannot be
taken is refused; twenty of them end the connection.

**Going.** Before it closes, the server sends `bye` with the code and when to come back: wait that long, or, where
nothing was told, any time up to a doubling bound (0.5 s … 15 s), chosen at random. Codes from 4500 on mean: do not
come back. The server pings; answer as the WebSocket standard says. A browser, which cannot see pings, sends `ping`
messages.

**Refused handshakes** are plain HTTP: 403 (origin), 400 (subprotocol, or no handshake of WebSocket 13), 431 (more than
32 KiB of head), 429 or 503 with `Retry-After` (too many, full). Who opens a socket and says nothing may be asked to
make room before its time is over (4005). See [doors](doors.md), [conformance](conformance.md), [memory](memory.md).

Money is in minor units of the shop's currency. Instants (`…_ms`) are UTC milliseconds of the server.
"""


def document() -> str:
    """The whole page, ending with a newline."""
    done: set[str] = set()
    parts = [_PROSE]
    parts += ["## From the viewer\n", *_section(from_viewer.AnyFromViewer, "t", done)]
    parts += ["## To the viewer\n", *_section(to_viewer.AnyToViewer, "t", done)]
    parts += ["## Events of a show\n\nThe field `event` of a stamped event.\n", *_section(facts.AnyEvent, "kind", done)]
    _, components = msgspec.json.schema_components([from_viewer.AnyFromViewer, to_viewer.AnyToViewer])
    things = {name: schema for name, schema in components.items() if name not in done}
    parts += ["## What messages are made of\n", *(_thing(name, schema) for name, schema in sorted(things.items()))]
    parts += ["## Refusals\n\n`again`: whether trying the same again can help.\n", _refusals()]
    parts += ["## Close codes\n", _close_codes()]
    return "\n".join(parts)


def _section(union: Any, tag: str, done: set[str]) -> list[str]:
    (schema,), components = msgspec.json.schema_components([union])
    texts = []
    for word, reference in schema["discriminator"]["mapping"].items():
        name = reference.rpartition("/")[2]
        done.add(name)
        texts.append(f"### `{word}`\n\n{_about(components[name])}{_fields(components[name], tag)}")
    return texts


def _thing(name: str, schema: dict[str, Any]) -> str:
    if schema["type"] == "array":
        fields = msgspec.structs.fields(getattr(facts, name))
        items = ", ".join(
            f"{field.encode_name}: {_type(kind)}" for field, kind in zip(fields, schema["prefixItems"], strict=True)
        )
        return f"### {name}\n\n{_about(schema)}An array: `[{items}]`\n"
    return f"### {name}\n\n{_about(schema)}{_fields(schema, '')}"


def _about(schema: dict[str, Any]) -> str:
    text = " ".join(schema.get("description", "").split())
    return f"{text}\n\n" if text else ""


def _fields(schema: dict[str, Any], tag: str) -> str:
    rows = [
        f"| `{name}` | {_type(kind)} | {_bounds(kind)} | {_default(name, kind, schema)} |"
        for name, kind in schema["properties"].items()
        if name != tag
    ]
    if not rows:
        return "No fields.\n"
    return "| field | type | bounds | without it |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _default(name: str, kind: dict[str, Any], schema: dict[str, Any]) -> str:
    if name in schema.get("required", ()):
        return "required"
    return f"`{json.dumps(kind.get('default'), ensure_ascii=False)}`"


def _type(kind: dict[str, Any]) -> str:
    if "$ref" in kind:
        name = kind["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "discriminator" in kind:
        return "[event](#events-of-a-show)"
    if "enum" in kind:
        return " or ".join(f"`{json.dumps(value)}`" for value in kind["enum"])
    if "anyOf" in kind:
        return " or ".join(_type(each) for each in kind["anyOf"])
    if kind.get("type") == "array":
        return f"list of {_type(kind['items'])}"
    if kind.get("type") == "object":
        return f"map of text to {_type(kind['additionalProperties'])}"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes/no", "null": "null"}[
        kind["type"]
    ]


_BOUNDS = {
    "minimum": "≥ {}", "maximum": "≤ {}", "minLength": "≥ {} characters", "maxLength": "≤ {} characters",
    "minItems": "≥ {} items", "maxItems": "≤ {} items", "pattern": "`{}`",
}  # fmt: skip


def _bounds(kind: dict[str, Any]) -> str:
    every = [kind, *kind.get("anyOf", ())]
    return ", ".join(text.format(each[key]) for each in every for key, text in _BOUNDS.items() if key in each)


def _refusals() -> str:
    rows = [
        f"| {row.value.number} | `{row.value.word}` | {row.value.text} | {'yes' if row.value.again else 'no'} "
        f"| {row.value.status} |"
        for row in sorted(R, key=lambda row: row.value.number)
    ]
    return "| number | word | text | again | HTTP |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


_WHY_CLOSED = {
    Close.MOVING: "this process is being replaced",
    Close.SLOW: "your line could not carry what the room sent",
    Close.RESYNC: "the server asks for a fresh start",
    Close.TOKEN_EXPIRED: "renew the token first",
    Close.IDLE: "no sign of life",
    Close.FULL: "too many sockets here",
    Close.TOO_LATE: "no valid `hello` in time",
    Close.TOKEN_INVALID: "the token is not valid here",
    Close.FORBIDDEN: "not invited, or not your show",
    Close.BANNED: "a moderator closed the door",
    Close.NOT_FOUND: "no such show",
    Close.BROKE_RULES: "messages that are no messages, again and again",
    Close.ELSEWHERE: "you opened this show in too many places; the oldest went",
    Close.SHOW_OVER: "the show is over",
}


def _close_codes() -> str:
    rows = [
        f"| {code.value} | {code.name} | {_WHY_CLOSED[code]} | {'yes' if code.come_back else 'no'} |" for code in Close
    ]
    standard = "| 1002, 1007, 1009 | (standard) | broken frames, invalid UTF-8, more than 4 KiB | no |"
    return "| code | name | why | come back |\n|---|---|---|---|\n" + "\n".join([*rows, standard]) + "\n"


if __name__ == "__main__":
    print(document(), end="")
