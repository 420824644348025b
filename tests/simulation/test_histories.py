"""Seeded histories of the real engine, orders, ledger and script, each judged step by step and in the end.

`python -m tests.simulation SEED` tells one again; `python -m tests.simulation 1 -` goes on until one fails.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from livecommerce.reservations import verbs
from tests.simulation.__main__ import main
from tests.simulation.campaign import CAMPAIGN, MET, Campaign, Failed, Told, campaign, tell_some
from tests.simulation.network import Weather
from tests.simulation.oracle import _JUDGES
from tests.simulation.world import SHOP_EVERY, World

# Who is killed in a history is collected some time after it, in the middle of a line.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
]

# A few dozen, as many as fit into a run of all tests. The campaign of CI (`make campaign`) tells these and thousands
# more, the long form those from 10,000 on.
SHORT = 48
LONG = range(10_000, 20_000)
# What even these must have met, or they prove nothing.
MET_SOON = ("held", "sold_out", "waiting", "entered", "drawn", "killed", "restarted", "busy", "order_paying")


@pytest.fixture(scope="module")
def histories() -> Iterator[Campaign]:
    with campaign() as running:
        yield running


@pytest.mark.timeout(1200)
def test_every_seed_of_the_short_campaign_keeps_every_promise(histories: Campaign) -> None:
    happened: dict[str, int] = {}
    for seed in range(1, SHORT + 1):
        for what, times in histories.tell(seed).happened.items():
            happened[what] = happened.get(what, 0) + times
    assert not [what for what in MET_SOON if not happened.get(what)], happened


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


def test_a_campaign_says_how_many_histories_passed_and_ends_with_the_seed_that_failed(
    histories: Campaign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The closing line is what CI reads; the number of the process is its verdict."""
    campaigns = [sys.executable, "-m", "tests.simulation", "campaign", "1", "23", "2"]
    told = subprocess.run(campaigns, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "campaign: 23 passed, 0 failed"

    monkeypatch.setattr("livecommerce.reservations.model.Model._fits", lambda _model, _lines: True)
    failed = tell_some(histories, range(1, 20))
    assert failed.failure
    monkeypatch.setattr("tests.simulation.__main__.tell_in_processes", lambda *_args: failed)
    assert main(["campaign", "1", "19"]) == 1
    said = capsys.readouterr().out
    assert f"python -m tests.simulation {failed.histories + 1}\n" in said
    assert said.splitlines()[-1] == f"campaign: {failed.histories} passed, 1 failed"


def test_a_campaign_that_met_too_little_proves_nothing_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    met = Told(len(CAMPAIGN), Counter(dict.fromkeys(MET, 1)))
    monkeypatch.setattr("tests.simulation.__main__.tell_in_processes", lambda *_args: met)
    assert main(["campaign"]) == 0
    del met.happened["kept_in_sql"]
    assert main(["campaign"]) == 1
    assert "never met ['kept_in_sql']" in capsys.readouterr().out


def test_every_verb_of_the_script_has_its_judge() -> None:
    spoken = {value for name, value in vars(verbs).items() if name.isupper() and isinstance(value, int)}
    assert spoken == set(_JUDGES)


def test_every_kind_of_weather_and_calm_days_are_drawn(histories: Campaign) -> None:
    drawn = [World(seed, histories._server).weather for seed in range(200)]
    assert any(weather.calm for weather in drawn)
    for kind in vars(Weather()):
        assert any(getattr(weather, kind) for weather in drawn)
