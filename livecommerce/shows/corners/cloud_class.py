"""Cloud Class: a lesson with chapters. Questions go into a queue, are voted up (one vote a viewer), taken on the
picture, and answered for all or privately.

The queue itself is `questions.py`; here stand what turns it on and the lesson's chapters.
"""

from typing import Annotated

import msgspec

from livecommerce.shows.corners.base import Corner


class Chapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the lesson; `at_seconds` counts from the beginning of the show."""

    at_seconds: Annotated[int, msgspec.Meta(ge=0, le=86_400)]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class CloudClassSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chapters: Annotated[tuple[Chapter, ...], msgspec.Meta(max_length=50)] = ()

    def __post_init__(self) -> None:
        instants = [chapter.at_seconds for chapter in self.chapters]
        if instants != sorted(set(instants)):
            raise ValueError("chapters in the order of the lesson, each at its own instant")


CORNER = Corner(
    name="cloud_class",
    title="Cloud Class",
    about="A lesson with chapters; questions are queued and voted up.",
    hold_seconds=600,
    settings=CloudClassSettings,
    question_votes=True,
)
