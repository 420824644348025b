"""A generator and the real server: what viewers do is recorded whole, counted from its plan, and survives breaks."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecommerce.audit.digest import digest_of
from livecommerce.protocol.facts import Level
from loadtest.generate import generator
from loadtest.machine import boot_id
from loadtest.measure.health import LimitError
from loadtest.orders import After, Chat, ClockSet, Cut, Failed, Join, Leave, Rush, Tap, ViewerPass
from loadtest.records import Answered, Asked, Disorder, Ended, EventSeen, Paid, RefusedTo, Segment, Told
from tests.live_server import Deal, LiveServer, Show, Watcher, live_server, live_show, merchant_folder, until
from tests.loadtest.generate.baton import PATIENCE_SECONDS, Baton, final_of, show_marked_card

__all__ = ["merchant_folder"]

VIEWERS = 50


@pytest.fixture(scope="module")
def server(merchant_folder: Path) -> Iterator[LiveServer]:
    with live_server(merchant_folder) as running:
        yield running


@pytest.fixture(params=["native", "portable"])
def portable(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "portable"


async def test_all_come_in_and_see_every_card_to_the_end(server: LiveServer, portable: bool) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show, portable=portable) as baton:
        viewers = await baton.join(VIEWERS)
        for _ in range(3):
            await show_marked_card(show, baton.now_us())
        epoch, last = await final_of(show)
        await baton.finish((epoch, last))
        await baton.prove()

        assert baton.prepared is not None
        assert baton.prepared.receiver == ("portable" if portable else "native")
        counters = baton.counters
        assert (counters["joins_planned"], counters["joined"], counters["join_failed"]) == (VIEWERS, VIEWERS, 0)
        assert baton.histograms["join"].count == VIEWERS
        assert counters["state_received"] == 3 * VIEWERS
        assert baton.histograms["state"].count == 3 * VIEWERS
        assert counters["state_gaps"] == counters["state_duplicates"] == 0
        segments = baton.recorded(Segment)
        assert sorted(each.viewer for each in segments) == sorted(viewers)
        assert {(each.epoch, each.to_offset, each.by, each.closed) for each in segments} == {
            (epoch, last, "snapshot", -1)
        }
        assert baton.failures == []
        assert baton.gauges["in"] == VIEWERS
        assert sorted(baton.recorded(Ended), key=lambda each: each.viewer) == [
            Ended(viewer, "in") for viewer in sorted(viewers)
        ]
        assert counters["not_back"] == counters["sent_away"] == 0


async def test_events_are_recorded_once_with_the_digest_of_what_the_log_holds(server: LiveServer) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show) as baton:
        await baton.join(5)
        viewer_id, token = await server.viewer("Ada")
        async with Watcher(show, viewer_id, token) as watcher:
            for _ in range(2):
                await show_marked_card(show, baton.now_us())
            await watcher.until(lambda: len(watcher.saw("card_shown")) == 2, "both cards")
            epoch, _, events = watcher.seen[-1]
        await baton.finish(await final_of(show))
        await baton.prove()

        seen = baton.recorded(EventSeen)
        assert len(seen) == len({(each.epoch, each.offset) for each in seen})
        digests = {(each.epoch, each.offset): each.digest for each in seen}
        assert len(events) >= 2
        for stamped in events:
            assert digests[epoch, stamped.offset] == digest_of(stamped)


async def test_chat_is_sent_as_planned_and_counts_from_its_mark(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show) as baton:
        await baton.join(20)
        at_us = baton.now_us()
        await baton.order(lambda number: Chat(number, "all", at_us, 1.0, 30.0, arrivals="even"))
        await baton.until(lambda: baton.counters["talk_lines"], "talk")
        await baton.finish(await final_of(show))
        await baton.prove()

        counters = baton.counters
        assert counters["chat_planned"] == 30
        assert counters["chat_sent"] == 30
        assert baton.histograms["said"].count == 30
        assert counters["refused"] == counters["chat_lost"] == 0
        assert counters["talk_lines"] > 0
        assert baton.histograms["talk"].count > 0
        assert baton.histograms["late"].count == 20 + 30  # they came in by plan, too


async def test_every_tap_is_answered_once_and_given_back(server: LiveServer) -> None:
    async with live_show(server, Deal(60, limit=2)) as show, Baton(show) as baton:
        await baton.join(VIEWERS)
        at_us = baton.now_us()
        deals = tuple(show.deals)
        await baton.order(lambda number: Tap(number, "all", at_us, 3.0, 20.0, deals, release_after_ms=20))
        await baton.until(lambda: baton.counters["answers.released"] == 60, "all given back")
        await baton.finish(await final_of(show))
        await baton.prove()

        counters = baton.counters
        assert counters["taps_planned"] == 60 == counters["taps_sent"]
        assert counters["answers.held"] == counters["answers.released"] == 60
        assert counters["unanswered"] == counters["late_answers"] == counters["refused"] == 0
        assert baton.histograms["reserve"].count == baton.histograms["release"].count == 60
        asked, answered = baton.recorded(Asked), baton.recorded(Answered)
        assert Counter((each.viewer, each.rid, each.verb) for each in asked) == Counter(
            (each.viewer, each.rid, "reserve" if each.state == "held" else "release") for each in answered
        )
        assert all(0 < each.planned_us <= each.at_us for each in asked)
        assert all(each.lines == ((deals[0], 1),) for each in answered)
        now_ms = time.time() * 1000
        assert all((each.due_at_ms > now_ms) == (each.state == "held") for each in answered)


async def test_who_holds_her_unit_is_passed_over(server: LiveServer) -> None:
    async with live_show(server, Deal(40)) as show, Baton(show) as baton:
        await baton.join(5)
        at_us = baton.now_us()
        await baton.order(lambda number: Tap(number, "all", at_us, 0.4, 50.0, tuple(show.deals)))
        await baton.finish()
        await baton.prove()

        assert baton.counters["taps_planned"] == 20
        assert baton.counters["taps_sent"] == 5 == baton.counters["answers.held"]
        assert baton.counters["taps_skipped"] == 15
        assert len({each.viewer for each in baton.recorded(Asked)}) == 5


async def test_taps_that_wait_are_sent_late_and_counted_from_their_plan(server: LiveServer) -> None:
    """Three viewers, each held up by 100 ms for each tap: they cannot send 50 a second."""
    async with live_show(server, Deal(40, limit=2)) as show, Baton(show) as baton:
        await baton.join(3)
        at_us = baton.now_us()
        await baton.order(lambda number: Tap(number, "all", at_us, 2.0, 50.0, tuple(show.deals), release_after_ms=100))
        await baton.finish()
        await baton.prove()

        counters = baton.counters
        assert counters["taps_planned"] == 100 == counters["taps_sent"] + counters["taps_skipped"]
        assert counters["waited_sends"] > 0
        assert baton.histograms["reserve"].count == counters["taps_sent"]
        assert all(each.at_us - each.planned_us < PATIENCE_SECONDS * 1e6 for each in baton.recorded(Asked))
        late = [
            each for each in baton.recorded(Asked) if each.verb == "reserve" and each.at_us > each.planned_us + 10_000
        ]
        assert late


async def test_what_nobody_could_say_in_time_is_counted_as_skipped(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show) as baton:
        await baton.join(2)
        at_us = baton.now_us()
        await baton.order(lambda number: Chat(number, "all", at_us, 0.5, 40.0, arrivals="even"))
        await baton.finish()
        await baton.prove()

        assert baton.counters["chat_planned"] == 20
        assert baton.counters["chat_sent"] == 20 - baton.counters["chat_skipped"]
        assert baton.counters["chat_skipped"] > 0


async def test_who_is_not_back_at_the_end_is_counted_and_recorded(server: LiveServer) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show) as baton:
        viewers = await baton.join(4)
        at_us = baton.now_us()
        await baton.order(lambda number: Cut(number, "all", at_us, away_ms=(60_000, 60_000)))
        stayer = await baton.join(1, group="stays")
        await baton.finish(await final_of(show), patience_seconds=0.2)

        assert baton.counters["not_back"] == 4
        assert {each.viewer: each.stage for each in baton.recorded(Ended)} == {
            **dict.fromkeys(viewers, "away"),
            stayer[0]: "in",
        }


async def test_a_loopback_address_of_another_host_is_refused_in_words(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show, boot_id="of another host") as baton:
        assert baton.prepared is None
        (failed,) = baton.failures
        assert failed.fatal
        assert "by an address that all hosts reach" in failed.text


async def test_a_loopback_address_of_the_same_host_is_where_the_server_is(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show, boot_id=boot_id()) as baton:
        assert baton.prepared is not None


async def test_a_clock_that_is_set_again_counts_for_what_is_received(server: LiveServer, portable: bool) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show, portable=portable) as baton:
        await baton.join(5)
        before_us = baton.now_us()
        await baton.send(ClockSet(-time.monotonic_ns() + 3_000_000_000_000))
        await baton.until(lambda: baton.now_us() > before_us + 2_000_000_000, "the new clock")
        await show_marked_card(show, baton.now_us())
        await baton.finish(await final_of(show))

        assert baton.counters["state_received"] == 5 == baton.histograms["state"].count


async def test_a_rush_waits_for_the_opening_and_sells_exactly_what_is_there(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show) as baton:
        await baton.join(VIEWERS)
        show.card_id, show.deals = await show.add_card(Deal(8))
        deal_id = show.deals[0]
        await baton.order(lambda number: Rush(number, "all", (deal_id,), reaction_median_ms=60.0))
        assert baton.counters["taps_planned"] == 0
        opened_us = baton.now_us()
        await show.command(do="show_card", card_id=show.card_id)
        await baton.until(lambda: baton.counters["answers"] + baton.counters["refused"] == VIEWERS, "all answers")
        await baton.finish(await final_of(show))
        await baton.prove()

        assert baton.counters["answers.held"] == 8
        assert baton.counters["refused.400"] == VIEWERS - 8
        assert {each.number for each in baton.recorded(RefusedTo)} == {400}
        asked = baton.recorded(Asked)
        assert len(asked) == VIEWERS == len({each.viewer for each in asked})
        assert min(each.planned_us for each in asked) > opened_us
        assert baton.histograms["reserve"].count == VIEWERS


async def test_a_rush_of_a_deal_that_is_open_already_begins_at_once(server: LiveServer) -> None:
    async with live_show(server, Deal(40)) as show, Baton(show) as baton:
        await baton.join(5)
        await baton.order(lambda number: Rush(number, "all", tuple(show.deals), reaction_median_ms=1.0))
        await baton.until(lambda: baton.counters["answers.held"] == 5, "five holds")
        await baton.finish()
        await baton.prove()


async def test_some_pay_some_give_back_and_the_line_takes_what_is_freed(server: LiveServer) -> None:
    after = After(pay_share=0.5, release_share=0.5, think_median_ms=5.0, accept_share=1.0)
    async with live_show(server, Deal(6)) as show, Baton(show) as baton:
        await baton.join(20)
        deals = tuple(show.deals)
        await baton.order(lambda number: Rush(number, "all", deals, reaction_median_ms=1.0, wait=True, after=after))
        await baton.until(lambda: baton.counters["orders_confirmed"] == 6, "six orders")
        await baton.finish(await final_of(show))
        await baton.prove()

        counters = baton.counters
        assert counters["checkouts"] == 6 == counters["orders.confirmed"] == counters["pays_pressed"]
        assert counters["checkouts_planned"] == 6 + counters["checkouts_failed"]
        assert counters["pays_unconfirmed"] == 0
        assert baton.histograms["checkout"].count == 6
        assert baton.histograms["pay"].count == 6
        paid = {each.order_id for each in baton.recorded(Paid) if each.status == "confirmed"}
        assert len(paid) == 6
        assert counters["answers.released"] > 0
        assert baton.histograms["accept"].count > 0
        assert any(each.state == "offered" for each in baton.recorded(Told))
        viewer_id, token = await server.viewer("Ada")
        async with Watcher(show, viewer_id, token) as watcher:
            await watcher.until(lambda: watcher.levels[deals[0]].sold == 6, "all sold")


async def test_after_a_cut_all_resume_and_miss_nothing(server: LiveServer, portable: bool) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show, portable=portable) as baton:
        viewers = await baton.join(VIEWERS)
        await show_marked_card(show, baton.now_us())
        at_us = baton.now_us()
        await baton.order(lambda number: Cut(number, "all", at_us, away_ms=(50, 100)))
        for _ in range(3):
            await show_marked_card(show, baton.now_us())
        await baton.until(lambda: baton.counters["returns"] == VIEWERS, "all back")
        epoch, last = await final_of(show)
        await baton.finish((epoch, last))
        await baton.prove()

        counters = baton.counters
        assert counters["cuts"] == VIEWERS == counters["recovered"]
        assert counters["snapshots"] == counters["disconnects"] == counters["state_gaps"] == 0
        assert baton.histograms["catch_up"].count == VIEWERS
        assert counters["state_received"] == 4 * VIEWERS
        by_viewer: dict[str, list[Segment]] = {viewer: [] for viewer in viewers}
        for segment in baton.recorded(Segment):
            by_viewer[segment.viewer].append(segment)
        for first, second in by_viewer.values():
            assert (first.by, first.closed) == ("snapshot", 0)
            assert (second.by, second.closed) == ("resume", -1)
            assert first.to_offset == second.from_offset
            assert second.to_offset == last
        assert baton.recorded(Disorder) == []


async def test_what_was_unanswered_at_the_cut_is_asked_again_under_the_same_rid(server: LiveServer) -> None:
    """Taps and cuts at the same instants, in turn: some answers are lost with the line."""
    async with live_show(server, Deal(500, limit=20)) as show, Baton(show) as baton:
        await baton.join(20)
        at_us = baton.now_us() + 50_000
        deals = tuple(show.deals)
        await baton.send(Tap(901, "all", at_us, 1.0, 300.0, deals, release_after_ms=0))
        await baton.order(lambda number: Cut(number, "all", at_us, 1.0, 150.0))
        await baton.until(lambda: 901 in baton._ready, "all taps")
        await baton.finish(await final_of(show))
        await baton.prove()

        asked, answered = baton.recorded(Asked), baton.recorded(Answered)
        again = [each for each in asked if each.again]
        assert again, "no cut met a request"
        assert baton.counters["unanswered"] == 0
        first = {(each.viewer, each.rid, each.verb): each for each in asked if not each.again}
        heard = {(each.viewer, each.rid) for each in answered}
        for each in again:
            one = first[each.viewer, each.rid, each.verb]
            assert (each.lines, each.planned_us) == (one.lines, one.planned_us)
            assert (each.viewer, each.rid) in heard
        assert await _units(server, show, deals[0]) == 500


async def test_failed_joins_stay_in_the_count_with_their_reason(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show) as baton:
        crowd = server.crowd
        server.crowd = lambda count: [(viewer, f"{token}x") for viewer, token in crowd(count)]  # type: ignore[method-assign]
        try:
            await baton.join(4)
        finally:
            server.crowd = crowd  # type: ignore[method-assign]
        await baton.join(2)
        await baton.finish()
        await baton.prove()

        assert (baton.counters["joins_planned"], baton.counters["joined"]) == (6, 2)
        assert baton.counters["join_failed"] == 4 == baton.counters["join_failed.closed_4501"]
        assert baton.counters["refused.202"] == 4


async def test_a_limit_of_this_machine_breaks_off_with_its_words(
    server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(viewers: int) -> None:
        raise LimitError(f"{viewers} viewers need more descriptors")

    monkeypatch.setattr(generator, "need_descriptors", too_many)
    async with live_show(server) as show, Baton(show) as baton:
        passes = tuple(ViewerPass(*each) for each in server.crowd(3))
        await baton.send(Join(1, "all", passes, 0, 10.0))
        await until(lambda: baton.failures)
        assert baton.failures == [Failed("3 viewers need more descriptors")]
        assert baton.counters["joins_planned"] == 0


async def test_two_generators_send_one_stream_together(server: LiveServer) -> None:
    async with live_show(server) as show, Baton(show, share=(0, 2)) as first, Baton(show, share=(1, 2)) as second:
        for each in (first, second):
            await each.join(10)
            at_us = each.now_us()
            await each.order(lambda number, at_us=at_us: Chat(number, "all", at_us, 1.0, 41.0, arrivals="even"))  # type: ignore[misc]
            await each.finish()
        assert (first.counters["chat_planned"], second.counters["chat_planned"]) == (21, 20)


async def test_slow_viewers_come_in_and_read_no_faster(server: LiveServer, portable: bool) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show, portable=portable) as baton:
        await baton.join(3, group="slow", read_bytes_per_second=20_000, receive_buffer_bytes=4096)
        await baton.join(3)
        await show_marked_card(show, baton.now_us())
        await baton.finish(await final_of(show))
        await baton.prove()

        assert baton.counters["joined"] == 6
        assert baton.counters["state_received"] == 6


async def test_who_leaves_says_goodbye_and_stays_away(server: LiveServer) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show) as baton:
        leavers = await baton.join(3, group="early")
        stayers = await baton.join(3)
        at_us = baton.now_us()
        await baton.order(lambda number: Leave(number, "early", at_us))
        await show_marked_card(show, baton.now_us())
        epoch, last = await final_of(show)
        await baton.finish((epoch, last))
        await baton.prove()

        ends = {each.viewer: (each.closed, each.to_offset) for each in baton.recorded(Segment)}
        assert {ends[viewer][0] for viewer in leavers} == {1000}
        assert {ends[viewer] for viewer in stayers} == {(-1, last)}


async def test_a_server_that_goes_away_sends_everybody_back_and_loses_nobody(server: LiveServer) -> None:
    async with live_show(server, Deal(10)) as show, Baton(show) as baton:
        await baton.join(VIEWERS)
        web = server.kill("web")
        await server.until_replaced("web", web)
        await baton.until(lambda: baton.counters["returns"] == VIEWERS, "all back")
        await show_marked_card(show, baton.now_us())
        await baton.finish(await final_of(show))
        await baton.prove()

        assert baton.counters["disconnects"] == VIEWERS == baton.counters["disconnects.1006"]
        assert {each.closed for each in baton.recorded(Segment)} == {1006, -1}


async def _units(server: LiveServer, show: Show, deal_id: str) -> int:
    """Units that are not held any more, once the last holds of the run were given back or are still live."""
    viewer_id, token = await server.viewer("Grace")
    async with Watcher(show, viewer_id, token) as watcher:
        await watcher.until(lambda: deal_id in watcher.levels, "levels")
        level: Level = watcher.levels[deal_id]
        return level.available + level.held
