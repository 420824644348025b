"""New Product Day: a countdown everyone sees, and a product nobody sees before the launch instant.

Cards marked `hidden_until_launch` stand in no snapshot, no API answer and no event before the instant on the server's
clock, and cannot be shown early, by nobody. At the instant the programme lists them and puts the first on the picture.
"""

from dataclasses import dataclass

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import ShowFacts
from livecommerce.shows.corners.base import Corner
from livecommerce.shows.state import PlannedCard, ShowState


@dataclass(frozen=True, slots=True)
class NewProductDay(Corner):
    def refuse_facts(self, facts: ShowFacts) -> None:
        if facts.launch_at_ms is None and facts.status != "draft":
            raise Refused(R.MALFORMED, expected="a launch instant (launch_at_ms) before New Product Day is scheduled")
        early = facts.launch_at_ms is not None and facts.scheduled_at_ms is not None
        if early and (facts.launch_at_ms or 0) < (facts.scheduled_at_ms or 0):
            raise Refused(R.MALFORMED, expected="a launch instant at or after the beginning of the show")

    def refuse_card(self, facts: ShowFacts, hidden_until_launch: bool) -> None:
        """Any card may be hidden; the launch instant may still come with a later edit."""

    def refuse_showing(self, state: ShowState, card: PlannedCard) -> None:
        if not card.hidden_until_launch:
            return
        if state.facts.launch_at_ms is None:
            raise Refused(R.WRONG_STATE, state="without a launch instant")
        if state.before_launch:
            wait_ms = state.facts.launch_at_ms - state.now_ms
            raise Refused(R.WRONG_STATE, after_ms=wait_ms, state="before its launch instant")


CORNER = NewProductDay(
    name="new_product_day",
    title="New Product Day",
    about="A countdown to the launch; the product is hidden until then.",
    limit_per_viewer=1,
)
