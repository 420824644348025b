"""A line of chat that claims, from socket to answer: the real hub, shows, engine and ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.gateway.claims import rid_of
from livecommerce.ids import is_rid
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import Hold, Level
from livecommerce.protocol.from_viewer import Reserve, WantLine
from livecommerce.protocol.to_viewer import Answer, Claimed, RefusedMessage, Said, Talk
from livecommerce.settings import Settings
from livecommerce.shows.plans import EditClaims, EditShow
from tests.gateway.live import Raw, until
from tests.gateway.real_house import House, open_house, say, sqlite_ledger
from tests.shows.world import ANA, BEA, HOST, MODERATOR, STRANGER, viewer


@pytest.fixture
async def house(
    sqlite_template: Path, tmp_path: Path, redis: Redis, settings: Settings, clock: TestClock
) -> AsyncIterator[House]:
    async with (
        sqlite_ledger(sqlite_template, tmp_path) as database,
        open_house(database, redis, settings, clock) as made,
    ):
        yield made


async def claims_on(house: House, lines_shown: bool = True) -> str:
    facts = await house.world.show()
    rules = EditClaims(True, ("SOLD", "我要"), lines_shown)
    await house.world.shows.planning.edit(HOST, facts.show_id, EditShow(claims=rules))
    return facts.show_id


async def claim(raw: Raw, text: str, cid: str = "say_1") -> Claimed:
    say(raw, text, cid)
    answer = await raw.read_until(Claimed)
    assert isinstance(answer, Claimed)
    assert answer.cid == cid
    return answer


async def nothing_moved(house: House, show_id: str, deal_id: str, quota: int) -> None:
    _, levels = await house.one.engine.levels(show_id)
    assert levels[deal_id] == Level(quota, 0, 0, 0, 0)


async def test_a_line_reserves_and_its_author_alone_is_told_what_was_understood(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5, 5)
    assert card.code == "AA"
    ana, welcome = await house.seat(show_id, ANA)
    assert welcome.snapshot is not None
    assert (welcome.snapshot.show.claims.on, welcome.snapshot.cards[0].code) == (True, "AA")
    bea, _ = await house.seat(show_id, BEA)
    answer = await claim(ana, "ＳＯＬＤ aa PLUM 2")
    assert (answer.number, answer.code, answer.rid) == (0, "AA", rid_of("say_1"))
    assert [(line.deal_id, line.qty) for line in answer.lines] == [(card.deals[1].deal_id, 2)]
    assert isinstance(answer.hold, Hold)
    assert (answer.hold.state, answer.hold.lines) == ("held", answer.lines)
    assert answer.hold.token
    assert answer.text.startswith("Reserved for you: Velvet Lip, Plum × 2, until ")
    assert "ＳＯＬＤ aa PLUM 2" in [line.text for line in (await bea.read_until(Talk)).lines]
    _, levels = await house.one.engine.levels(show_id)
    assert levels[card.deals[1].deal_id] == Level(3, 2, 0, 0, 0)
    # What else Bea hears until her own answer holds no word of Ana's.
    bea.send(Reserve("rid_00000001", (WantLine(card.deals[0].deal_id, 1),)))
    while not isinstance(message := await bea.read(), Answer):
        assert not isinstance(message, Claimed)


async def test_a_claim_of_a_deal_that_is_drawn_enters_the_draw(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5, fairness="draw", draw_seconds=6)
    ana, _ = await house.seat(show_id, ANA)
    answer = await claim(ana, "SOLD AA")
    assert answer.hold is not None
    assert (answer.hold.state, answer.text) == ("entered", "You are in the draw: Velvet Lip, Rosewood × 1.")
    again = await claim(ana, "SOLD AA 1", "say_2")
    assert (again.number, again.hold) == (R.ALREADY_IN.value.number, None)
    _, levels = await house.one.engine.levels(show_id)
    assert levels[card.deals[0].deal_id] == Level(5, 0, 0, 0, 1)


async def test_the_same_line_twice_is_one_claim_also_in_slow_mode(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5)
    await house.world.do(show_id, c.SlowMode(60))
    ana, _ = await house.seat(show_id, ANA)
    first = await claim(ana, "SOLD AA")
    again = await claim(ana, "SOLD AA")
    assert first.hold is not None
    assert again.hold is not None
    assert (again.hold.rid, again.hold.ticket) == (first.hold.rid, first.hold.ticket)
    _, levels = await house.one.engine.levels(show_id)
    assert levels[card.deals[0].deal_id].held == 1


async def test_claims_are_off_until_the_show_says_so_and_talk_stays_talk(house: House) -> None:
    facts = await house.world.show()
    card = await house.on_air(facts.show_id, 5)
    ana, _ = await house.seat(facts.show_id, ANA)
    say(ana, "SOLD AA")
    assert (await ana.read_until(Said)).shown
    await house.world.shows.planning.edit(HOST, facts.show_id, EditShow(claims=EditClaims(True)))
    await until(lambda: house.one.hub.rooms[facts.show_id].room.shelf.rules.on)
    await house.one.clock.advance(1)
    say(ana, "Sold out already?", "say_2")
    assert (await ana.read_until(Said)).cid == "say_2"
    await nothing_moved(house, facts.show_id, card.deals[0].deal_id, 5)


async def test_a_line_may_be_kept_out_of_the_chat_and_is_answered_all_the_same(house: House) -> None:
    show_id = await claims_on(house, lines_shown=False)
    await house.on_air(show_id, 5)
    ana, _ = await house.seat(show_id, ANA)
    say(ana, "SOLD AA")
    said = await ana.read_until(Said)
    assert (said.shown, said.line.text) == (False, "SOLD AA")
    assert (await ana.read_until(Claimed)).hold is not None
    hall = house.one.hub.rooms[show_id]
    assert not hall.room.talk.history


CANNOT = (
    ("SOLD ZZ", R.CLAIM_CODE, "Now: AA"),
    ("SOLD", R.CLAIM_CODE, "Now: AA"),
    ("SOLD AA", R.CLAIM_WHICH, "There are: Rosewood, Plum"),
    ("SOLD AA green", R.CLAIM_WORDS, "green"),
    ("SOLD AA AB", R.CLAIM_ONE_CARD, "One card"),
    ("SOLD AA plum 0", R.QUANTITY, "Choose a quantity"),
    ("SOLD AA plum 3", R.QUANTITY, "Choose a quantity from 1 to 2"),
    ("SOLD AA plum 999999999", R.QUANTITY, "Choose a quantity"),
    ("SOLD AB", R.DEAL_NOT_OPEN, "opens soon"),
)


async def test_a_claim_that_cannot_be_carried_out_says_why_and_moves_nothing(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5, 5)
    later = await house.world.card(show_id, 4)
    await house.world.do(show_id, c.OpenDeal(later.deals[0].deal_id, 60))
    ana, _ = await house.seat(show_id, ANA)
    for number, (line, why, says) in enumerate(CANNOT):
        await house.one.clock.advance(2)  # her credits for chat
        answer = await claim(ana, line, f"say_{number}")
        assert (answer.number, answer.word, answer.hold) == (why.value.number, why.value.word, None), line
        assert says in answer.text
        if why in (R.CLAIM_WHICH, R.CLAIM_WORDS):
            assert set(answer.choices) == {deal.deal_id for deal in card.deals}
        if why is R.CLAIM_CODE:
            assert answer.codes == ("AA",)
        if why is R.DEAL_NOT_OPEN:
            assert answer.facts["opens_at_ms"] == house.one.clock.now_ms() + 60_000 - 2000 * len(CANNOT)
    for deal in card.deals:
        await nothing_moved(house, show_id, deal.deal_id, 5)
    await nothing_moved(house, show_id, later.deals[0].deal_id, 4)


async def test_past_her_limit_a_claim_is_refused_and_the_first_one_stays(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5)
    ana, _ = await house.seat(show_id, ANA)
    await claim(ana, "SOLD AA 2")
    answer = await claim(ana, "SOLD AA", "say_2")
    assert (answer.number, answer.facts["limit"], answer.facts["yours"]) == (R.LIMIT.value.number, 2, 2)
    _, levels = await house.one.engine.levels(show_id)
    assert levels[card.deals[0].deal_id] == Level(3, 2, 0, 0, 0)
    await house.world.do(show_id, c.CloseDeal(card.deals[0].deal_id))
    await until(lambda: house.one.hub.rooms[show_id].room.shelf.codes_now() == ())
    bea, _ = await house.seat(show_id, BEA)
    assert (await claim(bea, "SOLD AA")).number == R.DEAL_CLOSED.value.number


async def test_sold_out_offers_the_place_in_the_line(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 1)
    ana, _ = await house.seat(show_id, ANA)
    bea, _ = await house.seat(show_id, BEA)
    await claim(ana, "SOLD AA")
    answer = await claim(bea, "SOLD AA")
    assert (answer.number, answer.facts["place"], answer.facts["held"]) == (R.SOLD_OUT.value.number, 1, 1)
    assert "number 1 in the line" in answer.text
    bea.send(Reserve("rid_00000001", (WantLine(card.deals[0].deal_id, 1),), wait=True))
    assert (await bea.read_until(Answer)).hold.state == "waiting"


async def test_a_bundle_is_claimed_whole(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5, 5, kind="bundle")
    ana, _ = await house.seat(show_id, ANA)
    answer = await claim(ana, "我要AA两套")
    assert answer.hold is not None
    assert {(line.deal_id, line.qty) for line in answer.hold.lines} == {(deal.deal_id, 2) for deal in card.deals}


async def test_who_may_not_speak_may_not_claim(house: House) -> None:
    show_id = await claims_on(house)
    card = await house.on_air(show_id, 5)
    ana, _ = await house.seat(show_id, ANA)
    await house.world.do(show_id, c.Mute(ANA.viewer_id, 10), MODERATOR)
    await until(lambda: house.one.hub.rooms[show_id].room.moderation._muted)
    say(ana, "SOLD AA")
    refused = await ana.read_until(RefusedMessage)
    assert (refused.re, refused.number) == ("say_1", R.MUTED.value.number)
    await nothing_moved(house, show_id, card.deals[0].deal_id, 5)


async def test_slow_mode_holds_for_a_second_claim(house: House) -> None:
    show_id = await claims_on(house)
    await house.on_air(show_id, 5)
    await house.world.do(show_id, c.SlowMode(30))
    ana, _ = await house.seat(show_id, ANA)
    await claim(ana, "SOLD AA")
    say(ana, "SOLD AA 2", "say_2")
    assert (await ana.read_until(RefusedMessage)).number == R.SLOW_MODE.value.number


async def test_many_people_with_the_same_long_claim_are_no_flood(house: House) -> None:
    show_id = await claims_on(house)
    await house.on_air(show_id, 9, 9)
    for number in range(6):
        raw, _ = await house.seat(show_id, viewer(number))
        assert (await claim(raw, "SOLD AA rosewood please, thank you")).number == 0


@pytest.mark.parametrize("cid", ["a", "x" * 40, "é🙂", "\ud800", "a b/c"])
def test_any_line_id_makes_a_rid_of_its_own(cid: str) -> None:
    assert is_rid(rid_of(cid))
    assert rid_of(cid) != rid_of(cid + "1")


async def test_keywords_are_checked_and_only_planners_may_change_them(house: House) -> None:
    facts = await house.world.show()
    shows = house.world.shows
    for rules in (EditClaims(True, ()), EditClaims(False, ("  ",))):
        with pytest.raises(Refused) as refused:
            await shows.planning.edit(HOST, facts.show_id, EditShow(claims=rules))
        assert refused.value.why is R.MALFORMED
    for who in (STRANGER, MODERATOR):
        with pytest.raises(Refused) as refused:
            await shows.planning.edit(who, facts.show_id, EditShow(claims=EditClaims(True)))
        assert refused.value.why is R.FORBIDDEN
    assert not (await shows.for_staff(HOST, facts.show_id)).show.claims.on


async def test_a_clone_keeps_codes_and_rules_and_a_code_is_never_given_twice(house: House) -> None:
    show_id = await claims_on(house)
    first, second = await house.world.card(show_id, 1), await house.world.card(show_id, 1)
    await house.world.shows.planning.remove_card(HOST, show_id, second.card_id)
    third = await house.world.card(show_id, 1)
    assert (first.code, second.code, third.code) == ("AA", "AB", "AC")
    copy = await house.world.shows.planning.clone(HOST, show_id)
    cloned = await house.world.shows.for_staff(HOST, copy.show_id)
    assert ([card.code for card in cloned.cards], cloned.show.claims.on) == (["AA", "AC"], True)
