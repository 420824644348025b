"""The histogram of the hot path says what the library's own would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from livecommerce.gateway.tally import Tally

BOUNDS = (0.001, 0.01, 0.25, 1.0, 5.0)
KINDS = ("reserve", "release")


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(BOUNDS) | st.floats(0, 10))))
def test_it_tells_the_same_as_the_library_s_histogram(values: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally("answer_seconds", "To its answer", "kind", KINDS, BOUNDS, ours)
    histogram = Histogram("answer_seconds", "To its answer", ["kind"], buckets=BOUNDS, registry=theirs)
    children = {kind: histogram.labels(kind) for kind in KINDS}

    for kind, value in values:
        tally.of(kind).observe(value)
        children[kind].observe(value)

    def told(registry: CollectorRegistry) -> list[str]:
        """When each began is told by the library's alone where nobody has forbidden it."""
        return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]

    assert told(ours) == told(theirs)


def test_another_label_is_none_of_it() -> None:
    tally = Tally("answer_seconds", "To its answer", "kind", KINDS, BOUNDS, CollectorRegistry())
    with pytest.raises(KeyError):
        tally.of("accept")
