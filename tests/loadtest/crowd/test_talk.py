"""What the crowd says, judged by the room's own rules."""

import pytest

from livecommerce.rooms.copies import Copies, print_of
from livecommerce.rooms.letters import cleaned, letters
from livecommerce.rooms.moderation import COPIES_MAX, COPIES_SECONDS, Moderation
from loadtest.crowd.arrivals import seeded
from loadtest.crowd.talk import LANGUAGES, LINE_CHARACTERS_MAX, Language, line_of_chat, lines_there_are, question
from loadtest.marks import marked


@pytest.mark.parametrize("language", LANGUAGES)
def test_lines_are_short_varied_and_taken_by_the_room_as_they_are(language: Language) -> None:
    rng, room = seeded(1, language), Moderation()
    for number in range(3_000):
        line = line_of_chat(rng, language)
        assert 0 < len(line) <= LINE_CHARACTERS_MAX
        assert cleaned(line) == line
        assert room.check(f"viewer-{number % 40}", "viewer", marked(line, 123_456), number / 50) == marked(
            line, 123_456
        )
    assert lines_there_are(language) > 50_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_loud_room_is_not_taken_for_a_flood_of_copies(language: Language) -> None:
    # Lines are compared by their letters: smileys and the mark behind a line do not tell two apart.
    rng, copies = seeded(2, language), Copies(COPIES_SECONDS)
    said = (print_of(letters(line_of_chat(rng, language))) for _ in range(round(500 * COPIES_SECONDS)))

    assert max(copies.people(line, str(number), 0.0) for number, line in enumerate(said)) <= COPIES_MAX


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_end_in_a_question_mark(language: Language) -> None:
    rng = seeded(3, language)
    asked = {question(rng, language) for _ in range(500)}

    assert len(asked) > 400
    assert all(text.rstrip("🙏 ").endswith(("?", "？")) for text in asked)
    assert all(len(text) <= LINE_CHARACTERS_MAX for text in asked)


def test_the_same_seed_says_the_same() -> None:
    assert [line_of_chat(seeded(4), "fr") for _ in range(3)] == [line_of_chat(seeded(4), "fr") for _ in range(3)]
