"""The room decides without a loop: order, holes, duplicates, the relay's absence."""

import random

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecommerce.errors import R, Refused
from livecommerce.protocol import codec, facts
from livecommerce.protocol.facts import Level, Note, RoomRules, Stamped
from livecommerce.protocol.to_viewer import Levels, Own, Relay, Said, State
from livecommerce.rooms.crowd import Crowd, rounded
from livecommerce.rooms.room import (
    Fill,
    Kick,
    Out,
    Publish,
    Remember,
    Resync,
    Room,
    Speaker,
    ToAll,
    ToSeat,
    ToTalk,
    ToViewerOf,
)


def room() -> Room:
    made = Room("shw_1", "here", 10, 3)
    made.start("e1", 0, 0, "live")
    return made


def stamped(offset: int) -> Stamped:
    return Stamped(offset, 1000, Note(f"n{offset}"))


def hear(each: Room, offset: int, epoch: str = "e1") -> list[Out]:
    message = ["state", epoch, offset, 1000, codec.event_to_bytes(Note(f"n{offset}"))]
    return each.hear(msgpack.unpackb(msgpack.packb(message, use_bin_type=False), raw=True), 1000, 1.0)


def delivered(outs: list[Out]) -> list[int]:
    return [
        event.offset
        for out in outs
        if isinstance(out, ToAll) and isinstance(out.message, State)
        for event in out.message.events
    ]


def test_the_next_event_is_delivered_and_an_earlier_one_dropped() -> None:
    each = room()
    assert delivered(hear(each, 1)) == [1]
    assert hear(each, 1) == []
    assert delivered(hear(each, 2)) == [2]


def test_a_hole_is_asked_for_once_and_what_came_early_follows_the_fill() -> None:
    each = room()
    hear(each, 1)
    assert hear(each, 4) == [Fill("e1", 1)]
    assert hear(each, 5) == []
    assert delivered(each.fill("e1", [stamped(2), stamped(3)], 1.0)) == [2, 3, 4, 5]
    assert delivered(hear(each, 6)) == [6]


def test_a_late_message_closes_the_hole_before_the_fill() -> None:
    each = room()
    hear(each, 2)
    assert delivered(hear(each, 1)) == [1, 2]
    assert each.fill("e1", [stamped(1), stamped(2)], 1.0) == []


def test_a_hole_that_cannot_be_filled_means_a_new_start() -> None:
    each = room()
    hear(each, 3)
    assert each.fill("e1", None, 1.0) == [Resync()]
    hear(each, 4)
    assert each.fill("e1", [stamped(2), stamped(3)], 1.0) == [Resync()]


def test_a_failed_read_is_asked_for_again() -> None:
    each = room()
    hear(each, 3)
    each.fill_failed()
    assert each.compare("e1", 3) == [Fill("e1", 0)]


def test_another_epoch_means_a_new_start() -> None:
    assert hear(room(), 1, "e2") == [Resync()]
    assert room().compare("e2", 0) == [Resync()]


def test_what_was_kept_aside_of_another_epoch_is_forgotten_with_it() -> None:
    each = room()
    hear(each, 3)
    each.start("e2", 1, 0, "live")
    assert delivered(hear(each, 2, "e2")) == [2]
    assert delivered(hear(each, 3, "e2")) == [3]


def test_comparing_asks_only_when_behind() -> None:
    each = room()
    hear(each, 1)
    assert each.compare("e1", 1) == []
    assert each.compare("e1", 0) == []
    assert each.compare("e1", 2) == [Fill("e1", 1)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_the_relay_loses_doubles_or_swaps_everybody_hears_all_once_in_order(seed: int) -> None:
    dice = random.Random(seed)
    each, got = room(), []
    wanted = list(range(1, 40))
    mixed = sorted(wanted + dice.choices(wanted, k=10), key=lambda n: n + dice.uniform(-3, 3))
    asked: list[Fill] = []
    for offset in mixed:
        if dice.random() < 0.2:
            continue
        outs = hear(each, offset)
        asked += [out for out in outs if isinstance(out, Fill)]
        got += delivered(outs)
        if asked and dice.random() < 0.5:
            after = asked.pop(0).after_offset
            outs = each.fill("e1", [stamped(n) for n in range(after + 1, offset + 1)], 1.0)
            asked += [out for out in outs if isinstance(out, Fill)]
            got += delivered(outs)
    while each.offset < 39:
        asked += [out for out in each.compare("e1", 39) if isinstance(out, Fill)]
        after = asked.pop(0).after_offset
        outs = each.fill("e1", [stamped(n) for n in range(after + 1, 40)], 1.0)
        asked += [out for out in outs if isinstance(out, Fill)]
        got += delivered(outs)
    assert got == wanted


def test_only_the_latest_numbers_of_a_tick_are_told() -> None:
    each = room()
    for version, available in ((1, 9), (2, 8), (3, 7)):
        each.hear([b"engine", version, {b"d1": [available, 0, 0, 0, 0]}, []], 0, 0.0)
    each.hear([b"engine", 1, {b"d1": [99, 0, 0, 0, 0]}, []], 0, 0.0)
    assert each.take_levels() == Levels(3, {"d1": Level(7, 0, 0, 0, 0)})
    assert each.take_levels() is None


def test_own_words_and_kicks_go_to_one_viewer() -> None:
    each = room()
    own = Own(note="for you")
    assert each.hear([b"own", b"vwr_1", codec.encode(own, codec.MSGPACK)], 0, 0.0) == [ToViewerOf("vwr_1", own)]
    assert each.hear([b"kick", b"vwr_1", 4503], 0, 0.0) == [Kick("vwr_1", 4503)]


def test_a_message_of_a_newer_version_is_passed_over() -> None:
    assert room().hear([b"hologram", 1, 2], 0, 0.0) == []


def test_room_rules_set_slow_mode() -> None:
    each = room()
    each.hear([b"state", b"e1", 1, 0, codec.event_to_bytes(RoomRules(15))], 0, 0.0)
    assert each.moderation.slow_seconds == 15


def test_a_line_goes_to_the_relay_and_its_receipt_follows_when_it_comes_back() -> None:
    each = room()
    each.say(Speaker("vwr_1", "Ada", "viewer", False, "seat"), "c1", "hello", 5, 0.0)
    (published,) = each.take_published(0.0)
    assert isinstance(published, Publish)
    message = msgpack.unpackb(msgpack.packb(published.message, use_bin_type=False), raw=True)
    receipt, remembered = each.hear(message, 5, 0.0)
    assert isinstance(receipt, ToSeat)
    assert isinstance(receipt.message, Said)
    assert (receipt.seat, receipt.message.cid, receipt.message.shown) == ("seat", "c1", True)
    assert isinstance(remembered, Remember)
    (talk,) = each.take_talk()
    assert isinstance(talk, ToTalk)
    assert [line.text for line in talk.frames.desk] == ["hello"]
    assert each.hear(message, 5, 0.0) == []


def test_while_the_relay_is_away_talk_goes_on_here_and_lines_on_their_way_are_not_lost() -> None:
    each = room()
    speaker = Speaker("vwr_1", "Ada", "viewer", False, "seat")
    each.say(speaker, "c1", "on its way", 5, 0.0)
    each.take_published(0.0)
    outs = each.relay_changed(False)
    assert outs[0] == ToAll(Relay(False))
    assert any(isinstance(out, ToSeat) for out in outs)
    each.say(speaker, "c2", "second", 6, 0.0)
    assert any(isinstance(out, ToSeat) for out in each.take_published(0.0))
    (talk,) = each.take_talk()
    assert isinstance(talk, ToTalk)
    assert [line.text for line in talk.frames.desk] == ["on its way", "second"]
    assert each.relay_changed(True) == [ToAll(Relay(True))]


def test_the_head_count_moves_in_steps_and_forgets_silent_processes() -> None:
    assert [rounded(n) for n in (7, 100, 109, 1049, 10_077)] == [7, 100, 100, 1000, 10_000]
    crowd = Crowd("here")
    crowd.here = 3
    crowd.hear("there", 4, 2, 0.0)
    crowd.hear("here", 99, 9, 0.0)
    assert crowd.changes(1.0) == (7, 2)
    assert crowd.changes(1.5) == (None, None)
    assert crowd.changes(9.0) == (3, None)


def card(kind: str, *deal_ids: str) -> facts.CardFacts:
    deals = tuple(
        facts.DealFacts(deal_id, f"var_{deal_id}", "", "", "", 1900, None, 5, 1, 300, 600, "open")
        for deal_id in deal_ids
    )
    return facts.CardFacts(f"card_{'_'.join(deal_ids)}", kind, "Card", "", "", "", deals)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines", [[("lip", 1)], [("serum", 1)], [("lip", 2), ("serum", 1)], [("lip", 1), ("alone", 1)]], ids=str
)
@pytest.mark.parametrize("known_by", ["snapshot", "event"])
def test_a_part_of_a_bundle_is_refused_however_the_room_learned_of_it(
    lines: list[tuple[str, int]], known_by: str
) -> None:
    each = room()
    if known_by == "snapshot":
        each.learn_cards([card("bundle", "lip", "serum")])
    else:
        each.hear_state("e1", Stamped(1, 1000, facts.CardShown(card("bundle", "lip", "serum"))), 100, 1.0)

    with pytest.raises(Refused) as caught:
        each.refuse_part_of_bundle(lines)

    assert caught.value.why is R.BUNDLE


def test_a_whole_bundle_and_deals_of_other_cards_pass() -> None:
    each = room()
    each.learn_cards([card("bundle", "lip", "serum"), card("deal", "alone", "other")])

    each.refuse_part_of_bundle([("lip", 1), ("serum", 1)])
    each.refuse_part_of_bundle([("serum", 2), ("lip", 2), ("alone", 1)])
    each.refuse_part_of_bundle([("alone", 1)])
