"""How a run was called: what can be meant, and what to type instead where it cannot."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.conduct.options import PASS_MINUTES_MAX, BadCall, Options, check_options, pass_minutes, values_of
from loadtest.scenario import Parameter, Scenario
from loadtest.scenarios import named, names


async def _nothing(_stage: Any) -> None:
    pass


SCENARIO = Scenario(
    name="small",
    about="A scenario for these tests",
    load={"viewers": "closed"},
    parameters=(
        Parameter("viewers", 10, "viewers", least=1, most=100),
        Parameter("per_second", 2.5, "a second", least=0.1),
        Parameter("wait_list", True, "yes or no"),
        Parameter("what", "cards", "which", choices=("cards", "chat")),
    ),
    play=_nothing,
)
OWN_ONLY = Scenario("own", "Kills things", {}, (), _nothing, needs_own_server=True)


def options(**given: Any) -> Options:
    return Options(out=Path("nowhere"), **given)


def test_what_is_not_said_has_its_default() -> None:
    assert values_of(SCENARIO, []) == {"viewers": 10, "per_second": 2.5, "wait_list": True, "what": "cards"}


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("viewers=20", "viewers", 20),
        ("viewers=1_00", "viewers", 100),
        ("per-second=3", "per_second", 3.0),
        ("wait_list=no", "wait_list", False),
        ("wait_list=On", "wait_list", True),
        ("what=chat", "what", "chat"),
    ],
)
def test_a_value_has_the_type_of_its_default(word: str, name: str, value: object) -> None:
    read = values_of(SCENARIO, [word])[name]

    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("viewer=20", "Did you mean viewers?"),
        ("zzz=20", "It has: viewers, per_second, wait_list, what."),
        ("viewers", "expected name=value"),
        ("viewers=many", "expected a whole number"),
        ("viewers=1.5", "expected a whole number"),
        ("viewers=0", "at least 1"),
        ("viewers=101", "at most 100"),
        ("per_second=fast", "expected a number"),
        ("per_second=nan", "expected a number"),
        ("per_second=inf", "expected a number"),
        ("per_second=0", "at least 0.1"),
        ("wait_list=perhaps", "expected yes or no"),
        ("what=stock", "expected one of cards, chat"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_type(word: str, words: str) -> None:
    with pytest.raises(BadCall, match=words.replace("?", r"\?")):
        values_of(SCENARIO, [word])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"workers": 0}, "At least one generator"),
        ({"email": "a@b.example"}, "belong to --target"),
        ({"i_own_this_host": True}, "belong to --target"),
        ({"target": "nonsense", "email": "a@b.example"}, "expected an address"),
        ({"target": "ftp://127.0.0.1", "email": "a@b.example"}, "expected an address"),
        ({"target": "http://127.0.0.1:8080"}, "--email"),
        ({"key": "short"}, "at least 16 characters"),
        ({"expect_generators": 1, "listen_host": "10.0.0.5"}, "cannot reach a server of our own"),
        (
            {"expect_generators": 1, "listen_host": "0.0.0.0", "target": "http://localhost:80", "email": "a@b.example"},
            "cannot reach http://localhost:80",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadCall, match=words):
        check_options(SCENARIO, options(**given))


def test_a_scenario_that_kills_processes_refuses_a_target() -> None:
    with pytest.raises(BadCall, match="leave --target out"):
        check_options(OWN_ONLY, options(target="http://127.0.0.1:8080", email="a@b.example"))


def test_a_host_of_ones_own_may_be_a_target_and_our_own_server_needs_no_options() -> None:
    check_options(SCENARIO, options(target="http://shop.example", email="a@b.example", i_own_this_host=True))
    check_options(OWN_ONLY, options())


def test_generators_that_join_at_loopback_are_on_this_machine_and_reach_its_servers() -> None:
    check_options(SCENARIO, options(expect_generators=1, listen_host="127.0.0.1", key="sixteen letters."))


def test_passes_are_good_for_the_plan_and_a_plan_longer_than_any_pass_is_refused() -> None:
    long = values_of(named("fanout"), ["seconds=18_000"])

    assert 300 < pass_minutes(named("fanout"), long) < PASS_MINUTES_MAX
    assert pass_minutes(named("fanout"), values_of(named("fanout"), [])) <= 32
    with pytest.raises(BadCall, match="play it in parts"):
        pass_minutes(named("fanout"), values_of(named("fanout"), ["seconds=40_000"]))


@pytest.mark.parametrize("name", names())
def test_every_scenario_fits_into_its_passes(name: str) -> None:
    assert pass_minutes(named(name), values_of(named(name), [])) < 60


def test_twice_as_many_steps_last_twice_as_long() -> None:
    scenario = named("find-limit")
    few, many = (
        pass_minutes(scenario, values_of(scenario, ["what=cards", f"factor={factor}", "step_seconds=600"]))
        for factor in (4, 2)
    )

    assert many - 30 > 1.5 * (few - 30)


def test_the_password_is_never_shown() -> None:
    assert "geheim" not in repr(options(password="geheim", metrics_token="geheim"))
