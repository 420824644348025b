"""The door's count: who is let in now, and when the others may come again."""

import dataclasses

import pytest

from livecommerce.errors import R, Refused
from livecommerce.gateway.admission import TURN_SECONDS_MAX, TURN_SECONDS_MIN, Admission
from livecommerce.settings import Settings


def told_ms(admission: Admission, now_seconds: float) -> int:
    with pytest.raises(Refused) as refused:
        admission.enter("192.0.2.1", now_seconds)
    assert refused.value.why is R.TOO_MANY
    assert refused.value.after_ms is not None
    return refused.value.after_ms


def test_who_is_sent_away_is_told_a_turn_of_her_own_at_the_rate_of_the_door(settings: Settings) -> None:
    admission = Admission(dataclasses.replace(settings, accepts_per_second=4), 100.0)
    for _ in range(4):
        admission.enter("192.0.2.1", 100.0)

    assert [told_ms(admission, 100.0) for _ in range(4)] == [1000, 1250, 1500, 1750]
    assert admission.sockets == 4
    # Half a second later two more can come in; who is one too many goes behind those who were told before.
    for _ in range(2):
        admission.enter("192.0.2.1", 100.5)
    assert told_ms(admission, 100.5) == 1500


def test_a_turn_is_never_sooner_than_a_second_and_never_beyond_the_bound(settings: Settings) -> None:
    admission = Admission(dataclasses.replace(settings, accepts_per_second=1), 0.0)
    admission.enter("192.0.2.1", 0.0)
    told = [told_ms(admission, 0.0) for _ in range(30)]

    assert told[0] == TURN_SECONDS_MIN * 1000
    assert told[-1] == TURN_SECONDS_MAX * 1000
