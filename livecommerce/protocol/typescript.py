"""The protocol's types as TypeScript, for the pages in `web/`.

What arrives: the msgspec types of this package. What leaves: the text of `web/src/shared/protocol.ts`, which
`python -m livecommerce.protocol.typescript` prints, and with the word `refusals` that of `refusals.ts` beside it; a
test holds the committed files to it. A field that has a default is optional in what a page sends, and always there in
what the server sends. It does not know how a page uses them.
"""

import json
import sys
from typing import Any, get_args

import msgspec

from livecommerce.errors import Close, R
from livecommerce.protocol import facts, from_host, from_viewer, to_viewer
from livecommerce.protocol.codec import JSON, MSGPACK

_HEAD = """\
// Made by `python -m livecommerce.protocol.typescript` from livecommerce/protocol/. Do not edit.
// Money is in minor units of the shop's currency. Instants are UTC milliseconds of the server.
"""
_REF = "#/$defs/"
# `Promise` is a word of the language itself there.
_NAMES = {"Promise": "PromiseCommand"}
# What each union is called in TypeScript, and whether a page writes it (fields with a default may then be left out).
_UNIONS: tuple[tuple[str, Any, bool], ...] = (
    ("FromViewer", from_viewer.AnyFromViewer, True),
    ("ToViewer", to_viewer.AnyToViewer, False),
    ("ShowEvent", facts.AnyEvent, False),
    ("HostCommand", from_host.AnyCommand, True),
)
_ENVELOPES: tuple[tuple[Any, bool], ...] = ((from_host.CommandEnvelope, True), (facts.Stamped, False))


def typescript() -> str:
    """The whole file, ending with a newline. Same code, same text."""
    parts = [_HEAD, _constants()]
    done: set[str] = set()
    for name, union, written_by_page in _UNIONS:
        (schema,), components = msgspec.json.schema_components([union])
        parts += _interfaces(components, done, written_by_page)
        parts.append(f"export type {name} =\n" + "\n".join(f"  | {_type(row)}" for row in schema["anyOf"]) + ";\n")
    for kind, written_by_page in _ENVELOPES:
        _, components = msgspec.json.schema_components([kind])
        parts += _interfaces(components, done, written_by_page)
    return "\n".join(parts)


def refusals() -> str:
    """The numbers in a module of their own, a constant each: a page carries those that it names, and no others."""
    head = _HEAD.partition("\n")[0].replace("typescript`", "typescript refusals`")
    return f"{head}\n" + "".join(f"export const {row.name} = {row.value.number};\n" for row in R)


def _constants() -> str:
    closes = ",\n".join(f"  {row.name}: {row.value}" for row in Close)
    return (
        f'export const SUBPROTOCOL_MSGPACK = "{MSGPACK}";\n'
        f'export const SUBPROTOCOL_JSON = "{JSON}";\n\n'
        "/** Numbers of the closed list of refusals. */\n"
        'export * as REFUSAL from "./refusals";\n\n'
        "/** Close codes: below 4500 come back, from 4500 on do not. */\n"
        f"export const CLOSE = {{\n{closes},\n}} as const;\n"
    )


def _interfaces(components: dict[str, Any], done: set[str], written_by_page: bool) -> list[str]:
    texts = []
    for name, schema in components.items():
        if name in done:
            continue
        done.add(name)
        name = _NAMES.get(name, name)
        about = f"/** {' '.join(schema['description'].split())} */\n" if schema.get("description") else ""
        texts.append(
            about + (_tuple(name, schema) if schema["type"] == "array" else _interface(name, schema, written_by_page))
        )
    return texts


def _interface(name: str, schema: dict[str, Any], written_by_page: bool) -> str:
    required = set(schema.get("required", ()))
    rows = [
        f"  {field}{'?' if written_by_page and field not in required else ''}: {_type(kind)};"
        for field, kind in schema["properties"].items()
    ]
    return f"export interface {name} {{\n" + "\n".join(rows) + "\n}\n"


def _tuple(name: str, schema: dict[str, Any]) -> str:
    fields = msgspec.structs.fields(getattr(facts, name))
    items = ", ".join(
        f"{field.encode_name}: {_type(kind)}" for field, kind in zip(fields, schema["prefixItems"], strict=True)
    )
    return f"export type {name} = [{items}];\n"


def _union_of(schema: dict[str, Any]) -> str:
    """The name of the union that has exactly these members, or "" where none has a name."""
    members = {_type(each) for each in schema["anyOf"]}
    return next(
        (
            name
            for name, union, _ in _UNIONS
            if {_NAMES.get(k.__name__, k.__name__) for k in get_args(union)} == members
        ),
        "",
    )


_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_REF)
        return _NAMES.get(name, name)
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "discriminator" in schema and (name := _union_of(schema)):
        return name
    if "anyOf" in schema:
        return " | ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        item = _type(schema["items"])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if schema.get("type") == "object":
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    return _PLAIN[schema["type"]]


if __name__ == "__main__":
    print(refusals() if sys.argv[1:] == ["refusals"] else typescript(), end="")
