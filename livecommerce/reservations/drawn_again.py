"""A draw after Redis lost its books: the places it gave, and would have given, found again from the ledger.

What arrives: what SQL has of a draw (seed, salt, root, the ticket before the first drawn one) and its entries as the
movements tell them. What leaves: the place of every entrant, or nothing where the entries are not those of the root.
Pure: it reads nothing and decides nothing about units.

It rests on one order of writes: entries are copied into the ledger and their root is written beside the seed before
the first place is given. So whoever has a place can be proved, and where no root stands nobody had one yet.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from livecommerce.reservations.draw import root_and_order


@dataclass(frozen=True, slots=True)
class DrawTerms:
    """A draw as SQL has it. `root` "" and `base` None: no place was given yet. `told`: the draw was published."""

    seed: str
    salt: str
    root: str = ""
    base: int | None = None
    entrants: int = 0
    told: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """Who tapped within the window, under the ticket of her arrival."""

    viewer_id: str
    rid: str
    ticket: int
    qty: int


@dataclass(frozen=True, slots=True)
class Place:
    """What an entrant got in her turn: a unit, or a place in the line, under the ticket that was drawn."""

    ticket: int
    held: bool


def places_of(
    draw: DrawTerms, entries: Iterable[Entry], units: int, head_waits: bool
) -> Mapping[tuple[str, str], Place] | None:
    """(viewer, rid) → her place, by the rule by which the script gives places: units in the order drawn, and nobody
    overtakes a head that waits where the deal says so. None where these entries do not come to the root."""
    if draw.base is None:
        return None
    of_ticket = {entry.ticket: entry for entry in entries}
    root, order = root_and_order(draw.seed, draw.salt, {ticket: entry.viewer_id for ticket, entry in of_ticket.items()})
    if root != draw.root or len(order) != draw.entrants:
        return None
    places: dict[tuple[str, str], Place] = {}
    line = False
    for number, ticket in enumerate(order, 1):
        entry = of_ticket[ticket]
        held = entry.qty <= units and not (head_waits and line)
        places[entry.viewer_id, entry.rid] = Place(draw.base + number, held)
        units -= entry.qty if held else 0
        line = line or not held
    return places
