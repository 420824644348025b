"""What a corner is: a template with defaults, and the few questions at which its behaviour can differ.

What arrives: a show's facts or state. What leaves: yes, or a refusal. A corner decides; it never stores, sends or
looks at a clock of its own.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import CornerName, ShowFacts
from livecommerce.shows.state import PlannedCard, ShowState


class PlainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A corner without settings of its own."""


@dataclass(frozen=True, slots=True)
class Corner:
    """A corner and its defaults: what a new show or deal has unless it says otherwise."""

    name: CornerName
    title: str
    about: str
    access: Literal["public", "invited", "members"] = "public"
    limit_per_viewer: int = 2
    hold_seconds: int | None = None  # None: the shop's own default
    settings: type[msgspec.Struct] = PlainSettings
    question_votes: bool = False  # viewers vote questions up, once each

    def settings_of(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The corner's settings, checked and complete. Refuses MALFORMED with what was expected."""
        try:
            checked = msgspec.convert(raw, self.settings)
        except msgspec.ValidationError as error:
            raise Refused(R.MALFORMED, expected=f"settings of {self.title}: {error}") from None
        plain: dict[str, Any] = msgspec.to_builtins(checked)
        return plain

    def refuse_facts(self, facts: ShowFacts) -> None:
        """Refuses a plan that cannot work in this corner; asked whenever a show is made, changed or scheduled."""
        if facts.launch_at_ms is not None:
            raise Refused(R.MALFORMED, expected="a launch instant only in New Product Day")

    def refuse_card(self, facts: ShowFacts, hidden_until_launch: bool) -> None:
        """Refuses a card that cannot work in this corner."""
        if hidden_until_launch:
            raise Refused(R.MALFORMED, expected="cards hidden until the launch only in New Product Day")

    def refuse_showing(self, state: ShowState, card: PlannedCard) -> None:
        """Refuses putting this card on the picture, or opening its deals, now."""
