"""Hold tokens: what was promised can be read back, by us only, and nothing else passes for one."""

import pytest

from livecommerce.reservations.tokens import HoldPromise, mint, read, token_key

KEY = token_key("a secret of the server")
PROMISE = HoldPromise(
    "hold2", "sh_1", "vw_1", "rid-0001", 7, (("dl_a", 2), ("dl_b", 1)), 1_800_000_000_000, "e", "soft"
)
TOKEN = mint(KEY, PROMISE)


def test_a_token_says_what_was_promised() -> None:
    assert read(KEY, TOKEN) == PROMISE


def test_a_token_is_one_word_that_fits_a_url() -> None:
    assert all(character.isalnum() or character in "-_." for character in TOKEN)


@pytest.mark.parametrize(
    "forged",
    [
        "", ".", "a.b", "AAAA", TOKEN[:-1], TOKEN + "a", TOKEN[1:], "é" + TOKEN, TOKEN * 20, TOKEN[:20],
        mint(token_key("another secret"), PROMISE),
        mint(KEY, HoldPromise("hold2", "s", "v", "r", 1, (), 1, "e", "soft"))[:20] + TOKEN[20:],
    ],
)  # fmt: skip
def test_a_token_that_is_not_ours_is_nothing(forged: str) -> None:
    assert read(KEY, forged) is None
