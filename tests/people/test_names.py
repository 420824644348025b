"""Display names: harmless text of bounded length, whatever a stranger types."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecommerce.errors import R, Refused
from livecommerce.people.names import LENGTH_MAX, clean_name


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ada", "Ada"),
        ("  Ada \n Lovelace ", "Ada Lovelace"),
        ("Ada\u202eecalevoL", "AdaecalevoL"),
        ("A\u200bd\u200ba\0", "Ada"),
        ("Zoe\u0301", "Zoé"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("小美", "小美"),
        ("🌷", "🌷"),
        ("a" + "\u0335" * 50, "a" + "\u0335" * 3),
    ],
)
def test_what_is_kept_of_a_name(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept


@pytest.mark.parametrize("typed", ["", "   ", "\u200b\u200d", "\0", "x" * 41, "\u0301"])
def test_a_name_that_nobody_could_read_is_refused(typed: str) -> None:
    with pytest.raises(Refused) as refused:
        clean_name(typed)
    assert refused.value.why is R.MALFORMED


@given(st.text(max_size=80))
def test_a_kept_name_is_short_visible_and_kept_as_it_is_the_second_time(typed: str) -> None:
    try:
        kept = clean_name(typed)
    except Refused:
        return
    assert 0 < len(kept) <= LENGTH_MAX
    assert not any(unicodedata.category(char)[0] == "C" for char in kept)
    assert clean_name(kept) == kept
