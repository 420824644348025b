"""One file: everything in it, nothing from outside, and nothing that was said in the run can become markup."""

import base64
import hashlib
import re
from pathlib import Path

import msgspec
import pytest

from loadtest.report.html import DATA_ID, PageMissing, page_of
from loadtest.report.view import View, live_view, view_of
from tests.loadtest.report import sample

EVENING = sample.evening(seconds=5)


def test_the_data_in_the_page_is_the_whole_result(built: Path) -> None:
    page = page_of(view_of(EVENING), pages=built)

    [data] = re.findall(rf'<script type="application/json" id="{DATA_ID}">(.*?)</script>', page, re.DOTALL)
    view = msgspec.json.decode(data, type=View)
    assert view.result == EVENING
    assert set(view.spectra) == set(EVENING.histograms)
    assert view.verdict is not None


def test_nothing_is_fetched(built: Path) -> None:
    page = page_of(view_of(EVENING), pages=built)

    assert not re.search(r"<(script|link|img)[^>]*\b(src|href)=", page)
    assert "body{color:red}" in page


def test_the_policy_allows_the_pages_own_script_and_styles_and_nothing_else(built: Path) -> None:
    page = page_of(view_of(EVENING), pages=built)

    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    [script] = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    for kind, text in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.index("Content-Security-Policy") < page.index("<style>")


@pytest.mark.parametrize(
    "said", ["</script><script>alert(1)</script>", "<!--<script>", "<img src=x onerror=alert(1)>", "&lt;b&gt; \u2028"]
)
def test_what_was_said_in_the_run_cannot_become_markup(built: Path, said: str) -> None:
    result = msgspec.structs.replace(EVENING, scenario=said, warnings=(said,), target=said)

    page = page_of(view_of(result), pages=built)

    assert said not in page or "<" not in said
    assert page.count("<script") == 2
    [data] = re.findall(rf'id="{DATA_ID}">(.*?)</script>', page, re.DOTALL)
    assert msgspec.json.decode(data, type=View).result == result


def test_the_live_page_may_talk_to_where_it_came_from_and_has_no_result(built: Path) -> None:
    page = page_of(live_view("show", "/events"), connect="'self'", pages=built)

    assert "connect-src 'self'" in page
    assert '"result":null' in page


def test_where_the_page_was_not_built_the_words_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PageMissing, match="make web"):
        page_of(view_of(EVENING), pages=tmp_path)
