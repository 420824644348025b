"""Open House: the plainest template: everybody may come in, nothing differs from the shop's own defaults."""

from livecommerce.shows.corners.base import Corner

CORNER = Corner(
    name="open_house",
    title="Open House",
    about="An open door: look around, ask, buy.",
)
