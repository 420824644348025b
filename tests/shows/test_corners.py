"""Corners: declared in one place each, and each of the three with its one behaviour."""

import asyncio
from typing import Any, get_args

import pytest

from livecommerce.errors import R, Refused
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol import from_host as c
from livecommerce.protocol.facts import CornerName
from livecommerce.shows import corners
from livecommerce.shows.invitations import NewInvitation
from livecommerce.shows.plans import EditShow, NewShow
from tests.shows.world import ANA, BEA, HOST, MODERATOR, STOCK, Pool, World, refused, viewer

DAY_MS = 86_400_000


def test_the_registry_and_the_protocol_name_the_same_corners() -> None:
    assert set(corners.REGISTRY) == set(get_args(CornerName))
    assert all(corner.name == name and corner.title and corner.about for name, corner in corners.REGISTRY.items())


def test_an_unknown_corner_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        corners.of("karaoke")
    assert caught.value.why is R.NOT_FOUND


@pytest.mark.parametrize("name", sorted(corners.REGISTRY))
async def test_every_corner_is_a_show_one_can_make_with_its_defaults(world: World, name: CornerName) -> None:
    launch = world.clock.now_ms() + 60_000 if name == "new_product_day" else None

    show = await world.show(name, live=False, launch_at_ms=launch)

    assert (show.corner, show.access) == (name, corners.of(name).access)


async def test_a_launch_instant_belongs_to_new_product_day_alone(world: World) -> None:
    soon = world.clock.now_ms() + 60_000

    await refused(R.MALFORMED, world.show("open_house", live=False, launch_at_ms=soon))
    await refused(R.MALFORMED, world.show("new_product_day", live=False))
    await refused(R.MALFORMED, world.show("new_product_day", live=False, launch_at_ms=world.clock.now_ms() - 1))
    draft = await world.shows.planning.create(HOST, NewShow("Later", "new_product_day"))
    await refused(R.MALFORMED, world.do(draft.show_id, c.GoLive()))


# --- New Product Day ------------------------------------------------------------------------------------------------


async def launch_show(world: World, *quotas: int) -> tuple[str, Any, Any]:
    show = await world.show("new_product_day", launch_at_ms=world.clock.now_ms() + 30_000)
    hidden = await world.card(show.show_id, *(quotas or (10,)), hidden=True)
    plain = await world.card(show.show_id, 5)
    return show.show_id, hidden, plain


async def test_before_the_launch_the_product_is_nowhere_to_be_seen(world: World) -> None:
    show_id, hidden, plain = await launch_show(world)
    await world.do(show_id, c.ShowCard(plain.card_id))

    await world.clock.advance(29.999)
    await world.shows.programme.due_changes()

    assert [card.card_id for card in (await world.shows.snapshot(show_id)).cards] == [plain.card_id]
    assert [card.card_id for card in await world.shows.public_cards(show_id)] == [plain.card_id]
    epoch, _ = await world.shows.news.position(show_id)
    assert hidden.card_id not in str(await world.shows.news.since(show_id, epoch, 0))
    assert hidden.card_id in [card.card_id for card in (await world.shows.for_staff(HOST, show_id)).cards]


async def test_nobody_shows_the_product_before_the_launch(world: World) -> None:
    show_id, hidden, _ = await launch_show(world)
    await world.clock.advance(29.999)

    early = await refused(R.WRONG_STATE, world.do(show_id, c.ShowCard(hidden.card_id)))
    assert early.after_ms == 1
    await refused(R.WRONG_STATE, world.do(show_id, c.OpenDeal(hidden.deals[0].deal_id)))
    await refused(R.WRONG_STATE, world.do(show_id, c.Promise(hidden.card_id, "a mirror with each")))

    assert (await world.shows.snapshot(show_id)).promises == {}
    assert await world.pool() == Pool(STOCK, 0, 0)
    assert (await world.shows.snapshot(show_id)).on_air == ""


async def test_at_the_launch_instant_the_product_is_listed_shown_and_open(world: World) -> None:
    show_id, hidden, _ = await launch_show(world)
    assert await world.shows.programme.due_changes() == world.clock.now_ms() + 30_000

    await world.clock.advance(30)
    await world.shows.programme.due_changes()

    snapshot = await world.shows.snapshot(show_id)
    assert snapshot.on_air == hidden.card_id
    assert snapshot.cards[0].deals[0].status == "open"
    assert (await world.heard(show_id))[-3:] == ["card_listed", "card_shown", "deal_opened"]
    hold = await world.engine.reserve(show_id, ANA, "rid-00000001", [(hidden.deals[0].deal_id, 1)])
    assert hold.state == "held"


async def test_a_shade_without_stock_does_not_hold_up_the_launch(world: World) -> None:
    show_id, hidden, _ = await launch_show(world, STOCK + 1, 3)
    await world.clock.advance(30)

    await world.shows.programme.due_changes()

    snapshot = await world.shows.snapshot(show_id)
    assert snapshot.on_air == hidden.card_id
    assert [deal.status for deal in snapshot.cards[0].deals] == ["draft", "open"]


async def test_a_show_that_starts_late_launches_when_it_is_on_air(world: World) -> None:
    show = await world.show("new_product_day", live=False, launch_at_ms=world.clock.now_ms() + 30_000)
    card = await world.card(show.show_id, 10, hidden=True)
    await world.clock.advance(60)
    await world.shows.programme.due_changes()
    assert (await world.shows.snapshot(show.show_id)).cards == ()

    await world.do(show.show_id, c.GoLive())
    await world.shows.programme.due_changes()

    assert (await world.shows.snapshot(show.show_id)).on_air == card.card_id


# --- Family Day -----------------------------------------------------------------------------------------------------


async def test_family_day_is_never_public(world: World) -> None:
    await refused(R.MALFORMED, world.show("family_day", live=False, access="public"))
    show = await world.show("family_day", live=False)

    await refused(R.NOT_INVITED, world.shows.may_enter(show.show_id, ANA))
    await refused(R.MALFORMED, world.shows.planning.edit(HOST, show.show_id, EditShow(access="public")))


async def test_an_invitation_has_exactly_its_places_whoever_comes_at_once(world: World) -> None:
    show = await world.show("family_day")
    made = await world.shows.planning.invite(HOST, show.show_id, NewInvitation(place_limit=5))
    doors = [world.process() for _ in range(3)]

    came = await asyncio.gather(
        *(doors[n % 3].may_enter(show.show_id, viewer(n), made.invitation_id) for n in range(20)),
        return_exceptions=True,
    )

    refusals = [why for why in came if why is not None]
    assert len(refusals) == 15
    assert all(isinstance(why, Refused) and why.why is R.PLACES_TAKEN for why in refusals)
    assert [invitation.places_taken for invitation in await world.shows.planning.invitations(HOST, show.show_id)] == [5]


async def test_whoever_has_a_place_keeps_it_and_takes_no_second_one(world: World) -> None:
    show = await world.show("family_day")
    made = await world.shows.planning.invite(HOST, show.show_id, NewInvitation(place_limit=1))
    await refused(R.NOT_INVITED, world.shows.may_look(show.show_id, ANA))

    for _ in range(2):
        await world.shows.may_enter(show.show_id, ANA, made.invitation_id)
    await world.shows.may_enter(show.show_id, ANA)
    await world.shows.may_look(show.show_id, ANA)

    await refused(R.PLACES_TAKEN, world.shows.may_enter(show.show_id, BEA, made.invitation_id))
    await refused(R.NOT_INVITED, world.shows.may_enter(show.show_id, BEA, "inv_none"))
    other = await world.show("family_day")
    await refused(R.NOT_INVITED, world.shows.may_enter(other.show_id, BEA, made.invitation_id))


async def test_members_come_in_without_an_invitation_and_guests_do_not(world: World) -> None:
    show = await world.show("members_evening")
    member = ViewerIdentity("vwr_m", "Mia", "merchant")

    await world.shows.may_enter(show.show_id, member)
    await refused(R.NOT_INVITED, world.shows.may_enter(show.show_id, ANA))
    await world.shows.may_enter(show.show_id, ANA, staff_role="advisor")


async def test_a_bundle_is_reserved_whole_or_not_at_all(world: World) -> None:
    show = await world.show("family_day")
    bundle = await world.card(show.show_id, 10, 1, kind="bundle")
    await world.do(show.show_id, c.ShowCard(bundle.card_id))
    lines = [(deal.deal_id, 1) for deal in bundle.deals]
    assert bundle.bundle_minor == 2 * 1990

    assert (await world.engine.reserve(show.show_id, ANA, "rid-00000001", lines)).state == "held"
    await refused(R.SOLD_OUT, world.engine.reserve(show.show_id, BEA, "rid-00000002", lines))

    _, levels = await world.engine.levels(show.show_id)
    assert [levels[deal.deal_id].held for deal in bundle.deals] == [1, 1]


# --- Cloud Class ----------------------------------------------------------------------------------------------------


async def test_questions_are_asked_voted_up_once_taken_and_answered(world: World) -> None:
    show = await world.show("cloud_class")
    first = await world.shows.ask(show.show_id, ANA, "  Which brush? ")
    second = await world.shows.ask(show.show_id, BEA, "For dry skin?")

    for _ in range(3):
        await world.shows.vote(show.show_id, ANA, second.question_id)
    voted = await world.shows.vote(show.show_id, BEA, second.question_id)
    assert voted.votes == 2
    heard = len(await world.heard(show.show_id))
    await world.shows.programme.due_changes()
    assert len(await world.heard(show.show_id)) == heard + 1  # all votes in one event
    queue = (await world.shows.snapshot(show.show_id)).questions
    assert [(asked.text, asked.votes) for asked in queue] == [("For dry skin?", 2), ("Which brush?", 0)]

    await world.do(show.show_id, c.TakeQuestion(first.question_id), MODERATOR)
    assert (await world.shows.snapshot(show.show_id)).questions[0].question_id == first.question_id
    await world.do(show.show_id, c.AnswerQuestion(first.question_id, "The flat one."))

    answered = (await world.shows.snapshot(show.show_id)).questions[-1]
    assert (answered.status, answered.answer) == ("answered", "The flat one.")


async def test_a_private_answer_reaches_the_asker_alone(world: World) -> None:
    show = await world.show("cloud_class")
    asked = await world.shows.ask(show.show_id, ANA, "My skin is sore?")
    told: list[tuple[str, str]] = []

    async def tell(_show_id: str, viewer_id: str, own: Any) -> None:
        told.append((viewer_id, own.note))

    world.shows.news.tell = tell  # type: ignore[method-assign]
    await world.do(show.show_id, c.AnswerQuestion(asked.question_id, "Please see a doctor.", privately=True))

    assert told == [(ANA.viewer_id, "Clara: Please see a doctor.")]
    assert (await world.shows.snapshot(show.show_id)).questions[0].answer == ""
    await refused(R.EMPTY, world.do(show.show_id, c.AnswerQuestion(asked.question_id, " ", privately=True)))


async def test_questions_need_words_a_room_and_a_corner_that_votes(world: World) -> None:
    show = await world.show("open_house")
    await refused(R.EMPTY, world.shows.ask(show.show_id, ANA, "   "))
    asked = await world.shows.ask(show.show_id, ANA, "Is it vegan?")
    await refused(R.WRONG_STATE, world.shows.vote(show.show_id, BEA, asked.question_id))
    await world.do(show.show_id, c.End())
    await refused(R.SHOW_OVER, world.shows.ask(show.show_id, ANA, "Still there?"))

    lesson = await world.show("cloud_class")
    await refused(R.NOT_FOUND, world.shows.vote(lesson.show_id, ANA, asked.question_id))


async def test_a_lesson_has_chapters_in_order(world: World) -> None:
    chapters = [{"at_seconds": 0, "title": "Base"}, {"at_seconds": 300, "title": "Eyes"}]

    show = await world.show("cloud_class", corner_settings={"chapters": chapters})

    assert (await world.shows.for_staff(HOST, show.show_id)).corner_settings == {"chapters": chapters}
    for wrong in ({"chapters": chapters[::-1]}, {"chapters": [{"at_seconds": -1, "title": "x"}]}, {"beats": 1}):
        await refused(R.MALFORMED, world.show("cloud_class", corner_settings=wrong))
