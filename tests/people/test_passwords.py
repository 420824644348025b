"""Passwords: what is refused, what is kept, and that a stranger cannot tell an unknown address from a wrong word."""

import pytest

from livecommerce.errors import R, Refused
from livecommerce.people.passwords import Passwords, refuse_weak
from tests.people.support import quick_passwords


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("short", "10 characters"),
        ("x" * 201, "at most"),
        ("aaaaaaaaaaaa", "different characters"),
        ("password123!", "first that are tried"),
        ("Livecommerce1", "first that are tried"),
        ("mei.lin@example.com", "your name"),
        ("meilin.1990", "your name"),
        ("example2024", "your name"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused_with_the_reason(password: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        refuse_weak(password, "mei.lin@example.com", "MeiLin")
    assert refused.value.why is R.WEAK_PASSWORD
    assert says in refused.value.text


@pytest.mark.parametrize("password", ["three small teapots", "Tr0ub4dor&3xyz", "九个小茶壶放在窗台上了", "k9#vQ2!mZx"])
def test_a_password_that_is_hard_to_guess_passes(password: str) -> None:
    refuse_weak(password, "mei.lin@example.com", "Mei Lin")


async def test_the_default_is_argon2id_and_the_right_password_alone_is_right() -> None:
    passwords = Passwords()
    kept = await passwords.hash("three small teapots")
    assert kept.startswith("$argon2id$")
    assert await passwords.check("three small teapots", kept)
    assert not await passwords.check("three small teapot", kept)
    assert not passwords.is_outdated(kept)


async def test_without_a_kept_hash_the_same_work_is_done_and_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = quick_passwords()
    verified: list[str] = []
    verify = passwords._verify

    def counting(kept: str, word: str) -> bool:
        verified.append(kept)
        return verify(kept, word)

    monkeypatch.setattr(passwords, "_verify", counting)
    assert not await passwords.check("nobody has this password", None)
    assert len(verified) == 1
    assert verified[0].startswith("$argon2id$")


async def test_a_hash_that_is_no_hash_is_a_wrong_password() -> None:
    assert not await quick_passwords().check("three small teapots", "plain text from an old import")


async def test_a_hash_of_weaker_parameters_is_outdated() -> None:
    kept = await quick_passwords().hash("three small teapots")
    assert Passwords().is_outdated(kept)
