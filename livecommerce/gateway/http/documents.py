"""The API's own documents: OpenAPI for programs, and a page made from it for people. No script, nothing from elsewhere.

What arrives: the endpoint table, which the application keeps. What leaves: JSON, HTML, CSS.
"""

import html
import json
from typing import Any

from starlette.responses import Response

from livecommerce.gateway.api import Call, Table, json_response
from livecommerce.gateway.openapi import document

table = Table()


@table.get("/openapi.json", answer=Response)
async def openapi(call: Call) -> Response:
    """This API as an OpenAPI 3.1 document."""
    return json_response(_document(call))


@table.get("/docs/api", answer=Response)
async def readable(call: Call) -> Response:
    """The same document as a page to read."""
    return Response(_page(_document(call)), media_type="text/html")


@table.get("/docs/api.css", answer=Response)
async def style(call: Call) -> Response:
    """The page's style sheet."""
    return Response(_CSS, media_type="text/css")


def _document(call: Call) -> dict[str, Any]:
    """Made at the first asking and kept: it takes a tenth of a second, which a room full of viewers would feel."""
    state = call.request.app.state
    made: dict[str, Any] | None = getattr(state, "openapi", None)
    if made is None:
        made = state.openapi = document(state.endpoints, call.parts.settings)
    return made


def _page(doc: dict[str, Any]) -> str:
    operations = [
        (path, method, operation) for path, methods in doc["paths"].items() for method, operation in methods.items()
    ]
    by_tag: dict[str, list[str]] = {}
    for path, method, operation in operations:
        by_tag.setdefault(operation["tags"][0], []).append(_operation(path, method, operation))
    contents = "".join(f'<li><a href="#{_e(tag)}">{_e(tag)}</a></li>' for tag in sorted(by_tag))
    sections = "".join(
        f'<section id="{_e(tag)}"><h2>{_e(tag)}</h2>{"".join(parts)}</section>' for tag, parts in sorted(by_tag.items())
    )
    schemas = "".join(
        f'<details class="schema" id="schema-{_e(name)}"><summary>{_e(name)}</summary>'
        f"<p>{_e(schema.get('description', ''))}</p><pre>{_e(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>"
        "</details>"
        for name, schema in sorted(doc["components"]["schemas"].items())
    )
    refusals = "".join(
        f"<tr><td>{row['number']}</td><td><code>{_e(row['word'])}</code></td><td>{_e(row['text'])}</td>"
        f"<td>{'yes' if row['again'] else 'no'}</td><td>{row['status']}</td></tr>"
        for row in doc["x-refusals"]
    )
    title = _e(doc["info"]["title"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="stylesheet" href="/docs/api.css"></head><body>'
        f'<header><h1>{title}</h1><p>Version {_e(doc["info"]["version"])} · <a href="/openapi.json">openapi.json</a>'
        f"</p><p>{_e(doc['info']['description'])}</p><nav aria-label='Contents'><ul>{contents}"
        '<li><a href="#refusals">refusals</a></li><li><a href="#schemas">schemas</a></li></ul></nav></header>'
        f'<main>{sections}<section id="refusals"><h2>refusals</h2><div class="wide"><table><thead><tr><th>number</th>'
        "<th>word</th><th>text</th><th>again?</th><th>status</th></tr></thead>"
        f'<tbody>{refusals}</tbody></table></div></section><section id="schemas"><h2>schemas</h2>{schemas}</section>'
        "</main></body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    answers = "".join(
        f"<tr><td>{_e(status)}</td><td>{_schema_link(answer)}</td><td>{_lines(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    body = f"<p>Body: {_schema_link(operation['requestBody'])}</p>" if "requestBody" in operation else ""
    proof = " or ".join(" + ".join(one) for one in operation["security"]) or "nobody needs to sign in"
    return (
        f'<details class="operation" id="{_e(operation["operationId"])}"><summary><code class="method">'
        f"{_e(method.upper())}</code> <code>{_e(path)}</code> <span>{_e(operation['summary'])}</span></summary>"
        f"<p>{_lines(operation.get('description', ''))}</p><p>Proof: {_e(proof)}</p>{body}"
        f'<div class="wide"><table><tbody>{answers}</tbody></table></div></details>'
    )


def _schema_link(holder: dict[str, Any]) -> str:
    schema = holder.get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        name = _e(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#schema-{name}"><code>{name}</code></a>'
    return f"<code>{_e(json.dumps(schema))}</code>" if schema else ""


def _lines(text: str) -> str:
    return "<br>".join(_e(line) for line in text.splitlines())


def _e(text: object) -> str:
    return html.escape(str(text))


_CSS = """\
:root { color-scheme: light dark; --ink: #1c1815; --paper: #fbf7f1; --line: #d9cfc3; --mark: #8a2f4a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #efe8df; --paper: #161210; --line: #3d342d; --mark: #f0a3b8; }
}
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1rem 6rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
a { color: var(--mark); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
nav a { display: inline-block; padding: .5rem 0; }
details { border-bottom: 1px solid var(--line); padding: .25rem 0; }
summary { cursor: pointer; padding: .6rem 0; }
summary span { opacity: .8; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; color: var(--mark); }
code, pre { font: .9rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); }
:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
"""
