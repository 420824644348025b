"""Members' Evening: a plain template for the merchant's own customers; guests need an invitation."""

from livecommerce.shows.corners.base import Corner

CORNER = Corner(
    name="members_evening",
    title="Members' Evening",
    about="An evening for members, with a little more time to decide.",
    access="members",
    limit_per_viewer=3,
    hold_seconds=600,
)
