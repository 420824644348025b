"""Flash Sale: a plain template for many short deals: one unit each, and short holds so that stock comes back soon."""

from livecommerce.shows.corners.base import Corner

CORNER = Corner(
    name="flash_sale",
    title="Flash Sale",
    about="Short deals, one after another.",
    limit_per_viewer=1,
    hold_seconds=180,
)
