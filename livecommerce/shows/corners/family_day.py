"""Family Day: the loyal customers' evening. Entrance by an invitation link with a place limit, and bundles that are
reserved whole or not at all.

The place limit is kept in `invitations.py`, whatever the corner; this one makes an invitation the only way in.
"""

from dataclasses import dataclass

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import ShowFacts
from livecommerce.shows.corners.base import Corner


@dataclass(frozen=True, slots=True)
class FamilyDay(Corner):
    def refuse_facts(self, facts: ShowFacts) -> None:
        # Explicit base: a slotted dataclass is a new class, and the bare `super()` would look for the old one.
        Corner.refuse_facts(self, facts)
        if facts.access == "public":
            raise Refused(R.MALFORMED, expected='access "invited" or "members" for Family Day')


CORNER = FamilyDay(
    name="family_day",
    title="Family Day",
    about="Invited circles, member prices, bundles that come whole or not at all.",
    access="invited",
    limit_per_viewer=3,
)
