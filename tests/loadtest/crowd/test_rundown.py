"""A show's own rundown as timed actions of its host."""

from typing import Any

import msgspec
import pytest

from livecommerce.protocol.from_host import CommandEnvelope, OpenDeal
from loadtest.crowd.rundown import Pace, deals_of, read_rundown, timed


def _deal(deal_id: str, status: str = "draft", quota: int = 24) -> dict[str, Any]:
    return {"deal_id": deal_id, "status": status, "quota": quota, "limit_per_viewer": 2, "price_minor": 1900}


def _card(card_id: str, *deals: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"card_id": card_id, "kind": "deal", "title": card_id.upper(), "line": "", "deals": list(deals)} | fields


def _show(*cards: dict[str, Any], status: str = "scheduled") -> dict[str, Any]:
    return {"show": {"show_id": "shw_1", "status": status, "title": "Evening"}, "cards": list(cards), "on_air": ""}


PACE = Pace(
    welcome_seconds=10, countdown_seconds=5, deal_seconds=60, product_seconds=20, pause_seconds=3, farewell_seconds=30
)


def test_the_evening_is_played_card_by_card() -> None:
    answer = _show(_card("lips", _deal("a"), _deal("b")), _card("talk", kind="product"))

    actions = timed(read_rundown(answer), PACE)

    assert [(action.at_seconds, action.do, action.card_id, action.deal_id) for action in actions] == [
        (0, "go_live", "", ""),
        (10, "show_card", "lips", ""),
        (75, "close_deal", "lips", "a"),
        (75, "close_deal", "lips", "b"),
        (75, "hide_card", "lips", ""),
        (78, "show_card", "talk", ""),
        (98, "hide_card", "talk", ""),
        (128, "end", "", ""),
    ]
    assert (actions[1].opens, actions[1].opens_at_seconds) == (("a", "b"), 15)


def test_every_action_is_a_command_the_server_knows() -> None:
    for countdown in (0, 5):
        pace = msgspec.structs.replace(PACE, countdown_seconds=countdown)
        for action in timed(read_rundown(_show(_card("lips", _deal("a")))), pace):
            envelope = {"command_id": "play-0001", "command": action.command()}
            command = msgspec.convert(envelope, CommandEnvelope, strict=True).command
            assert not isinstance(command, OpenDeal)
            assert command.__struct_config__.tag == action.do


def test_what_is_over_or_left_to_the_servers_clock_is_not_played() -> None:
    answer = _show(
        _card("seen", _deal("a", "closed"), state="done"),
        _card("secret", _deal("b"), hidden_until_launch=True),
        _card("left", _deal("c", "closed"), _deal("d", "open")),
        status="live",
    )

    actions = timed(read_rundown(answer), PACE, end=False)

    assert [(action.do, action.deal_id) for action in actions] == [
        ("show_card", ""), ("close_deal", "d"), ("hide_card", ""),
    ]  # fmt: skip
    assert actions[0].opens == ()
    assert actions[0].countdown_seconds == 0


def test_the_rundown_is_read_from_the_bytes_of_the_endpoint_too() -> None:
    rundown = read_rundown(msgspec.json.encode(_show(_card("lips", _deal("a", quota=7), _deal("b")))))

    assert deals_of(rundown) == {"a": 7, "b": 24}


@pytest.mark.parametrize("answer", [b"<html>", {"cards": []}, {"show": {"show_id": 1}, "cards": []}])
def test_something_else_is_refused_in_words(answer: Any) -> None:
    with pytest.raises(ValueError, match="not a show as staff reads it"):
        read_rundown(answer)


def test_a_show_that_is_over_or_has_no_card_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="is ended: there is nothing left to play"):
        timed(read_rundown(_show(_card("lips"), status="ended")))
    with pytest.raises(ValueError, match="no card that its host could show"):
        timed(read_rundown(_show()))


@pytest.mark.parametrize(("field", "value"), [("deal_seconds", -1.0), ("countdown_seconds", 4_000)])
def test_a_pace_that_cannot_be_is_refused_in_words(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match="countdown is at most an hour" if value > 0 else f"{field} is a number"):
        Pace(**{field: value})
