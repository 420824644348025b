"""A crowd on the real server: exactly the stock is held, every request is answered, duplicates change nothing."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecommerce.client.refusals import refused
from livecommerce.errors import R, Refused
from livecommerce.protocol.facts import Hold, Level
from livecommerce.protocol.from_viewer import Reserve, WantLine
from livecommerce.protocol.to_viewer import Answer, RefusedMessage
from tests.conservation import check_conservation
from tests.live_server import Deal, LiveServer, Watcher, live_server, live_show, merchant_folder

__all__ = ["merchant_folder"]

VIEWERS, UNITS, SECOND_UNITS = 500, 50, 90


@pytest.fixture(scope="module")
def server(merchant_folder: Path) -> Iterator[LiveServer]:
    with live_server(merchant_folder, HELLO_SECONDS="60") as running:  # five hundred hellos from one loop
        yield running


async def test_five_hundred_sockets_for_fifty_units(server: LiveServer) -> None:
    """Each asks twice under one rid for the first deal (limit 1). Every fourth asks under another rid again, and three
    times, each under its own rid, for the second deal (limit 2)."""
    async with live_show(server, Deal(UNITS, limit=1), Deal(SECOND_UNITS, limit=2, label="Coral")) as show:
        first, second = show.deals
        crowd = [Watcher(show, viewer_id, token) for viewer_id, token in server.crowd(VIEWERS)]
        try:
            await asyncio.gather(*(each.__aenter__() for each in crowd))

            asked = dict(
                await asyncio.gather(*(_tap(each, number, first, second) for number, each in enumerate(crowd)))
            )
            told = {each.viewer_id: _answers_of(each) for each in crowd}
            for viewer_id, rids in asked.items():
                times = {rid: len(told[viewer_id][rid]) for rid in rids}
                assert times == rids, f"{viewer_id} asked {rids} and was answered {times}"

            last = {}
            outcomes: dict[str, Counter[str]] = defaultdict(Counter)
            for viewer_id, answers in told.items():
                for rid, each in answers.items():
                    assert len({_outcome(answer) for answer in each}) == 1, f"duplicates differ: {each}"
                    last[viewer_id, rid] = each[-1]
                    outcomes[rid[:5]][_word(each[-1])] += 1

            assert sum(outcomes["first"].values()) == VIEWERS
            held = outcomes["first"]["held"] + outcomes["other"]["held"]
            assert held == UNITS
            assert set(outcomes["first"]) == {"held", "sold_out"}
            assert set(outcomes["other"]) <= {"held", "sold_out", "limit"}
            # 125 of them want two each: the second deal sells out too, and nobody has three.
            assert outcomes["secon"]["held"] == SECOND_UNITS
            assert set(outcomes["secon"]) <= {"held", "sold_out", "limit"}

            books = await check_conservation(server, show.show_id, last)
            assert books.levels[first] == Level(0, UNITS, 0, 0, 0)
            assert books.levels[second] == Level(0, SECOND_UNITS, 0, 0, 0)
            assert len(books.holds) == UNITS + SECOND_UNITS
            assert {key: books.kinds(key) for key in books.holds} == {key: {"held"} for key in books.holds}
            await asyncio.gather(*(each.until_level(first, Level(0, UNITS, 0, 0, 0)) for each in crowd))
        finally:
            await asyncio.gather(*(each.__aexit__(None, None, None) for each in crowd))


async def _tap(one: Watcher, number: int, first: str, second: str) -> tuple[str, dict[str, int]]:
    """Send everything at once; (viewer id, how often each rid was sent) once every request has its answer."""
    rids = {f"first-{number:04}": 2}
    wanted = [(f"first-{number:04}", first)] * 2
    if number % 4 == 0:
        further = [(f"other-{number:04}", first), *((f"second-{number:04}-{n}", second) for n in range(3))]
        rids |= {rid: 1 for rid, _ in further}
        wanted += further
    for rid, deal_id in wanted:
        await one.socket.send(Reserve(rid, (WantLine(deal_id, 1),)))
    await one.until(lambda: sum(map(len, _answers_of(one).values())) >= len(wanted), "all her answers")
    return one.viewer_id, rids


def _answers_of(one: Watcher) -> dict[str, list[Hold | Refused]]:
    answers: dict[str, list[Hold | Refused]] = defaultdict(list)
    for message in one.messages:
        if isinstance(message, Answer):
            answers[message.rid].append(message.hold)
        elif isinstance(message, RefusedMessage):
            answers[message.re].append(refused(message.number, message.text))
    return answers


def _outcome(answer: Hold | Refused) -> object:
    """What must not differ between two answers to one rid; the time that is left does."""
    return answer.why if isinstance(answer, Refused) else (answer.state, answer.ticket, answer.lines)


def _word(answer: Hold | Refused) -> str:
    assert not isinstance(answer, Refused) or answer.why in (R.SOLD_OUT, R.LIMIT), answer
    return answer.why.value.word if isinstance(answer, Refused) else answer.state
