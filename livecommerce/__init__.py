"""livecommerce: live shows in which people buy, and stock that is never sold twice."""

__version__ = "0.1.0"
