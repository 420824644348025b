"""The crowd's numbers, and that each says where it comes from."""

import ast
import sys
from pathlib import Path

import msgspec
import pytest

import loadtest.crowd
from loadtest.crowd.arrivals import ramp
from loadtest.crowd.parameters import WHERE_FROM, CrowdParameters


def test_every_default_says_where_it_comes_from() -> None:
    assert list(WHERE_FROM) == list(CrowdParameters.__struct_fields__)
    assert all(WHERE_FROM.values())


def test_all_viewers_come_in_most_of_them_after_the_start() -> None:
    crowd = CrowdParameters()
    times = list(ramp(crowd.arrivals()))

    assert len(times) in (crowd.viewers, crowd.viewers + 1)
    assert sum(at < crowd.doors_seconds for at in times) == pytest.approx(crowd.viewers * crowd.early_share, abs=1)
    assert times[-1] <= crowd.doors_seconds + crowd.arriving_seconds
    assert crowd.joins_per_second_max() == pytest.approx(2 * 7_000 / 300)


def test_everybody_may_come_early_and_then_nobody_comes_late() -> None:
    crowd = CrowdParameters(early_share=1.0, arriving_seconds=0.0)

    assert [stage.seconds for stage in crowd.arrivals()] == [crowd.doors_seconds]


def test_nobody_at_the_door_makes_one_falling_stage() -> None:
    (stage,) = CrowdParameters(viewers=600, early_share=0.0).arrivals()

    assert (stage.from_per_second, stage.to_per_second, stage.arrivals) == (4.0, 0.0, 600.0)


def test_how_often_a_talkative_viewer_speaks_is_told() -> None:
    assert CrowdParameters().lines_per_speaker_minute == pytest.approx(60 * 40 / 1_000)
    assert CrowdParameters(viewers=20).lines_per_speaker_minute > 60  # more than the credits of two speakers carry


def test_orders_get_the_shares_as_they_were_given() -> None:
    after = CrowdParameters(pay_share=0.5, release_share=0.2, accept_share=0.9).after

    assert (after.pay_share, after.release_share, after.accept_share) == (0.5, 0.2, 0.9)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"viewers": 0}, "at least one viewer, not 0"),
        ({"tap_share": 1.2}, "tap_share is a share from 0 to 1, not 1.2"),
        ({"pay_share": 0.8, "release_share": 0.3}, "there is only 1 to share"),
        ({"chat_per_second": -1}, "chat_per_second is a number from 0 on, not -1"),
        ({"patience_seconds": 0}, "patience_seconds is above 0"),
        ({"away_ms": (5, 1)}, "away_ms is"),
        ({"languages": {"de": 1.0}}, "speaks en, fr, zh, not de"),
        ({"languages": {"en": 0.0}}, "one of them is above 0"),
        ({"reaction_sigma": -1}, "sigma is a number from 0 on"),
        ({"early_share": 1.0, "doors_seconds": 0, "arriving_seconds": 0}, "arriving_seconds is above 0"),
    ],
)
def test_a_crowd_that_cannot_be_is_refused_in_words(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CrowdParameters(**given)  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError, match=words):  # and where it comes from a file
        msgspec.convert(given, CrowdParameters)


def test_a_misspelt_parameter_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="chat_per_sec"):
        msgspec.convert({"chat_per_sec": 3}, CrowdParameters)


def test_the_crowd_is_a_library_of_its_own() -> None:
    folder = Path(loadtest.crowd.__file__ or "").parent
    allowed = set(sys.stdlib_module_names) | {"msgspec"}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            named += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for name in named:
                within = name == "loadtest.orders" or name.startswith("loadtest.crowd")
                assert within or name.partition(".")[0] in allowed, f"{path.name} imports {name}"
