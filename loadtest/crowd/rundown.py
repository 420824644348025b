"""A show's own rundown, played by an imaginary host: the plan of the evening as actions with their seconds.

What arrives: a show as staff reads it (`GET /api/staff/shows/{show_id}`), and a pace. What leaves: `HostAction`s in the
order of their time, each with the command that the show's command endpoint takes. It sends nothing: the load tester or
a rehearsal plays the list, on a copy of the show where the real one must stay as it is.
"""

import math
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

Do = Literal["go_live", "show_card", "close_deal", "hide_card", "end"]


class Pace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast the host goes through the rundown.

    Countdown and length of a deal lie within what TikTok Shop allows (10 to 300 s; 1 to 20 min), the countdown is what
    Whatnot advises at least (30 s). The rest is assumed.
    """

    welcome_seconds: float = 30.0  # from going live to the first card
    countdown_seconds: int = 30  # from the card to its deals; 0 opens them with the card
    deal_seconds: float = 120.0  # how long a card's deals are open
    product_seconds: float = 60.0  # how long a card without deals is shown
    pause_seconds: float = 10.0  # between a card and the next
    farewell_seconds: float = 60.0  # from the last card to the end; holds are paid meanwhile

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is a number of seconds from 0 on, not {value:g}.")
        if self.countdown_seconds > 3600:
            raise ValueError(f"A countdown is at most an hour (3600 s), not {self.countdown_seconds}.")


class HostAction(msgspec.Struct, frozen=True):
    """One thing the host does, `at_seconds` after the show went live. `opens` are the deals that open by it, at
    `opens_at_seconds`: what a crowd goes for."""

    at_seconds: float
    do: Do
    card_id: str = ""
    deal_id: str = ""
    countdown_seconds: int = 0
    opens: tuple[str, ...] = ()

    @property
    def opens_at_seconds(self) -> float:
        return self.at_seconds + self.countdown_seconds

    def command(self) -> dict[str, Any]:
        """The `command` of a body for `POST /api/staff/shows/{show_id}/commands`."""
        match self.do:
            case "show_card":
                shown: dict[str, Any] = {"do": "show_card", "card_id": self.card_id}
                return shown | ({"open_in_seconds": self.countdown_seconds} if self.countdown_seconds else {})
            case "hide_card":
                return {"do": "hide_card", "card_id": self.card_id}
            case "close_deal":
                return {"do": "close_deal", "deal_id": self.deal_id}
            case "go_live" | "end":
                return {"do": self.do}


class PlannedDeal(msgspec.Struct, frozen=True):
    """A deal of the rundown, as far as the plan needs it. Other fields of the answer are passed over."""

    deal_id: str
    status: str = "draft"
    quota: int = 0
    limit_per_viewer: int = 1


class PlannedCard(msgspec.Struct, frozen=True):
    card_id: str
    kind: str = "deal"
    title: str = ""
    deals: tuple[PlannedDeal, ...] = ()
    state: str = "planned"
    hidden_until_launch: bool = False


class PlannedShow(msgspec.Struct, frozen=True):
    show_id: str
    status: str
    title: str = ""


class Rundown(msgspec.Struct, frozen=True):
    """What the staff's view of a show tells: the show, and its cards in the order in which they are planned."""

    show: PlannedShow
    cards: tuple[PlannedCard, ...]


def read_rundown(answer: bytes | dict[str, Any]) -> Rundown:
    """The rundown from the endpoint's answer, as bytes or as it was decoded. Raises `ValueError` where it is none."""
    try:
        if isinstance(answer, bytes):
            return msgspec.json.decode(answer, type=Rundown)
        return msgspec.convert(answer, Rundown)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ValueError(f"This is not a show as staff reads it: {error}.") from None


def timed(rundown: Rundown, pace: Pace = Pace(), *, end: bool = True) -> tuple[HostAction, ...]:  # noqa: B008
    """The whole evening from going live: each card with its countdown, its deals closed, off the picture; then the end.

    Cards that were done already, and cards hidden until a launch that the server's own clock makes, are left to it.
    Raises `ValueError` for a show that is over or has no card to show.
    """
    show = rundown.show
    if show.status in ("ended", "cancelled"):
        raise ValueError(f"The show {show.show_id} is {show.status}: there is nothing left to play.")
    cards = [card for card in rundown.cards if card.state == "planned" and not card.hidden_until_launch]
    if not cards:
        raise ValueError(f"The show {show.show_id} has no card that its host could show.")
    return tuple(_evening(show, cards, pace, end))


def deals_of(rundown: Rundown) -> dict[str, int]:
    """Every deal of the rundown with its quota."""
    return {deal.deal_id: deal.quota for card in rundown.cards for deal in card.deals}


def _evening(show: PlannedShow, cards: list[PlannedCard], pace: Pace, end: bool) -> Iterator[HostAction]:
    if show.status != "live":
        yield HostAction(0.0, "go_live")
    now = pace.welcome_seconds
    for card in cards:
        *actions, last = _card(card, now, pace)
        yield from actions
        yield last
        now = last.at_seconds + pace.pause_seconds
    if end:
        yield HostAction(now - pace.pause_seconds + pace.farewell_seconds, "end")


def _card(card: PlannedCard, at_seconds: float, pace: Pace) -> Iterator[HostAction]:
    drafts = tuple(deal.deal_id for deal in card.deals if deal.status == "draft")
    running = tuple(deal.deal_id for deal in card.deals if deal.status in ("draft", "announced", "open"))
    countdown_seconds = pace.countdown_seconds if drafts else 0
    yield HostAction(at_seconds, "show_card", card.card_id, countdown_seconds=countdown_seconds, opens=drafts)
    shown_seconds = countdown_seconds + pace.deal_seconds if running else pace.product_seconds
    over = at_seconds + shown_seconds
    for deal_id in running:
        yield HostAction(over, "close_deal", card.card_id, deal_id)
    yield HostAction(over, "hide_card", card.card_id)
