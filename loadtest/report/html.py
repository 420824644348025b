"""One HTML file with everything in it: opens from a disk, without network, on any machine.

What arrives: a `View`, and the page that `make web` built. What leaves: HTML whose own policy lets nothing in from
outside and runs no script but the page's own.
"""

import base64
import hashlib
import html
import re
from pathlib import Path

from loadtest.report.view import View, in_page

PAGES = Path(__file__).parents[2] / "livecommerce" / "static"
DATA_ID = "report-data"  # where the page looks for its data: web/src/report/main.tsx

_SCRIPT = re.compile(r'<script[^>]*\bsrc="([^"]+)"[^>]*></script>')
_STYLE = re.compile(r'<link[^>]*\brel="stylesheet"[^>]*\bhref="([^"]+)"[^>]*>')
_ICON = re.compile(r'\s*<link[^>]*\brel="icon"[^>]*>')
_TITLE = re.compile(r"<title>[^<]*</title>")


class PageMissing(Exception):
    """The page was not built; the text says what to do."""


def page_of(view: View, *, connect: str = "'none'", pages: Path = PAGES) -> str:
    """The page with script, styles and data in it. `connect` is what its policy lets it talk to: nothing, but for the
    live page. Raises `PageMissing` where the page was not built."""
    built = pages / "report.html"
    if not built.exists():
        raise PageMissing(
            "the report's page was not built, so there is no report.html: run `make web` once, then "
            "`livecommerce loadtest report FOLDER` makes it from result.json"
        )
    page = built.read_text()
    scripts = [_read(pages, path) for path in _SCRIPT.findall(page)]
    styles = [_read(pages, path) for path in _STYLE.findall(page)]
    page = _ICON.sub("", _STYLE.sub("", _SCRIPT.sub("", page)))
    page = _TITLE.sub(f"<title>{html.escape(_title(view))}</title>", page, count=1)
    head = [f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts, styles, connect)}" />']
    body = [f'<script type="application/json" id="{DATA_ID}">{in_page(view)}</script>']
    head += [f"<style>{text}</style>" for text in styles]
    body += [f'<script type="module">{text}</script>' for text in scripts]
    # The policy comes first: it does not count for what stands before it.
    page = page.replace("<head>", "<head>\n    " + head[0], 1).replace("</head>", "\n".join([*head[1:], "</head>"]), 1)
    before, end, after = page.rpartition("</body>")
    return before + "\n".join(body) + "\n" + end + after


def _read(pages: Path, path: str) -> str:
    # The build names its files as the server hands them out.
    text = (pages / path.removeprefix("/static/")).read_text()
    # Only within strings of the script can these stand, and there a backslash changes nothing.
    return text.replace("</script", "<\\/script").replace("</style", "<\\/style").replace("<!--", "<\\!--")


def _policy(scripts: list[str], styles: list[str], connect: str) -> str:
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: list[str]) -> str:
    # The parser gives an element's text on with every line ending as \n, and that is what a browser hashes.
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts)


def _title(view: View) -> str:
    if view.result is None or view.verdict is None:
        return f"{view.title} · load test running"
    return f"{view.verdict.headline} · {view.title} · {view.result.started_at[:10]}"
