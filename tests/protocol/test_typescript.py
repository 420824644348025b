"""The TypeScript types of the pages are the ones of the server."""

from pathlib import Path

from livecommerce.protocol.typescript import refusals, typescript

FILE = Path(__file__).parents[2] / "web" / "src" / "shared" / "protocol.ts"
REFUSALS = FILE.with_name("refusals.ts")


def test_the_committed_file_is_what_the_types_say() -> None:
    assert FILE.read_text() == typescript(), (
        "run `python -m livecommerce.protocol.typescript > web/src/shared/protocol.ts`"
    )


def test_the_committed_refusals_are_the_closed_list() -> None:
    assert REFUSALS.read_text() == refusals(), (
        "run `python -m livecommerce.protocol.typescript refusals > web/src/shared/refusals.ts`"
    )


def test_a_default_is_optional_to_send_and_always_there_to_receive() -> None:
    text = typescript()
    assert "  wait?: boolean;" in text
    assert "  shed: number;" in text


def test_no_type_takes_a_name_of_the_language() -> None:
    assert "interface Promise " not in typescript()


def test_an_array_like_type_names_its_places() -> None:
    assert "export type Level = [available: number, held: number, paying: number," in typescript()
