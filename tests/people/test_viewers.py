"""Viewers, links, codes, keys, the organisation and bans on the real ledger."""

import asyncio
import re

import pytest
from sqlalchemy import insert, select

from livecommerce.errors import R, Refused
from livecommerce.ids import ID_PATTERN
from livecommerce.ledger.tables import bans, links, viewers
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.people.links import qr_svg
from tests.people.support import Shop


async def advisor_in_a_shop(shop: Shop) -> StaffIdentity:
    root = await shop.people.organisation.add("headquarters", "Maison")
    region = await shop.people.organisation.add("region", "North", root.org_unit_id)
    counter = await shop.people.organisation.add("shop", "Lille", region.org_unit_id)
    return await shop.staff(unit=counter.org_unit_id)


# --- links and attribution ------------------------------------------------------------------------------------------


async def test_each_advisor_has_one_default_link_per_show_however_many_ask_at_once(shop: Shop) -> None:
    staff = await advisor_in_a_shop(shop)
    asked = [shop.people.link_for(staff.account_id, show) for show in ["sh_a", "sh_b"] * 5]
    made = {link.link_id for link in await asyncio.gather(*asked)}
    assert len(made) == 2
    assert all(re.match(ID_PATTERN, link_id) for link_id in made)
    async with shop.database.read() as connection:
        assert len((await connection.execute(select(links))).all()) == 2


async def test_who_comes_by_a_link_is_credited_to_its_advisor_and_shop(shop: Shop) -> None:
    staff = await advisor_in_a_shop(shop)
    link = await shop.people.link_for(staff.account_id, "sh_a")
    viewer = await shop.people.new_viewer("Ada", link.link_id)
    assert (viewer.advisor_id, viewer.shop_id, viewer.link_id) == (
        staff.account_id,
        staff.org_unit_id,
        link.link_id,
    )
    assert await shop.people.viewers.find(viewer.viewer_id) == viewer
    assert await shop.people.names(viewer.advisor_id, viewer.shop_id) == ("Mei Lin", "Lille")


async def test_the_first_link_stays_credited_and_a_stranger_takes_on_her_first_one_later(shop: Shop) -> None:
    staff = await advisor_in_a_shop(shop)
    first = await shop.people.link_for(staff.account_id, "sh_a")
    second = await shop.people.links.make("acc_other", "", "sh_a", "window")
    viewer = await shop.people.new_viewer("Ada")
    assert viewer.advisor_id == ""
    viewer = await shop.people.change_viewer(viewer, "Ada", first.link_id)
    assert viewer.link_id == first.link_id
    viewer = await shop.people.change_viewer(viewer, "Ada L.", second.link_id)
    assert (viewer.name, viewer.link_id) == ("Ada L.", first.link_id)
    assert await shop.people.viewers.find(viewer.viewer_id) == viewer


async def test_somebody_of_headquarters_credits_no_shop(shop: Shop) -> None:
    staff = await shop.staff("manager")
    assert (await shop.people.link_for(staff.account_id, "sh_a")).shop_id == ""


async def test_an_unknown_link_is_not_found_and_makes_no_viewer(shop: Shop) -> None:
    for link_id in ["lnk_0000000000000000", "lnk_", "x\0y", "' OR 1=1 --"]:
        with pytest.raises(Refused) as refused:
            await shop.people.new_viewer("Ada", link_id)
        assert refused.value.why is R.NOT_FOUND
    async with shop.database.read() as connection:
        assert (await connection.execute(select(viewers))).all() == []


def test_a_qr_code_is_one_svg_element_that_scales() -> None:
    svg = qr_svg("https://shop.example/s/lnk_0000000000000000")
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "viewBox" in svg
    assert "width" not in svg.partition(">")[0]


# --- the merchant's own customers -----------------------------------------------------------------------------------


async def test_the_same_customer_is_the_same_viewer_under_the_name_told_last(shop: Shop) -> None:
    staff = await advisor_in_a_shop(shop)
    first = await shop.people.merchant_viewer("crm:77", "Ada", advisor_id=staff.account_id)
    again = await shop.people.merchant_viewer("crm:77", "Ada L.")
    other = await shop.people.merchant_viewer("crm:78", "Ada")
    assert again.viewer_id == first.viewer_id != other.viewer_id
    assert (again.name, again.kind, again.shop_id) == ("Ada L.", "merchant", staff.org_unit_id)


async def test_the_same_customer_at_once_on_two_devices_is_one_viewer(shop: Shop) -> None:
    both = await asyncio.gather(*(shop.people.merchant_viewer("crm:77", "Ada") for _ in range(8)))
    assert len({viewer.viewer_id for viewer in both}) == 1


async def test_an_api_key_works_until_it_is_revoked(shop: Shop) -> None:
    key = await shop.people.api_keys.make("web shop")
    assert await shop.people.api_keys.prove(key) == "web shop"
    await shop.people.api_keys.revoke(key)
    for bad in [key, "", "lck_guess", "\0"]:
        with pytest.raises(Refused) as refused:
            await shop.people.api_keys.prove(bad)
        assert refused.value.why is R.TOKEN_INVALID


# --- one-time codes -------------------------------------------------------------------------------------------------


async def test_a_code_signs_in_one_of_many_who_ask_at_once(shop: Shop) -> None:
    viewer = await shop.people.new_viewer("Ada")
    code = await shop.people.codes.issue("viewer", viewer.viewer_id, "/watch/sh_a")
    entered = await asyncio.gather(*(shop.people.enter(code) for _ in range(8)), return_exceptions=True)
    good = [one for one in entered if not isinstance(one, BaseException)]
    assert len(good) == 1
    assert (good[0].who, good[0].target) == (viewer, "/watch/sh_a")
    assert all(isinstance(one, Refused) and one.why is R.CODE_SPENT for one in entered if one not in good)


async def test_a_code_runs_out(shop: Shop) -> None:
    staff = await shop.staff()
    code = await shop.people.codes.issue("account", staff.account_id, "/console", life_seconds=60)
    await shop.clock.advance(60)
    with pytest.raises(Refused) as refused:
        await shop.people.enter(code)
    assert refused.value.why is R.CODE_SPENT


async def test_a_code_of_an_account_gives_a_staff_pass_and_its_renewal(shop: Shop) -> None:
    staff = await shop.staff()
    entered = await shop.people.enter(await shop.people.codes.issue("account", staff.account_id))
    assert entered.who == staff
    assert (await shop.people.staff_of_pass(entered.token.token))[0] == staff
    assert (await shop.people.renew_staff(entered.renewal.token))[0] == staff


async def test_a_code_whose_account_is_gone_is_spent(shop: Shop) -> None:
    staff = await shop.staff()
    code = await shop.people.codes.issue("account", staff.account_id)
    await shop.people.accounts.disable(staff.account_id)
    with pytest.raises(Refused) as refused:
        await shop.people.enter(code)
    assert refused.value.why is R.CODE_SPENT


# --- the organisation -----------------------------------------------------------------------------------------------


async def test_a_path_holds_the_ids_from_the_root_and_scope_is_its_prefix(shop: Shop) -> None:
    staff = await advisor_in_a_shop(shop)
    tree = shop.people.organisation
    root, region, counter = await tree.below("/")
    assert counter.path == f"/{root.org_unit_id}/{region.org_unit_id}/{counter.org_unit_id}/"
    assert await tree.below(region.path) == (region, counter)
    assert staff.may_act_in(counter.path)
    assert not staff.may_act_in(region.path)
    # A sibling whose id begins with the same letters is not below: the prefix ends with a slash.
    assert not staff.may_act_in(counter.path[:-1] + "x/")


async def test_a_second_headquarters_is_the_first_one(shop: Shop) -> None:
    tree = shop.people.organisation
    assert await tree.add("headquarters", "Maison") == await tree.add("headquarters", "Another")


async def test_a_unit_under_the_wrong_kind_or_under_nothing_is_refused(shop: Shop) -> None:
    tree = shop.people.organisation
    root = await tree.add("headquarters", "Maison")
    counter = await tree.add("shop", "Lille", root.org_unit_id)
    for kind, parent, why in [
        ("shop", counter.org_unit_id, R.MALFORMED),
        ("region", counter.org_unit_id, R.MALFORMED),
        ("shop", None, R.MALFORMED),
        ("shop", "org_nowhere", R.NOT_FOUND),
    ]:
        with pytest.raises(Refused) as refused:
            await tree.add(kind, "X", parent)  # type: ignore[arg-type]
        assert refused.value.why is why
    assert len(await tree.below("/")) == 2


async def test_an_account_is_placed_by_the_units_id_or_name(shop: Shop) -> None:
    staff = await advisor_in_a_shop(shop)
    named = await shop.staff(unit="Lille", email="second@example.com")
    assert named.org_path == staff.org_path


# --- bans -----------------------------------------------------------------------------------------------------------


async def test_a_ban_shuts_the_door_within_a_second_for_its_show_and_its_time(shop: Shop) -> None:
    viewer = ViewerIdentity("vw_1", "Troll")
    banned = shop.people.bans
    assert not await banned.is_banned("sh_a", viewer.viewer_id)
    until_ms = shop.clock.now_ms() + 60_000
    row = {"viewer_id": "vw_1", "by_account_id": "acc_1", "created_at_ms": 0, "until_ms": until_ms}
    mute = {"show_id": "sh_b", "kind": "mute", **row}
    await shop.database.write(
        lambda connection: connection.execute(insert(bans).values([{"show_id": "sh_a", "kind": "ban", **row}, mute]))
    )
    await shop.clock.advance(1)
    assert await banned.is_banned("sh_a", "vw_1")
    assert not await banned.is_banned("sh_a", "vw_2")
    assert not await banned.is_banned("sh_b", "vw_1")
    await shop.clock.advance(60)
    assert not await banned.is_banned("sh_a", "vw_1")
