"""Accounts, logins and sessions on the real ledger and the real Redis."""

import re

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import func, select, update

from livecommerce.errors import R, Refused
from livecommerce.ledger.tables import accounts, sessions
from livecommerce.people.attempts import ACCOUNT_MAX, ADDRESS_MAX, PERSON_HERE_MAX, WINDOW_MS
from livecommerce.people.sessions import IDLE_HOURS, LIFE_DAYS
from tests.people.support import EMAIL, PASSWORD, Shop, quick_passwords


async def refused_login(shop: Shop, email: str, password: str, address: str = "203.0.113.7") -> Refused:
    with pytest.raises(Refused) as refused:
        await shop.people.login(email, password, address)
    return refused.value


async def count(shop: Shop, table: object) -> int:
    async with shop.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def test_an_account_signs_in_with_its_password_and_the_session_knows_it(shop: Shop) -> None:
    staff = await shop.staff("manager")
    login = await shop.people.login("  MEI@Example.com ", PASSWORD, "203.0.113.7")
    assert login.staff == staff
    assert staff.org_path == f"/{staff.org_unit_id}/"
    session = await shop.people.sessions.prove(login.session.token)
    assert session.staff == staff
    assert session.csrf == login.session.csrf


async def test_an_unknown_address_and_a_wrong_password_get_the_same_words(shop: Shop) -> None:
    await shop.staff()
    wrong = await refused_login(shop, EMAIL, "not my password")
    unknown = await refused_login(shop, "nobody@example.com", PASSWORD)
    impossible = await refused_login(shop, "no\0address", PASSWORD)
    assert {wrong.why, unknown.why, impossible.why} == {R.WRONG_PASSWORD}
    assert wrong.text == unknown.text == impossible.text
    assert await count(shop, sessions) == 0


async def test_an_account_that_cannot_be_is_refused_and_nothing_moves(shop: Shop) -> None:
    await shop.staff()
    for email, name, unit, password, why in [
        ("MEI@example.com", "Second", "", PASSWORD, R.EXISTS),
        ("no address", "Second", "", PASSWORD, R.MALFORMED),
        ("a@b", "", "", PASSWORD, R.MALFORMED),
        ("a@b", "Second", "nowhere", PASSWORD, R.NOT_FOUND),
        ("a@b", "Second", "", "short", R.WEAK_PASSWORD),
    ]:
        with pytest.raises(Refused) as refused:
            await shop.people.add_account(email, name, "advisor", unit, password)
        assert refused.value.why is why
    assert await count(shop, accounts) == 1


async def test_a_reset_ends_every_session_and_every_pass_and_the_old_password(shop: Shop) -> None:
    staff = await shop.staff()
    login = await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")
    token = (await shop.people.pass_for_staff(staff)).token
    await shop.people.reset_password(EMAIL, "a quite different phrase")
    with pytest.raises(Refused) as refused:
        await shop.people.sessions.prove(login.session.token)
    assert refused.value.why is R.SIGN_IN
    with pytest.raises(Refused) as refused:
        await shop.people.staff_of_pass(token)
    assert refused.value.why is R.TOKEN_INVALID
    assert (await refused_login(shop, EMAIL, PASSWORD)).why is R.WRONG_PASSWORD
    await shop.people.login(EMAIL, "a quite different phrase", "203.0.113.7")


async def test_a_disabled_account_can_do_nothing_from_the_next_request_on(shop: Shop) -> None:
    staff = await shop.staff()
    login = await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")
    token = (await shop.people.pass_for_staff(staff)).token
    await shop.people.accounts.disable(staff.account_id)
    with pytest.raises(Refused):
        await shop.people.sessions.prove(login.session.token)
    with pytest.raises(Refused):
        await shop.people.staff_of_pass(token)
    assert (await refused_login(shop, EMAIL, PASSWORD)).why is R.WRONG_PASSWORD


async def test_a_reset_of_an_unknown_account_or_to_a_weak_password_is_refused(shop: Shop) -> None:
    await shop.staff()
    for email, password, why in [
        ("nobody@example.com", "a quite different phrase", R.NOT_FOUND),
        (EMAIL, "mei@example.com", R.WEAK_PASSWORD),
    ]:
        with pytest.raises(Refused) as refused:
            await shop.people.reset_password(email, password)
        assert refused.value.why is why
    await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")


async def test_a_hash_of_older_parameters_is_replaced_at_the_next_login(shop: Shop) -> None:
    await shop.staff()
    shop.people.accounts._passwords = type(quick_passwords())()
    await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")
    async with shop.database.read() as connection:
        kept = (await connection.execute(select(accounts.c.password_hash))).scalar_one()
    assert "m=65536" in kept
    await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")


# --- attempts -------------------------------------------------------------------------------------------------------


async def test_too_many_attempts_of_one_person_are_locked_out_even_with_the_right_password_until_the_window_ends(
    shop: Shop,
) -> None:
    await shop.staff()
    for _ in range(PERSON_HERE_MAX):
        assert (await refused_login(shop, EMAIL, "guess again")).why is R.WRONG_PASSWORD
    locked = await refused_login(shop, EMAIL, PASSWORD)
    assert locked.why is R.LOCKED_OUT
    assert locked.after_ms == WINDOW_MS - shop.clock.now_ms() % WINDOW_MS
    assert await count(shop, sessions) == 0
    await shop.people.login(EMAIL, PASSWORD, "198.51.100.1")  # the owner, from elsewhere, is not shut out
    await shop.clock.advance(locked.after_ms / 1000)
    await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")


async def test_a_right_password_starts_the_count_again(shop: Shop) -> None:
    await shop.staff()
    for _ in range(3):
        for _ in range(PERSON_HERE_MAX - 1):
            await refused_login(shop, EMAIL, "guess again")
        await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")


async def test_one_address_that_tries_many_accounts_is_locked_out(shop: Shop) -> None:
    for number in range(ADDRESS_MAX):
        await shop.people.attempts.count(f"p{number}@example.com", "203.0.113.7")
    assert (await refused_login(shop, EMAIL, PASSWORD)).why is R.LOCKED_OUT
    assert (await refused_login(shop, EMAIL, PASSWORD, "198.51.100.1")).why is R.WRONG_PASSWORD


async def test_many_addresses_that_try_one_account_are_locked_out(shop: Shop) -> None:
    for number in range(ACCOUNT_MAX):
        await shop.people.attempts.count(EMAIL, f"203.0.113.{number}")
    assert (await refused_login(shop, EMAIL, PASSWORD, "198.51.100.1")).why is R.LOCKED_OUT


async def test_no_address_lies_in_redis_in_the_clear_and_every_counter_ends(shop: Shop) -> None:
    await refused_login(shop, EMAIL, "guess again")
    names = await shop.redis.keys("*")
    assert len(names) == 3
    for name in names:
        assert re.fullmatch(
            r"attempts:(person|address|account):[0-9a-f]{24}:\d+", name if isinstance(name, str) else name.decode()
        )
        assert 0 < await shop.redis.pttl(name) <= WINDOW_MS


async def test_without_redis_nobody_signs_in_but_viewers_still_come(shop: Shop) -> None:
    await shop.staff()
    away = Shop(
        shop.settings, shop.database, Redis(unix_socket_path="/nonexistent", retry=Retry(NoBackoff(), 0)), shop.clock
    )
    assert (await refused_login(away, EMAIL, PASSWORD)).why is R.UNAVAILABLE
    await away.people.attempts.count_newcomer("203.0.113.7")


# --- sessions -------------------------------------------------------------------------------------------------------


async def test_a_planted_session_is_worth_nothing_after_the_login(shop: Shop) -> None:
    await shop.staff()
    planted = (await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")).session.token
    fresh = (await shop.people.login(EMAIL, PASSWORD, "203.0.113.7", replaces=planted)).session.token
    assert fresh != planted
    with pytest.raises(Refused):
        await shop.people.sessions.prove(planted)
    await shop.people.sessions.prove(fresh)


async def test_a_session_nobody_uses_ends_and_one_in_use_is_pushed_out_to_its_last_day(shop: Shop) -> None:
    await shop.staff()
    idle = (await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")).session.token
    used = (await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")).session.token
    hours = 0
    while hours < LIFE_DAYS * 24 - 7:
        await shop.clock.advance(7 * 3600)
        hours += 7
        await shop.people.sessions.prove(used)
        if hours > IDLE_HOURS:
            with pytest.raises(Refused):
                await shop.people.sessions.prove(idle)
    await shop.clock.advance(7 * 3600)
    with pytest.raises(Refused):
        await shop.people.sessions.prove(used)


async def test_the_ledger_keeps_no_session_token_in_the_clear_and_forgets_the_ended_ones(shop: Shop) -> None:
    await shop.staff()
    token = (await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")).session.token
    async with shop.database.read() as connection:
        row = (await connection.execute(select(sessions))).one()
    assert token not in tuple(row)
    await shop.clock.advance(IDLE_HOURS * 3600)
    await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")
    assert await count(shop, sessions) == 1


async def test_a_session_of_an_older_generation_is_no_session(shop: Shop) -> None:
    await shop.staff()
    token = (await shop.people.login(EMAIL, PASSWORD, "203.0.113.7")).session.token
    await shop.database.write(lambda connection: connection.execute(update(accounts).values(generation=2)))
    with pytest.raises(Refused):
        await shop.people.sessions.prove(token)
