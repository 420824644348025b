"""Passes: each audience is a kind of its own, the clock is ours, and nothing but our own signature counts."""

from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from livecommerce.clock import TestClock
from livecommerce.errors import R, Refused
from livecommerce.people.identity import ViewerIdentity
from livecommerce.people.tokens import STAFF_RENEW_HOURS, VIEWER_RENEW_DAYS, Tokens
from livecommerce.settings import Settings

ADA = ViewerIdentity("vw_0000000000000000", "Ada", "guest", "acc_1", "org_1", "lnk_1")
READERS = ("viewer", "viewer_renewal", "staff", "staff_renewal")


@pytest.fixture
def tokens(settings: Settings, clock: TestClock) -> Tokens:
    return Tokens(settings, clock)


def minted(tokens: Tokens) -> dict[str, str]:
    return {
        "viewer": tokens.for_viewer(ADA).token,
        "viewer_renewal": tokens.renewal_for_viewer(ADA).token,
        "staff": tokens.for_staff("acc_1", 3).token,
        "staff_renewal": tokens.renewal_for_staff("acc_1", 3).token,
    }


def refused_by(tokens: Tokens, reader: str, token: str) -> R:
    with pytest.raises(Refused) as refused:
        getattr(tokens, reader)(token)
    return refused.value.why


def test_a_viewers_pass_carries_her_identity_and_attribution(tokens: Tokens, settings: Settings) -> None:
    new = tokens.for_viewer(ADA)
    back = tokens.viewer(new.token)
    assert back.viewer == ADA
    assert back.expires_at_ms == new.expires_at_ms
    header = jwt.get_unverified_header(new.token)
    assert (header["alg"], len(header["kid"])) == ("HS256", 8)
    assert jwt.decode(new.token, options={"verify_signature": False})["iss"] == "livecommerce"


def test_a_staff_pass_carries_account_and_generation(tokens: Tokens) -> None:
    back = tokens.staff(tokens.for_staff("acc_1", 3).token)
    assert (back.account_id, back.generation) == ("acc_1", 3)


@pytest.mark.parametrize("made_as", READERS)
@pytest.mark.parametrize("read_as", READERS)
def test_a_pass_of_one_audience_is_worth_nothing_as_another(tokens: Tokens, made_as: str, read_as: str) -> None:
    token = minted(tokens)[made_as]
    if made_as == read_as:
        getattr(tokens, read_as)(token)
    else:
        assert refused_by(tokens, read_as, token) is R.TOKEN_INVALID


@pytest.mark.parametrize(
    ("reader", "life_seconds"),
    [
        ("viewer", 600),
        ("staff", 600),
        ("viewer_renewal", VIEWER_RENEW_DAYS * 86_400),
        ("staff_renewal", STAFF_RENEW_HOURS * 3_600),
    ],
)
async def test_a_pass_runs_out_on_the_servers_clock(
    tokens: Tokens, clock: TestClock, reader: str, life_seconds: int
) -> None:
    token = minted(tokens)[reader]
    await clock.advance(life_seconds - 1)
    getattr(tokens, reader)(token)
    await clock.advance(1)
    assert refused_by(tokens, reader, token) is R.TOKEN_EXPIRED


def forged(tokens: Tokens, change: dict[str, Any], algorithm: str = "HS256", key: Any = None) -> str:
    body = jwt.decode(tokens.for_viewer(ADA).token, options={"verify_signature": False}) | change
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, tokens._keys["viewer"] if key is None else key, algorithm)


@pytest.mark.parametrize(
    "change",
    [{"iss": "somebody-else"}, {"aud": "staff"}, {"aud": None}, {"exp": None}, {"sub": None}, {"exp": "soon"}],
)
def test_a_pass_with_wrong_or_missing_claims_is_invalid_even_when_signed(
    tokens: Tokens, change: dict[str, Any]
) -> None:
    assert refused_by(tokens, "viewer", forged(tokens, change)) is R.TOKEN_INVALID


def test_another_secret_no_signature_and_noise_are_invalid(
    tokens: Tokens, settings: Settings, clock: TestClock
) -> None:
    other = Tokens(replace(settings, secret="f" * 64), clock)
    good = tokens.for_viewer(ADA).token
    noise = ["", "x", "a.b.c", good[:-2], good + "x", "é" * 40, "\0", good.rsplit(".", 1)[0] + "."]
    for token in [other.for_viewer(ADA).token, forged(tokens, {}, "none", ""), *noise]:
        assert refused_by(tokens, "viewer", token) is R.TOKEN_INVALID, token


def test_the_audience_can_be_read_without_a_proof(tokens: Tokens) -> None:
    assert {tokens.audience(token) for token in minted(tokens).values()} == {
        "viewer",
        "viewer-renew",
        "staff",
        "staff-renew",
    }
    assert tokens.audience("noise") is None
    assert tokens.audience(".".join(["x", "W1tb" * 5000, "x"])) is None, "a bomb of brackets"
    assert tokens.audience(jwt.encode({"aud": ["viewer"]}, "k" * 32)) is None


def library_takes(tokens: Tokens, token: str) -> bool:
    try:
        jwt.decode(
            token,
            tokens._keys["viewer"],
            ["HS256"],
            audience="viewer",
            issuer="livecommerce",
            options={"verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError:
        return False
    return True


def we_take(tokens: Tokens, token: str) -> bool:
    try:
        tokens.viewer(token)
    except Refused as refused:
        return refused.why is not R.TOKEN_INVALID
    return True


def test_the_library_takes_what_we_take(tokens: Tokens) -> None:
    good = tokens.for_viewer(ADA).token
    assert we_take(tokens, good)
    assert library_takes(tokens, good)


@how(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(place=st.integers(0, 400), with_=st.characters(codec="latin-1"), cut=st.booleans())
def test_the_library_takes_no_other_spelling_of_a_pass_that_we_take(
    tokens: Tokens, place: int, with_: str, cut: bool
) -> None:
    """One character another, or gone: whatever we take the library takes, and we never take a changed word."""
    good = tokens.for_viewer(ADA).token
    place %= len(good)
    other = good[:place] + ("" if cut else with_) + good[place + 1 :]
    if we_take(tokens, other):
        assert library_takes(tokens, other)
        assert other.rpartition(".")[0] == good.rpartition(".")[0], "what is signed is the same"


@pytest.mark.parametrize("last", ["=", "==", ".", "\n", " ", "A"])
def test_a_signature_with_something_behind_it_is_invalid(tokens: Tokens, last: str) -> None:
    assert refused_by(tokens, "viewer", tokens.for_viewer(ADA).token + last) is R.TOKEN_INVALID


def test_a_header_that_names_another_algorithm_is_not_followed(tokens: Tokens) -> None:
    """Signed with our key, it can only be ours: the header chooses nothing."""
    head, body, signature = tokens.for_viewer(ADA).token.split(".")
    none = jwt.encode({}, None, "none").split(".")[0]

    assert refused_by(tokens, "viewer", f"{none}.{body}.{signature}") is R.TOKEN_INVALID
    assert refused_by(tokens, "viewer", f"{none}.{body}.") is R.TOKEN_INVALID
    assert refused_by(tokens, "viewer", f"{head}.{head}.{body}.{signature}") is R.TOKEN_INVALID
