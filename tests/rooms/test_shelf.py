"""The shelf follows a show's events: codes on air, statuses of deals, and claims only where the show has them on."""

from livecommerce.protocol.facts import (
    CardFacts,
    CardHidden,
    CardListed,
    CardShown,
    ClaimRules,
    DealAnnounced,
    DealClosed,
    DealDrawn,
    DealFacts,
    DealOpened,
    DrawFacts,
    ShowChanged,
    ShowFacts,
    VideoFacts,
)
from livecommerce.rooms.shelf import Shelf
from livecommerce.shows.claims import Claim


def card(code: str, status: str = "open") -> CardFacts:
    deal = DealFacts(f"d_{code}", "v", "Rose", "", "", 100, None, 5, 1, 300, 600, status)  # type: ignore[arg-type]
    return CardFacts(f"c_{code}", "deal", f"Card {code}", "", "", "", (deal,), code=code)


def show(on: bool) -> ShowFacts:
    rules = ClaimRules(on, ("SOLD",))
    return ShowFacts("shw_1", "Show", "flash_sale", "live", "Ada", "public", VideoFacts("none"), claims=rules)


def shelf(on: bool = True, *cards: CardFacts, on_air: str = "") -> Shelf:
    made = Shelf()
    made.start(show(on), cards, on_air)
    return made


def test_the_code_of_the_picture_comes_first_and_only_open_deals_count() -> None:
    one = shelf(True, card("AA"), card("AB", "draft"), card("AC"), on_air="c_AC")
    assert one.codes_now() == ("AC", "AA")
    one.take(DealOpened("d_AB"))
    one.take(CardShown(card("AB")))
    assert one.codes_now() == ("AB", "AA", "AC")
    one.take(CardHidden("c_AB"))
    one.take(DealClosed("d_AA"))
    assert one.codes_now() == ("AB", "AC")


def test_statuses_and_closings_follow_the_events_of_their_deals() -> None:
    one = shelf(True, card("AA", "draft"))
    one.take(DealAnnounced("d_AA", 1000))
    assert (one.deals["d_AA"][1].status, one.deals["d_AA"][1].opens_at_ms) == ("announced", 1000)
    one.take(DealOpened("d_AA", 2000))
    assert (one.deals["d_AA"][1].status, one.deals["d_AA"][1].closes_at_ms) == ("open", 2000)
    window, drawn = DrawFacts(6, "c", draws_at_ms=9), DrawFacts(6, "c", draws_at_ms=9, drawn_at_ms=10, entrants=3)
    one.take(DealOpened("d_AA", 2000, window))
    assert one.deals["d_AA"][1].draw == window
    one.take(DealDrawn("d_AA", drawn))
    assert one.deals["d_AA"][1].draw == drawn
    one.take(DealOpened("d_none"))
    assert list(one.deals) == ["d_AA"]


def test_claims_are_read_only_while_the_show_has_them_on_and_with_its_cards_of_now() -> None:
    one = shelf(False, card("AA"))
    assert one.read("SOLD AA") is None
    one.take(ShowChanged(show(True)))
    assert isinstance(one.read("SOLD AA"), Claim)
    assert not isinstance(one.read("SOLD AB"), Claim)
    one.take(CardListed(card("AB")))
    assert isinstance(one.read("SOLD AB"), Claim)
    assert one.name(("d_AB",)) == "Card AB, Rose"
