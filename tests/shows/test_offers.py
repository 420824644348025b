"""Which offer is made at which moment: the decision as a table, without storage or sockets."""

from typing import Any

import msgspec
import pytest

from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import CardFacts, CounterFacts, DealFacts, DrawFacts, Level, OfferMoment
from livecommerce.shows.offers import (
    KINDS,
    LADDER,
    Goods,
    NewOfferRule,
    OfferRule,
    Option,
    Person,
    Scene,
    choose,
    offer_facts,
    options_of,
    refuse_shape,
)

NOW = 1_800_000_000_000
FULL, GONE, GONE_FOR_GOOD = Level(5, 0, 0, 0, 0), Level(0, 2, 1, 2, 0), Level(0, 0, 0, 5, 0)
CROWDED = Level(0, 1, 1, 3, 4)  # two may come back, four wait for them
HERS = CounterFacts("Lyon Bellecour", "1 Place", "Lyon", "10-19", 3)


def deal(deal_id: str, price: int = 2000, status: Any = "open", closes: int | None = None) -> DealFacts:
    return DealFacts(
        deal_id, f"v_{deal_id}", deal_id.title(), "", "", price, None, 5, 2, 300, 600, status, None, closes
    )


def card(card_id: str, *deals: DealFacts, kind: Any = "deal", handle: str = "") -> CardFacts:
    return CardFacts(card_id, kind, card_id.title(), "", handle, "", deals)


LIP = card("lip", deal("rose"), deal("plum"), deal("mini", 900), handle="lip")
BALM = card("balm", deal("balm", 1500), handle="balm")
SCENT = card("scent", deal("scent", 9000), handle="scent")
SET = card("set", deal("s1"), deal("s2"), kind="bundle")
GOODS = {
    "rose": Goods("lip", "Lipstick", frozenset({"lips", "new"})),
    "plum": Goods("lip", "Lipstick", frozenset({"lips", "new"})),
    "mini": Goods("lip", "Lipstick", frozenset({"lips"})),
    "balm": Goods("balm", "Balm", frozenset({"lips"})),
    "scent": Goods("scent", "Perfume", frozenset({"new"})),
}


def scene(**levels: Level) -> Scene:
    deals = {each.deal_id: (one, each) for one in (LIP, BALM, SCENT, SET) for each in one.deals}
    return Scene(deals, {deal_id: levels.get(deal_id, FULL) for deal_id in deals}, GOODS, NOW)


def rule(rule_id: str, moment: OfferMoment, kind: Any, value: str = "", of: str = "any", **more: Any) -> OfferRule:
    of_kind, _, of_value = of.partition(":")
    return OfferRule(rule_id, moment, kind, value, of_kind, of_value, {"en": "Look"}, 1, False, **more)  # type: ignore[arg-type]


def decided(
    moment: OfferMoment, about: str = "rose", rules: tuple[OfferRule, ...] = (), person: Person | None = None,
    **levels: Level,
) -> tuple[str, tuple[str, ...]] | None:  # fmt: skip
    option = choose(options_of(moment, (about,), rules, scene(**levels)), person or Person())
    return None if option is None else (option.kind, option.deal_ids)


@pytest.mark.parametrize(
    ("levels", "counter", "offered"),
    [
        ({"rose": GONE}, HERS, ("another_shade", ("plum",))),
        ({"rose": GONE, "plum": GONE}, HERS, ("another_shade", ("mini",))),
        ({"rose": GONE, "plum": GONE, "mini": GONE}, HERS, ("counter", ())),
        ({"rose": GONE, "plum": GONE, "mini": GONE}, None, ("wait_list", ("rose",))),
        ({"rose": CROWDED, "plum": GONE, "mini": GONE}, None, ("like_it", ("balm",))),
        ({"rose": GONE_FOR_GOOD, "plum": GONE, "mini": GONE}, None, ("like_it", ("balm",))),
        ({"rose": GONE_FOR_GOOD, "plum": GONE, "mini": GONE, "balm": GONE}, None, ("like_it", ("scent",))),
        ({"rose": GONE_FOR_GOOD, "plum": GONE, "mini": GONE, "balm": GONE, "scent": GONE}, None, None),
    ],
)
def test_sold_out_offers_a_shade_then_her_counter_then_the_line_then_something_like_it(
    levels: dict[str, Level], counter: CounterFacts | None, offered: object
) -> None:
    assert decided("sold_out", person=Person(counter=counter), **levels) == offered


def test_the_houses_order_is_the_one_of_the_product_page() -> None:
    assert LADDER == ("another_shade", "counter", "wait_list", "like_it")


def test_an_empty_counter_is_not_pointed_at() -> None:
    none_there = Person(counter=CounterFacts("Lyon", "", "", "", 0))
    assert decided("sold_out", person=none_there, rose=GONE, plum=GONE, mini=GONE) == ("wait_list", ("rose",))


def test_a_place_in_the_line_says_which() -> None:
    options = options_of("sold_out", ("rose",), (), scene(rose=Level(0, 5, 5, 0, 3)))
    assert [(one.place, one.wait) for one in options if one.kind == "wait_list"] == [(4, True)]


@pytest.mark.parametrize("moment", ["released", "paid", "closing_soon"])
def test_without_a_rule_other_moments_offer_nothing(moment: OfferMoment) -> None:
    assert decided(moment) is None


def test_a_rule_of_the_merchant_comes_before_the_houses_order() -> None:
    rules = (rule("r1", "sold_out", "product", "scent"),)
    assert decided("sold_out", rules=rules, rose=GONE) == ("product", ("scent",))


def test_where_a_rule_has_nothing_left_the_next_one_speaks() -> None:
    rules = (rule("r1", "sold_out", "product", "scent"), rule("r2", "sold_out", "tag", " LIPS "))
    assert decided("sold_out", rules=rules, rose=GONE, scent=GONE) == ("tag", ("plum",))


@pytest.mark.parametrize(
    ("of", "speaks"),
    [("any", True), ("product:lip", True), ("product:balm", False), ("tag:new", True), ("tag:sale", False),
     ("card:lip", True), ("card:balm", False), ("variant:v_rose", True), ("variant:v_plum", False)],
)  # fmt: skip
def test_a_rule_speaks_only_of_what_it_is_about(of: str, speaks: bool) -> None:
    found = decided("released", rules=(rule("r1", "released", "product", "scent", of),))
    assert (found is not None) == speaks


def test_given_back_a_cheaper_one_is_the_smallest_step_down() -> None:
    rules = (rule("r1", "released", "cheaper"),)
    assert decided("released", rules=rules) == ("cheaper", ("mini",))
    assert decided("released", "mini", rules=rules) is None


@pytest.mark.parametrize(
    ("kind", "value", "offered"),
    [
        ("like_it", "", ("balm",)),
        ("another_shade", "", ("plum",)),
        ("most_left", "", ("balm",)),
        ("card", "scent", ("scent",)),
        ("card", "set", ("s1", "s2")),
        ("product", "balm", ("balm",)),
        ("variant", "v_plum", ("plum",)),
        ("tag", "new", ("plum",)),
        ("card", "gone", ()),
    ],
)
def test_after_paying_the_rule_names_what_comes_next(kind: Any, value: str, offered: tuple[str, ...]) -> None:
    found = decided("paid", rules=(rule("r1", "paid", kind, value),))
    assert (found[1] if found else ()) == offered


def test_a_bundle_is_offered_whole_or_not_at_all() -> None:
    assert decided("paid", rules=(rule("r1", "paid", "card", "set"),), s2=GONE) is None


def test_near_closing_what_is_left_of_it_is_offered() -> None:
    rules = (rule("r1", "closing_soon", "most_left"),)
    assert decided("closing_soon", rules=rules) == ("most_left", ("rose",))
    assert decided("closing_soon", rules=rules, rose=GONE) is None


def test_nobody_is_offered_what_is_hers_already() -> None:
    rules = (rule("r1", "paid", "product", "balm"), rule("r2", "paid", "product", "scent"))
    assert decided("paid", rules=rules, person=Person(has=frozenset({"balm"}))) == ("product", ("scent",))


def test_a_rule_is_heard_at_most_so_often() -> None:
    rules = (rule("r1", "paid", "product", "balm"),)
    assert decided("paid", rules=rules, person=Person(given={"r1": 1})) is None


def test_a_deal_that_is_not_open_or_past_its_closing_is_offered_to_nobody() -> None:
    late = card("late", deal("late", closes=NOW), deal("draft", status="draft"), deal("now", closes=NOW + 9000))
    told = Scene(
        {each.deal_id: (late, each) for each in late.deals}, dict.fromkeys(("late", "draft", "now"), FULL), {}, NOW
    )
    (option,) = (each for each in options_of("sold_out", ("draft",), (), told) if each.kind == "another_shade")
    assert (option.deal_ids, option.until_ms) == (("now",), NOW + 9000)


def test_a_deal_is_offered_once_it_was_drawn_and_not_before() -> None:
    undrawn = msgspec.structs.replace(deal("plum"), draw=DrawFacts(6, draws_at_ms=NOW + 1000))
    for draw, kinds in ((undrawn.draw, []), (DrawFacts(6, drawn_at_ms=NOW), ["another_shade"])):
        one = card("lip", deal("rose"), msgspec.structs.replace(undrawn, draw=draw))
        told = Scene({each.deal_id: (one, each) for each in one.deals}, {"rose": GONE_FOR_GOOD, "plum": FULL}, {}, NOW)
        assert [each.kind for each in options_of("sold_out", ("rose",), (), told) if each.deal_ids] == kinds


def test_what_is_not_known_here_offers_nothing() -> None:
    assert options_of("sold_out", ("nobody",), (), scene()) == ()
    assert options_of("sold_out", (), (), scene()) == ()


def test_an_offer_carries_the_merchants_words_and_a_counter_only_where_it_is_one() -> None:
    option = Option("r1", "product", ("balm",), words={"en": "Look"})
    facts = offer_facts("off_1", "paid", ("rose",), option, Person(counter=HERS))
    assert (facts.words, facts.counter, facts.about_deal_id) == ({"en": "Look"}, None, "rose")
    assert offer_facts("off_2", "sold_out", ("rose",), Option("", "counter"), Person(counter=HERS)).counter == HERS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"moment": "paid", "offer_kind": "wait_list", "offer_value": ""}, "moment"),
        ({"offer_value": ""}, "needs a name"),
        ({"offer_kind": "like_it"}, "needs a name"),
        ({"of_kind": "tag"}, "anything"),
        ({"of_value": "lips"}, "anything"),
        ({"offer_kind": "card", "everywhere": True}, "one show"),
    ],
)
def test_a_sentence_without_sense_is_refused_with_the_reason(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        refuse_shape(msgspec.structs.replace(NewOfferRule("paid", "product", "balm"), **change))
    assert refused.value.why is R.OFFER_RULE


def test_every_moment_has_its_offers() -> None:
    assert all(KINDS[moment] for moment in ("sold_out", "released", "paid", "closing_soon"))
