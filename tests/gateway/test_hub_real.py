"""The hub with the real door, shows, engine and ledger: a host runs a show, a viewer hears and buys."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from livecommerce.clock import TestClock
from livecommerce.errors import Close, R
from livecommerce.gateway.door import Door
from livecommerce.ledger.database import Database
from livecommerce.people.service import People
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import CardShown, DealOpened, LineHidden
from livecommerce.protocol.from_viewer import Hello, Reserve, Say, WantLine
from livecommerce.protocol.to_viewer import Answer, Desk, Own, RefusedMessage, Said, State, Talk, Welcome
from livecommerce.reservations.engine import DealStock, ReservationEngine
from livecommerce.reservations.witnesses import live_witnesses
from livecommerce.settings import Settings
from tests.gateway.live import Live, Raw, connect, live, until
from tests.shows.world import ANA, BEA, HOST, STRANGER, World


@dataclass
class House:
    one: Live
    world: World
    people: People

    async def seat(self, show_id: str, who: object) -> tuple[Raw, Welcome]:
        raw = await connect(self.one.port, show_id, token=self.token(who))
        return raw, await raw.hello(device="desk")

    def token(self, who: object) -> str:
        tokens = self.people.tokens
        account_id = getattr(who, "account_id", "")
        return (tokens.for_staff(account_id, 1) if account_id else tokens.for_viewer(who)).token  # type: ignore[arg-type]


@pytest.fixture
async def house(database: Database, redis: Redis, settings: Settings, clock: TestClock) -> AsyncIterator[House]:
    engine = ReservationEngine(redis, settings, clock)
    await engine.start()
    world = World(database, redis, settings, clock, engine)
    await world.seed()
    people = People(database, redis, settings, clock)
    door = Door(people, database, settings, clock)
    async with live(redis, settings, clock, real_shows=world.shows, real_door=door) as one:
        yield House(one, world, people)
    await engine.aclose()


async def state_with(raw: Raw, kind: type) -> object:
    while True:
        for stamped in (await raw.read_until(State)).events:
            if isinstance(stamped.event, kind):
                return stamped.event


async def test_a_card_is_shown_opened_and_reserved(house: House) -> None:
    facts = await house.world.show()
    card = await house.world.card(facts.show_id, 5)
    raw, welcome = await house.seat(facts.show_id, ANA)
    assert welcome.you.role == "viewer"
    assert welcome.snapshot is not None
    assert welcome.snapshot.show.status == "live"
    await house.world.do(facts.show_id, c.ShowCard(card.card_id))
    assert isinstance(await state_with(raw, CardShown), CardShown)
    opened = await state_with(raw, DealOpened)
    assert isinstance(opened, DealOpened)
    raw.send(Reserve("rid_00000001", (WantLine(opened.deal_id, 1),)))
    assert (await raw.read_until(Answer)).hold.state == "held"
    _, again = await house.seat(facts.show_id, ANA)
    assert [hold.rid for hold in again.holds] == ["rid_00000001"]


async def test_a_hold_of_level_ledger_is_told_to_all_her_devices_once_its_row_is_there(house: House) -> None:
    facts = await house.world.show()
    card = await house.world.card(facts.show_id, 5)
    await house.world.do(facts.show_id, c.ShowCard(card.card_id))
    deal_id, engine = card.deals[0].deal_id, house.one.engine
    rules = DealStock(deal_id, 5, 2, 300_000, 600_000, "open", level="ledger")
    await engine.put_deal(facts.show_id, rules)
    phone, _ = await house.seat(facts.show_id, ANA)
    tablet, _ = await house.seat(facts.show_id, ANA)
    phone.send(Reserve("rid_00000001", (WantLine(deal_id, 1),)))
    assert (await phone.read_until(Answer)).hold.state == "held"
    async with house.world.database.read() as connection:
        assert [each.rid for each in await live_witnesses(connection, facts.show_id)] == ["rid_00000001"]
    own = await tablet.read_until(Own)
    assert own.hold is not None
    assert (own.hold.rid, own.hold.state) == ("rid_00000001", "held")


async def test_talk_is_moderated_and_kept_in_the_show_log(house: House) -> None:
    facts = await house.world.show()
    host, welcome = await house.seat(facts.show_id, HOST)
    assert welcome.you.role == "host"
    raw, _ = await house.seat(facts.show_id, ANA)
    raw.send(Say("c1", "which shade suits me?"))
    said = await raw.read_until(Said)
    while not (told := await host.read_until(Desk)).authors:
        pass
    assert told.authors == {said.line.line_id: ANA.viewer_id}
    await until(lambda: not house.one.hub._tasks)
    assert "talk" in await house.world.log_kinds(facts.show_id, public=False)
    await house.world.do(facts.show_id, c.HideLine(said.line.line_id))
    assert isinstance(await state_with(raw, LineHidden), LineHidden)
    assert not house.one.hub.rooms[facts.show_id].room.talk.history
    await house.world.do(facts.show_id, c.Announce("Welcome, everybody"))
    await until(lambda: house.one.hub.rooms[facts.show_id].room.talk.history)
    await house.world.clock.advance(0.2)
    while "Welcome, everybody" not in [line.text for line in (await raw.read_until(Talk)).lines]:
        pass


async def test_mute_and_ban_work_at_once(house: House) -> None:
    facts = await house.world.show()
    raw, _ = await house.seat(facts.show_id, ANA)
    await house.world.do(facts.show_id, c.Mute(ANA.viewer_id, 5))
    await until(lambda: ANA.viewer_id in house.one.hub.rooms[facts.show_id].room.moderation._muted)
    raw.send(Say("c1", "hello?"))
    assert (await raw.read_until(RefusedMessage)).number == R.MUTED.value.number
    await house.world.do(facts.show_id, c.Ban(ANA.viewer_id))
    await raw.read_all()
    assert raw.close_code == Close.BANNED
    again = await connect(house.one.port, facts.show_id, token=house.token(ANA))
    again.send(Hello())
    await again.read_all()
    assert again.close_code == Close.BANNED


async def test_an_invited_show_lets_in_by_invitation_only(house: House) -> None:
    facts = await house.world.show("family_day")
    stranger = await connect(house.one.port, facts.show_id, token=house.token(BEA))
    stranger.send(Hello())
    refused = (await stranger.read_all())[0]
    assert isinstance(refused, RefusedMessage)
    assert refused.number == R.NOT_INVITED.value.number
    assert stranger.close_code == Close.FORBIDDEN


async def test_staff_of_another_region_stays_outside(house: House) -> None:
    facts = await house.world.show()
    raw = await connect(house.one.port, facts.show_id, token=house.token(STRANGER))
    raw.send(Hello())
    await raw.read_all()
    assert raw.close_code == Close.FORBIDDEN
