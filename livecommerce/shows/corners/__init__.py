"""The corners of the programme: each module of this folder declares one as `CORNER`; nothing else lists them.

What leaves: `REGISTRY`, by name, and `of`. The names are also the closed word `CornerName` of the protocol, so that
pages and tools know them all; a test holds the two together.
"""

import importlib
import pkgutil

from livecommerce.errors import R, Refused
from livecommerce.shows.corners.base import Corner


def _declared() -> dict[str, Corner]:
    found: dict[str, Corner] = {}
    for module in pkgutil.iter_modules(__path__):
        corner = getattr(importlib.import_module(f"{__name__}.{module.name}"), "CORNER", None)
        if corner is not None:
            assert corner.name not in found, f"two corners call themselves {corner.name}"
            found[corner.name] = corner
    return found


REGISTRY: dict[str, Corner] = _declared()


def of(name: str) -> Corner:
    """The corner of this name. Refuses NOT_FOUND."""
    corner = REGISTRY.get(name)
    if corner is None:
        raise Refused(R.NOT_FOUND, what="corner")
    return corner
