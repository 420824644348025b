"""The whole server as it runs in a shop: a sale from tap to receipt, ends of its processes, and callers who mean harm.

Nothing here is a stand-in: `livecommerce serve` with its Valkey, its worker and its ledger, spoken to as outsiders do.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.frames import Opcode

from livecommerce.client import Api
from livecommerce.client.socket import new_rid
from livecommerce.clock import RealClock
from livecommerce.errors import Close, R, Refused
from livecommerce.gateway.socket import STRIKES_MAX
from livecommerce.protocol import codec
from livecommerce.protocol.codec import JSON, MSGPACK
from livecommerce.protocol.facts import Hold, Level
from livecommerce.protocol.from_viewer import Hello, Ping, Reserve, Say, WantLine
from livecommerce.protocol.to_viewer import Bye, Pong, RefusedMessage, Relay, Talk
from livecommerce.reservations import ReservationEngine
from livecommerce.reservations.draw import commitment_of
from livecommerce.settings import read_settings
from tests.conservation import check_conservation, read_books
from tests.gateway.live import Raw, handshake
from tests.live_server import (
    HANDLE,
    WAIT_SECONDS,
    Deal,
    LiveServer,
    Show,
    Watcher,
    desk,
    insist,
    is_running,
    live_server,
    live_show,
    merchant_folder,
    until,
    watcher,
)

__all__ = ["merchant_folder"]

HELLO_SECONDS = 5


@pytest.fixture(scope="module")
def server(merchant_folder: Path) -> Iterator[LiveServer]:
    with live_server(merchant_folder, HELLO_SECONDS=str(HELLO_SECONDS)) as running:
        yield running


async def outcome(asked: Awaitable[Hold]) -> Hold | Refused:
    try:
        return await asked
    except Refused as refused:
        return refused


def no(answer: Hold | Refused) -> Refused:
    assert isinstance(answer, Refused), answer
    return answer


def yes(answer: Hold | Refused) -> Hold:
    assert isinstance(answer, Hold), answer
    return answer


# --- a sale ---------------------------------------------------------------------------------------------------------


async def test_one_unit_two_viewers_all_pages_agree_to_the_receipt(server: LiveServer) -> None:
    """One holds and pays; the other reads how it stands; host, API, Redis and ledger say the same."""
    async with (
        live_show(server, Deal(1)) as show,
        await desk(show) as host,
        await watcher(show, "Ada") as ada,
        await watcher(show, "Ben", subprotocol=JSON) as ben,
        await watcher(show, "Cleo") as cleo,
    ):
        (deal,) = show.deals
        rids = {ada: new_rid(), ben: new_rid()}
        answers = await asyncio.gather(*(outcome(each.tap(deal, rid=rid)) for each, rid in rids.items()))
        first, second = (ada, ben) if isinstance(answers[0], Hold) else (ben, ada)
        held, sold_out = (answers[0], answers[1]) if first is ada else (answers[1], answers[0])
        assert yes(held).state == "held"
        assert no(sold_out).why is R.SOLD_OUT
        counted = {"available": 0, "held": 1, "paying": 0, "sold": 0}
        assert no(sold_out).facts == {"deal_id": deal, **counted, "waiting": 0, "place": 1}
        waits = await second.tap(deal, wait=True)
        assert (waits.state, waits.place) == ("waiting", 1)

        checkout = await first.check_out(rids[first])
        order_id = checkout["order"]["order_id"]
        assert checkout["order"]["status"] == "paying"
        for each in (ada, ben, cleo, host):
            await each.until_level(deal, Level(0, 0, 1, 0, 1))
        late = no(await outcome(cleo.tap(deal)))
        assert late.why is R.SOLD_OUT
        assert late.facts["paying"] == 1
        assert late.facts["place"] == 2

        pressed = await first.press(checkout["pay_url"], "pay")
        assert pressed["webhooks"] == [200]
        mine = await first.until(
            lambda: first.orders[order_id] if first.order_is(order_id, "confirmed") else None, "her receipt"
        )
        assert mine.pickup_code
        assert mine.total_minor == 1900
        for each in (ada, ben, cleo, host):
            await each.until_level(deal, Level(0, 0, 0, 1, 1))
        await first.until_state(rids[first], "confirmed")
        told = await host.until(
            lambda: [frame.order for frame in host.desk if frame.order and frame.order.status == "confirmed"],
            "the order on the desk",
        )
        assert {order.order_id for order in told} == {order_id}  # worker and web may both have told it
        (listed,) = await first.my_orders()
        assert (listed["order"]["status"], listed["order"]["pickup_code"]) == ("confirmed", mine.pickup_code)
        assert await second.my_orders() == []
        staff = await show.host.get(f"/api/staff/shows/{show.show_id}/orders")
        assert [order["order"]["order_id"] for order in staff["orders"]] == [order_id]
        totals = staff["totals"]
        assert (totals["units_held"], totals["units_paying"], totals["units_sold"]) == (0, 0, 1)

        with pytest.raises(Refused) as again:
            await first.press(checkout["pay_url"], "pay")
        assert again.value.why is R.PAYMENT_GONE
        books = await check_conservation(server, show.show_id)
        kinds = books.kinds((first.viewer_id, rids[first]))
        assert kinds == {"held", "paying", "confirmed", "order_paying", "order_confirmed"}
        async with Watcher(show, first.viewer_id, first.token) as reloaded:
            assert reloaded.orders[order_id].status == "confirmed"
            assert reloaded.levels[deal] == Level(0, 0, 0, 1, 1)


async def test_a_hold_that_runs_out_goes_to_whoever_waits_first(server: LiveServer) -> None:
    """The worker's heartbeat ends it on the real clock; the public never sees the unit."""
    async with (
        live_show(server, Deal(1, hold_seconds=5)) as show,
        await watcher(show, "Ada") as ada,
        await watcher(show, "Ben") as ben,
        await watcher(show, "Cleo") as cleo,
    ):
        (deal,) = show.deals
        held = await ada.tap(deal)
        first, second = await ben.tap(deal, wait=True), await cleo.tap(deal, wait=True)
        assert (first.place, second.place) == (1, 2)
        assert (await ada.until_state(held.rid, "expired")).state == "expired"
        offered = await ben.until_state(first.rid, "offered")
        assert offered.due_at_ms is not None
        assert no(await outcome(ada.tap(deal))).why is R.SOLD_OUT
        assert (await ben.socket.accept(first.rid)).state == "held"
        await cleo.until_level(deal, Level(0, 1, 0, 0, 1))
        assert cleo.holds[second.rid].state == "waiting"
        books = await check_conservation(server, show.show_id)
        assert {"held", "expired"} <= books.kinds((ada.viewer_id, held.rid))
        assert {"offered", "accepted"} <= books.kinds((ben.viewer_id, first.rid))


async def test_silence_at_payment_frees_the_unit_and_late_money_goes_back(server: LiveServer) -> None:
    """Nothing comes until the deadline: the next in line gets the unit; money that comes after all is refunded."""
    async with (
        live_show(server, Deal(1)) as show,
        await watcher(show, "Ada") as ada,
        await watcher(show, "Ben") as ben,
    ):
        (deal,) = show.deals
        held = await ada.tap(deal)
        waits = await ben.tap(deal, wait=True)
        checkout = await ada.check_out(held.rid)
        order_id = checkout["order"]["order_id"]
        assert (await ada.press(checkout["pay_url"], "silence"))["webhooks"] == []
        server.pay_deadline_now(order_id)
        await ada.until(lambda: ada.order_is(order_id, "expired"), "the order to expire")
        await ben.until_state(waits.rid, "offered")
        with pytest.raises(Refused) as gone:
            await ada.press(checkout["pay_url"], "pay")
        assert gone.value.why is R.PAYMENT_GONE

        await ada.press(checkout["pay_url"], "late")
        await ada.until(lambda: ada.order_is(order_id, "refunded"), "the refund")
        await ben.socket.accept(waits.rid)
        await ben.press((await ben.check_out(waits.rid))["pay_url"], "pay")
        for each in (ada, ben):
            await each.until_level(deal, Level(0, 0, 0, 1, 0))
        books = await check_conservation(server, show.show_id)
        assert {order.viewer_id: order.status for order in books.orders} == {
            ada.viewer_id: "refunded",
            ben.viewer_id: "confirmed",
        }


# --- processes end --------------------------------------------------------------------------------------------------


async def _restart(server: LiveServer) -> None:
    await asyncio.to_thread(server.restart)


async def _kill_web(server: LiveServer) -> None:
    await server.until_replaced("web", server.kill("web"))


async def _kill_worker(server: LiveServer) -> None:
    await server.until_replaced("worker", server.kill("worker"))


async def _kill_valkey(server: LiveServer) -> None:
    await server.until_replaced("valkey", server.kill("valkey"))


async def _kill_supervisor(server: LiveServer) -> None:
    children = server.kill_supervisor()
    assert len(children) == 3
    await until(lambda: not any(map(is_running, children)), "the supervisor's children to end with it")
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("fault", [_restart, _kill_web, _kill_worker, _kill_valkey, _kill_supervisor])
async def test_show_holds_and_orders_come_through(
    server: LiveServer, fault: Callable[[LiveServer], Awaitable[None]]
) -> None:
    """In the middle of a rush: nothing that was answered is lost, no event is missed, nothing is sold twice."""
    units, names = 8, [f"Viewer {number}" for number in range(10)]
    async with live_show(server, Deal(units)) as show, contextlib.AsyncExitStack() as room:
        crowd = [
            await room.enter_async_context(Watcher(show, *each, subprotocol=JSON if number % 3 == 0 else MSGPACK))
            for number, each in enumerate(await server.viewers(names))
        ]
        ada, ben, cleo, *others = crowd
        (deal,) = show.deals
        answers: dict[tuple[str, str], Hold | Refused] = {}
        for each in (ada, ben, cleo):
            answers[each.viewer_id, RID] = await each.tap(deal, rid=RID)
        to_pay = {each: await each.check_out(RID) for each in (ada, ben)}
        await show.command(do="promise", card_id=show.card_id, text="A mirror with every order")
        before = {each: (each.socket.epoch, len(each.welcomes)) for each in crowd}

        # Ada's money moves, Cleo begins to pay, seven others take and give back all the time while it happens.
        over = asyncio.Event()
        async with asyncio.TaskGroup() as rush:
            for each in others:
                rush.create_task(_take_and_give_back(each, deal, answers, over))
            await until(lambda: len(answers) > 10, "the rush")
            rush.create_task(insist(lambda: ada.press(to_pay[ada]["pay_url"], "pay")))
            begun = rush.create_task(insist(lambda: cleo.check_out(RID)))
            await fault(server)
            over.set()
        kept = [answers[each.viewer_id, LAST_RID] for each in others]
        assert [answer.why for answer in kept if isinstance(answer, Refused)] == [R.SOLD_OUT] * 2

        # The show is where it was, and goes on.
        assert (await show.host.get(f"/api/shows/{show.show_id}"))["show"]["status"] == "live"
        await show.show_card(Deal(3, label="Coral"))
        (further,) = show.deals
        await show.command(do="promise", card_id=show.card_id, text="And a bag")
        await server.settled(show.show_id)  # what was told while Redis was away has its number
        log = await show.log()
        for each in crowd:
            await each.until(lambda each=each: _last_promise(each) == "And a bag", "the last event")
            epoch, welcomes = before[each]
            assert each.socket.epoch == epoch
            assert all(welcome.recovered or welcome.snapshot for welcome in each.welcomes[welcomes:])
            _saw_every_event(each, log)
        for each, answer in zip(others, kept, strict=True):
            assert (LAST_RID in each.holds) == isinstance(answer, Hold)
            assert each.holds[LAST_RID].state == "held" if isinstance(answer, Hold) else True

        # And so do the orders: what was begun before has the same link, and money that came is heard.
        assert (await ben.check_out(RID))["pay_url"] == to_pay[ben]["pay_url"]
        await ben.press(to_pay[ben]["pay_url"], "pay")
        checkout = begun.result()
        assert not isinstance(checkout, Refused), checkout
        await cleo.press(checkout["pay_url"], "pay")
        for each in (ada, ben, cleo):
            await each.until(
                lambda each=each: [order.status for order in each.orders.values()] == ["confirmed"], "paid"
            )
        for each in crowd:
            await each.until_level(deal, Level(0, units - 3, 0, 3, 0))
        answers[others[0].viewer_id, "rid-further"] = await others[0].tap(further, rid="rid-further")
        books = await check_conservation(server, show.show_id, answers)
        assert books.levels == {deal: Level(0, units - 3, 0, 3, 0), further: Level(2, 1, 0, 0, 0)}


RID, LAST_RID = "rid-of-mine", "rid-the-last"
REST_SECONDS = 0.5


async def _take_and_give_back(
    each: Watcher,
    deal: str,
    answers: dict[tuple[str, str], Hold | Refused],
    over: asyncio.Event,
    pause_seconds: float = 0.0,
) -> None:
    """Tap and release under ever new rids; once it is over, tap once more and keep what that gives. With pauses, once
    the credits of the first moments are used up: the flood rule sends away whoever never rests."""
    number = 0
    while not over.is_set():
        rid = f"rid-{number:06}"
        answers[each.viewer_id, rid] = answer = await insist(lambda rid=rid: each.tap(deal, rid=rid))
        if isinstance(answer, Hold):
            answers[each.viewer_id, rid] = await insist(lambda rid=rid: each.socket.release(rid))
        number += 1
        await asyncio.sleep(pause_seconds if number < 8 else max(pause_seconds, REST_SECONDS))
    answers[each.viewer_id, LAST_RID] = await insist(lambda: each.tap(deal, rid=LAST_RID))


def _last_promise(each: Watcher) -> str:
    """The last one she knows of, by an event or by a snapshot."""
    last = [event.text for event in each.saw("promise_made")[-1:]]
    snapshot = each.welcomes[-1].snapshot
    if not last and snapshot is not None:
        last = [text for texts in snapshot.promises.values() for text in texts][-1:]
    return last[0] if last else ""


def _saw_every_event(each: Watcher, log: list[dict[str, Any]]) -> None:
    """What she saw is what the log says, in its order, without a hole from where each run of hers began."""
    public = {row["offset"]: row for row in log if row["offset"] is not None}
    assert sorted(public) == list(range(1, len(public) + 1))
    for epoch, began_at, events in each.seen:
        offsets = [stamped.offset for stamped in events]
        assert offsets == list(range(began_at + 1, began_at + 1 + len(events)))
        for stamped in events:
            row = public[stamped.offset]
            assert (row["epoch"], row["body"]) == (epoch, _as_logged(stamped.event))
    assert each.seen[-1][1] + len(each.seen[-1][2]) == max(public)
    if not any(welcome.snapshot for welcome in each.welcomes[1:]):
        assert len(each.seen) == 1


def _as_logged(event: Any) -> Any:
    return msgspec.json.decode(codec.event_to_json(event))


@pytest.mark.parametrize("role", ["web", "worker", "valkey"])
async def test_sigstop_and_back(server: LiveServer, role: str) -> None:
    """A process stands still until everybody has noticed, and goes on as if nothing had been: nothing happens twice."""
    async with (
        live_show(server, Deal(2)) as show,
        await watcher(show, "Ada") as ada,
        await watcher(show, "Ben") as ben,
        await watcher(show, "Cleo") as cleo,
    ):
        (deal,) = show.deals
        answers: dict[tuple[str, str], Hold | Refused] = {}
        answers[ada.viewer_id, RID] = await ada.tap(deal, rid=RID)
        link = (await ada.check_out(RID))["pay_url"]
        over = asyncio.Event()
        (pid,) = server.pids(role)
        async with asyncio.TaskGroup() as rush:
            for each in (ben, cleo):
                rush.create_task(_take_and_give_back(each, deal, answers, over))
            await until(lambda: len(answers) > 3, "the rush")
            os.kill(pid, signal.SIGSTOP)
            try:
                rush.create_task(insist(lambda: ada.press(link, "pay")))
                await _noticed(server, role)
            finally:
                os.kill(pid, signal.SIGCONT)
            before = len(answers)
            await until(lambda: len(answers) > before + 2, "the rush to go on")
            over.set()
        await ada.until(lambda: [order.status for order in ada.orders.values()] == ["confirmed"], "paid")
        assert pid in server.pids(role), "it was not replaced: it went on"
        await check_conservation(server, show.show_id, answers)


async def _noticed(server: LiveServer, role: str) -> None:
    """The others have felt it: the shop does not answer that it is ready, or the worker's leases ran out."""
    if role == "worker":
        leases = "SELECT max(expires_at_ms) AS until FROM leases"
        await until(lambda: server.rows(leases)[0]["until"] < RealClock().now_ms(), "the leases to run out")
        return
    while await asyncio.to_thread(server.is_ready):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_a_viewer_who_reserves_and_vanishes(server: LiveServer) -> None:
    """Her socket breaks without a goodbye: her unit stays hers for its time, and then goes to who waits."""
    async with live_show(server, Deal(1)) as show, await watcher(show, "Ben") as ben:
        (deal,) = show.deals
        ada = await watcher(show, "Ada")
        async with ada:
            held = await ada.tap(deal)
            waits = await ben.tap(deal, wait=True)
        assert (waits.state, waits.place) == ("waiting", 1)
        await ben.until_level(deal, Level(0, 1, 0, 0, 1))
        await server.turn_hold_clock(show.show_id, 300_000)
        await ben.until_state(waits.rid, "offered")
        async with Watcher(show, ada.viewer_id, ada.token) as back:
            assert held.rid not in back.holds or back.holds[held.rid].state == "expired"
        await check_conservation(server, show.show_id)


async def test_a_second_server_on_the_same_folder_is_refused_with_words(server: LiveServer) -> None:
    second = server.spawn("--port", str(server.port + 1))
    assert await asyncio.to_thread(second.wait, WAIT_SECONDS) == 1
    assert f"Another livecommerce server runs on the data folder {server.data}" in server.log_end()
    assert server.is_ready()


async def test_a_worker_that_died_is_followed_by_one_that_opens_deals_on_time(server: LiveServer) -> None:
    """The countdown runs while nobody leads; the next worker takes the lease and opens."""
    async with live_show(server) as show, await watcher(show, "Ada") as ada:
        show.card_id, show.deals = await show.add_card(Deal(1))
        await show.command(do="show_card", card_id=show.card_id, open_in_seconds=3)
        server.kill("worker")
        assert no(await outcome(ada.tap(show.deals[0]))).why is R.DEAL_NOT_OPEN
        await ada.until(lambda: ada.saw("deal_opened"), "the opening")
        assert (await ada.tap(show.deals[0])).state == "held"
        assert ada.kept_her_line
        await check_conservation(server, show.show_id)


async def test_a_worker_that_died_in_the_window_is_followed_by_one_that_draws_with_the_same_seed(
    server: LiveServer,
) -> None:
    """Both who tapped learn the result on the same line, and the seed told is the one that was committed to."""
    async with live_show(server) as show, await watcher(show, "Ada") as ada, await watcher(show, "Bea") as bea:
        [deal_id] = await show.show_card(Deal(1, draw_seconds=10))
        entered = [yes(await outcome(who.tap(deal_id))) for who in (ada, bea)]
        assert [hold.state for hold in entered] == ["entered", "entered"]
        server.kill("worker")
        holds = list(zip((ada, bea), entered, strict=True))
        for who, hold in holds:
            await who.until(lambda who=who, hold=hold: who.holds[hold.rid].state in ("held", "waiting"), "the result")  # type: ignore[misc]
        assert sorted(who.holds[hold.rid].state for who, hold in holds) == ["held", "waiting"]
        await ada.until(lambda: ada.saw("deal_drawn"), "the seed")
        told = {row["kind"]: row["body"] for row in await show.log() if row["kind"] in ("deal_opened", "deal_drawn")}
        assert commitment_of(told["deal_drawn"]["draw"]["seed"]) == told["deal_opened"]["draw"]["commitment"]
        await check_conservation(server, show.show_id)


async def test_what_happens_to_a_hold_while_the_relay_is_cut_is_told_afterwards(server: LiveServer) -> None:
    """Her other tab, on another process, gives the hold back in the moment in which ours hears nothing."""
    async with live_show(server, Deal(1)) as show, await watcher(show, "Ada") as ada, server.redis() as redis:
        held = await ada.tap(show.deals[0])
        elsewhere = ReservationEngine(redis, read_settings({}, data=server.data), RealClock())
        await elsewhere.start()
        try:
            await elsewhere.levels(show.show_id)  # so that nothing is left to be connected
            await redis.client_kill_filter(_type="pubsub", skipme=True)
            await elsewhere.release(show.show_id, ada.viewer_id, held.rid)
        finally:
            await elsewhere.aclose()
        await ada.until(lambda: Relay(up=True) in ada.messages, "the relay to be back")
        await ada.until_level(show.deals[0], Level(1, 0, 0, 0, 0))
        await ada.until(lambda: held.rid not in ada.holds or ada.holds[held.rid].state == "released", "her hold's end")
        assert ada.kept_her_line
        await check_conservation(server, show.show_id)


# --- two processes --------------------------------------------------------------------------------------------------


async def test_two_processes_are_one_room(merchant_folder: Path) -> None:
    """Viewers on different processes see the same events in the same order; chat and stock cross."""
    with live_server(merchant_folder, "--processes", "2") as server:
        one, other = server.pids("web")
        async with live_show(server, Deal(1)) as show:
            (deal,) = show.deals
            ada_pass, ben_pass = await server.viewers(["Ada", "Ben"])
            async with (
                await on_process(show, one, other, ada_pass) as ada,
                await on_process(show, other, one, ben_pass) as ben,
                await on_process(show, other, one, ada_pass) as ada_too,
            ):
                processes = [server.process_of(each.local_port()) for each in (ada, ben, ada_too)]
                assert processes == [one, other, other]
                for number in range(6):
                    command = {"do": "hide_card"} if number % 2 == 0 else {"do": "show_card"}
                    await show.command(**command, card_id=show.card_id)
                await show.command(do="promise", card_id=show.card_id, text="The last word")
                for each in (ada, ben, ada_too):
                    await each.until(lambda each=each: each.saw("promise_made"), "the last event")
                    _saw_every_event(each, await show.log())

                await ada.socket.say("hello from here")
                await ben.socket.say("and from there")
                for each in (ada, ben, ada_too):
                    await each.until(
                        lambda each=each: {"hello from here", "and from there"} <= {line.text for line in each.lines},
                        "both lines",
                    )
                rid = new_rid()
                taps = [outcome(each.tap(deal, rid=rid)) for each in (ada, ada_too)]
                held, again, refused = await asyncio.gather(*taps, outcome(ben.tap(deal)))
                winners = [each for each in (held, again) if isinstance(each, Hold)]
                if isinstance(refused, Hold):
                    assert not winners
                else:
                    assert [hold.ticket for hold in winners] == [winners[0].ticket] * 2
                for each in (ada, ben, ada_too):
                    await each.until_level(deal, Level(0, 1, 0, 0, 0))
                await check_conservation(server, show.show_id)


async def on_process(show: Show, wanted: int, other: int, viewer: tuple[str, str]) -> Watcher:
    """A viewer whose connection the process `wanted` takes: the other one cannot, it stands still meanwhile."""
    os.kill(other, signal.SIGSTOP)
    try:
        made = Watcher(show, *viewer)
        await made.until(lambda: made.welcomes, "a welcome")
        return made
    finally:
        os.kill(other, signal.SIGCONT)


# --- those who mean harm, and those who mistype ---------------------------------------------------------------------


async def test_bad_messages_are_refused_by_number_and_move_nothing(server: LiveServer) -> None:
    async with live_show(server, Deal(3, limit=2)) as show:
        (deal,) = show.deals
        (pulled,) = await _closed_deal(show)
        before = await read_books(server, show.show_id)
        (viewer_id, token), *_ = await server.viewers(["Mal"])
        path = f"/live/{show.show_id}"

        silent = (await handshake(server.port, path))[2]  # never says hello; looked at in the end
        status, _, _ = await handshake(server.port, path, headers={"Origin": "https://evil.example"})
        assert status == 403
        assert await _turned_away(server, path, Hello(token="nonsense")) == (R.TOKEN_INVALID, Close.TOKEN_INVALID)
        assert await _turned_away(server, path, Hello(token=_tampered(token))) == (R.TOKEN_INVALID, Close.TOKEN_INVALID)
        assert await _turned_away(server, "/live/shw_none", Hello(token=token)) == (R.NOT_FOUND, Close.NOT_FOUND)

        early = (await handshake(server.port, path))[2]
        early.send(Say("c1", "before hello"))
        assert (await early.read_until(RefusedMessage)).number == R.MALFORMED.value.number
        early.close()

        seated = (await handshake(server.port, path))[2]
        await seated.hello(token=token)
        wanted = [
            (Reserve("rid-unknown", (WantLine("dl_nowhere", 1),)), R.UNKNOWN_DEAL),
            (Reserve("rid-closed-", (WantLine(pulled, 1),)), R.DEAL_CLOSED),
            (Reserve("rid-zero---", (WantLine(deal, 0),)), R.QUANTITY),
            (Reserve("rid-minus--", (WantLine(deal, -1),)), R.QUANTITY),
            (Reserve("rid-absurd-", (WantLine(deal, 2**31),)), R.QUANTITY),
            (Reserve("rid-too-many", (WantLine(deal, 3),)), R.QUANTITY),  # the limit is 2
            (Reserve("rid-half---", (WantLine(deal, 1), WantLine("dl_nowhere", 1))), R.UNKNOWN_DEAL),
        ]
        for message, why in wanted:
            seated.send(message)
            assert await _refusal(seated, message.rid) == why.value.number, message
        for raw in (b"", b"\xc1", b"\xff" * 40, b"\x81\xa1t\xa7reserve", b"\x81\xa1t\xa5hello" * 3, b"null"):
            seated.write(Opcode.BINARY, raw)
            assert await _refusal(seated) == R.MALFORMED.value.number, raw
        seated.write(Opcode.TEXT, b'{"t":"ping"}')  # text, where binary was agreed
        assert await _refusal(seated) == R.MALFORMED.value.number
        seated.send(Ping(7.0))  # and still she is served
        assert (await seated.read_until(Pong)).at == 7.0
        seated.write(Opcode.BINARY, b"\x81\xa1t" + b"\xda\xff\xff" + b"x" * 5000)
        await seated.read_all()
        assert seated.close_code == 1009

        spoken = (await handshake(server.port, path, subprotocol=JSON))[2]
        await spoken.hello(token=token)
        deep = b"[" * 4000
        for text in (b"{", b"[]", b'{"t":"reserve"}', b'{"t":"reserve","rid":"x","lines":[]}', deep, b'{"t":7}'):
            spoken.write(Opcode.TEXT, text)
            assert await _refusal(spoken) == R.MALFORMED.value.number, text
        unknown = b'{"t":"sell_me_everything"}'
        spoken.write(Opcode.TEXT, unknown)
        assert await _refusal(spoken) in (R.MALFORMED.value.number, R.UNKNOWN_TYPE.value.number)
        for _ in range(STRIKES_MAX - 7):  # seven were refused above; a line more would meet a closed door
            spoken.write(Opcode.TEXT, b"{")
        messages = await spoken.read_all()
        assert spoken.close_code == Close.BROKE_RULES
        assert isinstance(messages[-1], Bye)

        await silent.read_all()
        assert silent.close_code == Close.TOO_LATE
        await check_conservation(server, show.show_id)
        assert (await read_books(server, show.show_id)) == before
        assert viewer_id not in {key[0] for key in before.holds}


async def _closed_deal(show: Show) -> list[str]:
    """A deal the host has pulled; the show's first card is on the picture again."""
    card_id, deals = show.card_id, show.deals
    pulled = await show.show_card(Deal(1, label="Coral"))
    await show.command(do="close_deal", deal_id=pulled[0], pulled=True)
    await show.until_deals("closed")
    await show.command(do="show_card", card_id=card_id)
    show.card_id, show.deals = card_id, deals
    await show.server.settled(show.show_id)
    return pulled


async def _turned_away(server: LiveServer, path: str, hello: Hello) -> tuple[R, Close]:
    raw = (await handshake(server.port, path))[2]
    raw.send(hello)
    messages = await raw.read_all()
    number = next(message.number for message in messages if isinstance(message, RefusedMessage))
    return next(row for row in R if row.value.number == number), Close(raw.close_code)


def _tampered(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{signature[:-6]}AAAAAA"


async def _refusal(raw: Raw, re: str = "") -> int:
    """The number of the next refusal, of the request `re` where it is named."""
    while True:
        message = await raw.read_until(RefusedMessage)
        if not re or message.re == re:
            number: int = message.number
            return number


async def test_bad_calls_of_the_api_are_refused_by_number_and_move_nothing(server: LiveServer) -> None:
    async with live_show(server, Deal(3, limit=2)) as show:
        (deal,) = show.deals
        (_, token), *_ = await server.viewers(["Mal"])
        product = await show.host.get(f"/api/products/{HANDLE}")
        variant_id = product["variants"][0]["variant_id"]
        before = await read_books(server, show.show_id)
        staff = f"/api/staff/shows/{show.show_id}"

        def card(**deal: Any) -> dict[str, Any]:
            offered = {"variant_id": variant_id, "quota": 1, "price_minor": 100} | deal
            return {"kind": "deal", "product_handle": HANDLE, "deals": [offered]}

        def pay(**fields: Any) -> dict[str, Any]:
            return {"show_id": show.show_id, "rid": "never-held-0001", "delivery": "pickup"} | fields

        address = {"contact_name": "Mal", "contact": "mal@example.com", "pickup_location_id": show.counter_id}
        async with (
            Api(server.base_url, verify=False) as nobody,
            Api(server.base_url, token, verify=False) as viewer,
            Api(server.base_url, token + "x", verify=False) as forger,
        ):
            calls: list[tuple[Api, str, Any, R]] = [
                (nobody, "/api/checkouts", pay(), R.SIGN_IN),
                (forger, "/api/checkouts", pay(), R.TOKEN_INVALID),
                (viewer, "/api/checkouts", pay(**address), R.NOT_FOUND),
                (viewer, "/api/checkouts", pay(rid="no"), R.RID_INVALID),
                (viewer, "/api/checkouts", pay(delivery="pigeon"), R.MALFORMED),
                (viewer, "/api/checkouts", b"{", R.MALFORMED),
                (viewer, "/api/checkouts", b"\xff\xfe", R.MALFORMED),
                (viewer, "/api/checkouts", b"[" * 100_000, R.MALFORMED),
                (viewer, "/api/checkouts", b" " * 3_000_000, R.TOO_LARGE),
                (viewer, "/api/orders/ord_nobodys/cancel", None, R.NOT_FOUND),
                (nobody, "/api/pay/test/test_guess/pay", None, R.NOT_FOUND),
                (nobody, "/webhooks/test", {"type": "payment.captured"}, R.SIGNATURE),
                (nobody, "/webhooks/nobody", {}, R.NOT_FOUND),
                (nobody, "/api/login", {"email": "mei@shop.example", "password": "guess"}, R.WRONG_PASSWORD),
                (nobody, "/api/viewers", {"name": ""}, R.MALFORMED),
                (nobody, "/api/viewers", {"name": "x" * 400}, R.MALFORMED),
                (nobody, "/api/viewers", {"name": 7}, R.MALFORMED),
                (nobody, f"{staff}/commands", {"command_id": new_rid(), "command": {"do": "end"}}, R.SIGN_IN),
                (viewer, f"{staff}/commands", {"command_id": new_rid(), "command": {"do": "end"}}, R.FORBIDDEN),
                (show.host, f"{staff}/commands", {"command_id": new_rid(), "command": {"do": "explode"}}, R.MALFORMED),
                (show.host, f"{staff}/commands", {"command_id": "x", "command": {"do": "end"}}, R.MALFORMED),
                (show.host, "/api/staff/shows/shw_none/commands", _open("dl_none"), R.NOT_FOUND),
                (show.host, f"{staff}/commands", _open("dl_none"), R.UNKNOWN_DEAL),
                (show.host, f"{staff}/cards", card(quota=0), R.QUANTITY),
                (show.host, f"{staff}/cards", card(quota=-1), R.QUANTITY),
                (show.host, f"{staff}/cards", card(quota=2**31), R.QUANTITY),
                (show.host, f"{staff}/cards", card(limit_per_viewer=-1), R.QUANTITY),
                (show.host, f"{staff}/cards", card(price_minor=-1), R.PRICE),
                (show.host, f"{staff}/cards", card(price_minor=19.995), R.MALFORMED),
                (show.host, f"{staff}/cards", card(variant_id="var_none"), R.NOT_FOUND),
            ]  # fmt: skip
            for api, path, body, why in calls:
                with pytest.raises(Refused) as refused:
                    await api.post(path, body)
                assert refused.value.why is why, (path, str(body)[:80], refused.value)
        await _foreign_pages_are_refused(server, show)
        assert (await read_books(server, show.show_id)) == before
        assert (await show.host.get(f"/api/shows/{show.show_id}"))["show"]["status"] == "live"
        assert len((await show.host.get(staff))["cards"]) == 1
        assert before.levels[deal] == Level(3, 0, 0, 0, 0)


def _open(deal_id: str) -> dict[str, Any]:
    return {"command_id": new_rid(), "command": {"do": "open_deal", "deal_id": deal_id}}


async def _foreign_pages_are_refused(server: LiveServer, show: Show) -> None:
    """The host's own session, used by a page that is not ours, or without the word that only our pages know."""
    path = f"/api/staff/shows/{show.show_id}/commands"
    body = {"command_id": new_rid(), "command": {"do": "end"}}
    csrf = show.host.cookies.get("lc_csrf") or ""
    async with httpx.AsyncClient(base_url=server.base_url, cookies=show.host.cookies, verify=False) as browser:
        evil = {"origin": "https://evil.example", "x-csrf-token": csrf}
        assert (await browser.post(path, json=body, headers=evil)).json()["number"] == R.ORIGIN.value.number
        ours = {"origin": server.base_url}
        assert (await browser.post(path, json=body, headers=ours)).json()["number"] == R.CSRF.value.number


async def test_scripts_in_names_chat_and_titles_stay_text(server: LiveServer) -> None:
    script, image = "<script>alert(1)</script>", '<img src=x onerror="alert(1)">'
    async with (
        live_show(server, Deal(1), title=script) as show,
        await watcher(show, script) as mal,
        await watcher(show, "Ada", subprotocol=JSON) as ada,
    ):
        said = await mal.socket.say(image)
        assert said.shown
        line = await ada.until(lambda: next((line for line in ada.lines if line.text == image), None), "the line")
        assert line.name == script
        assert any(isinstance(message, Talk) for message in mal.messages)
        async with httpx.AsyncClient(base_url=server.base_url, verify=False) as browser:
            answer = await browser.get(f"/api/shows/{show.show_id}")
            assert answer.json()["show"]["title"] == script
            assert answer.headers["content-type"].startswith("application/json")
            assert answer.headers["x-content-type-options"] == "nosniff"
            page = await browser.get(f"/watch/{show.show_id}")
            assert script not in page.text
            assert "script-src" in page.headers["content-security-policy"]
            assert "'unsafe-inline'" not in _script_source(page.headers["content-security-policy"])


def _script_source(policy: str) -> str:
    return next(part for part in policy.split(";") if part.strip().startswith("script-src"))
