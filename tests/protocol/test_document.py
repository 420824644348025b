"""The protocol's document says what the code does: every message, field, bound, refusal and close code."""

from pathlib import Path
from typing import get_args

from livecommerce.errors import Close, R
from livecommerce.gateway.admission import CREDITS
from livecommerce.gateway.hub import _CLOSE_FOR
from livecommerce.gateway.socket import EXPIRY_WARNING_SECONDS, MESSAGE_BYTES_MAX, STRIKES_MAX
from livecommerce.protocol.document import document
from livecommerce.protocol.facts import AnyEvent
from livecommerce.protocol.from_viewer import AnyFromViewer
from livecommerce.protocol.to_viewer import AnyToViewer

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_committed_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == document(), "run `python -m livecommerce.protocol.document > docs/protocol.md`"


def test_every_message_and_event_has_a_place_with_all_its_fields() -> None:
    text = document()
    for union in (AnyFromViewer, AnyToViewer, AnyEvent):
        for kind in get_args(union):
            section = text.split(f"### `{kind.__struct_config__.tag}`", 1)[1].split("\n### ", 1)[0]
            for field in kind.__struct_fields__:
                assert f"| `{field}` |" in section


def test_every_refusal_and_close_code_is_listed() -> None:
    text = document()
    assert all(f"| {row.value.number} | `{row.value.word}` |" in text for row in R)
    assert all(f"| {code.value} | {code.name} |" in text for code in Close)


def test_the_figures_in_the_prose_are_the_codes() -> None:
    assert (MESSAGE_BYTES_MAX, STRIKES_MAX, EXPIRY_WARNING_SECONDS) == (4096, 20, 30.0)
    assert {kind: CREDITS[kind] for kind in ("say", "reserve", "ping", "react")} == {
        "say": (1, 5),
        "reserve": (2, 10),
        "ping": (1, 10),
        "react": (5, 20),
    }


def test_every_kind_of_message_has_credits() -> None:
    # Pings and pongs of the standard are no messages of ours.
    assert set(CREDITS) - {"control"} == {kind.__struct_config__.tag for kind in get_args(AnyFromViewer)}


def test_a_refused_hello_closes_with_a_code_that_agrees_on_coming_back() -> None:
    for why, code in _CLOSE_FOR.items():
        if why.value.again:
            assert code.come_back
