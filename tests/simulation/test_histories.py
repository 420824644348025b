"""Seeded histories of the real engine, orders, ledger and script, each judged step by step and in the end.

`python -m tests.simulation SEED` tells one again; `python -m tests.simulation 1 -` goes on until one fails.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from livecommerce.reservations import verbs
from tests.simulation.campaign import Campaign, Failed, campaign
from tests.simulation.network import Weather
from tests.simulation.oracle import _JUDGES
from tests.simulation.world import SHOP_EVERY, World

# Who is killed in a history is collected some time after it, in the middle of a line.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]

# What fits into some twenty seconds of one core; the long form takes the seeds from 10,000 on.
SHORT = 288
LONG = range(10_000, 40_000)
# What is rare happens in whole shops: what the short campaign has not met by then is looked for in these alone.
MORE_SHOPS = range(SHORT + SHOP_EVERY, 4 * SHORT, SHOP_EVERY)
# What a short campaign must have met, or it proves nothing.
MET = (
    "held", "sold_out", "waiting", "offered", "expired", "lapsed", "released", "paying", "confirmed", "hold_gone",
    "busy", "killed", "stopped", "away", "clock_step", "unknown", "limit", "conflict", "deal_closed",
    "verified_only", "members_only", "hold_time", "changed_bag",
    "order_paying", "orders_confirmed", "tried_forge", "unavailable", "lost_everything",
    "lost_the_end", "rebuilt", "proved",
)  # fmt: skip


@pytest.fixture(scope="module")
def histories() -> Iterator[Campaign]:
    with campaign() as running:
        yield running


@pytest.mark.timeout(1200)
def test_every_seed_of_the_short_campaign_keeps_every_promise(histories: Campaign) -> None:
    happened: dict[str, int] = {}
    for seed in (*range(1, SHORT + 1), *MORE_SHOPS):
        if seed > SHORT and all(happened.get(what) for what in MET):
            break
        for what, times in histories.tell(seed).happened.items():
            happened[what] = happened.get(what, 0) + times
    assert not [what for what in MET if not happened.get(what)], happened


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_every_seed_of_the_long_campaign_keeps_every_promise(histories: Campaign) -> None:
    for seed in LONG:
        histories.tell(seed)


@pytest.mark.parametrize("seed", [5, SHOP_EVERY], ids=["stock", "shop"])
def test_the_same_seed_is_the_same_history_to_the_last_byte(histories: Campaign, seed: int) -> None:
    """In this process, and in one whose sets and dictionaries have another order."""
    first, again = histories.tell(seed), histories.tell(seed)
    assert first == again
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.simulation", str(seed)], env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert first.digest in elsewhere.stdout


def test_different_seeds_are_different_histories(histories: Campaign) -> None:
    assert len({histories.tell(seed).digest for seed in range(1, 6)}) == 5


def test_a_history_that_breaks_a_promise_says_its_seed_and_how_to_tell_it_again(
    histories: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that lets one unit more be held than there is disagrees with the script, and that is seen at once."""
    monkeypatch.setattr("livecommerce.reservations.model.Model._fits", lambda _model, _lines: True)

    def tell_some() -> None:
        for seed in range(1, 20):
            histories.tell(seed)

    with pytest.raises(Failed) as failed:
        tell_some()
    assert f"python -m tests.simulation {failed.value.seed}" in str(failed.value)


def test_every_verb_of_the_script_has_its_judge() -> None:
    spoken = {value for name, value in vars(verbs).items() if name.isupper() and isinstance(value, int)}
    assert spoken == set(_JUDGES)


def test_every_kind_of_weather_and_calm_days_are_drawn(histories: Campaign) -> None:
    drawn = [World(seed, histories._server).weather for seed in range(200)]
    assert any(weather.calm for weather in drawn)
    for kind in vars(Weather()):
        assert any(getattr(weather, kind) for weather in drawn)
