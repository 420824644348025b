"""The demo's script: its tables agree with each other, with the clip, and with what the issue of a round needs."""

from itertools import pairwise

from livecommerce.demo import clip
from livecommerce.demo.stage import HERO, HERO_SHADE, SERUM
from livecommerce.demo.story import (
    FATES,
    GIVE_UP_AFTER_SECONDS,
    HERO_UNITS,
    LATE_AT_SECONDS,
    LATE_TAPS,
    LEFT_FOR_VISITOR,
    LINES,
    NAMES,
    OPENS_AT_SECONDS,
    PLAYERS,
    ROUND_SECONDS,
    SLOW_PAY_FROM_SECONDS,
    SLOW_PAY_UNTIL_SECONDS,
    STEPS,
    SUM_AT_SECONDS,
    TAKE_EVERY_SECONDS,
    VISITOR_PATIENCE_SECONDS,
    fates_for,
)


def test_every_unit_that_players_take_has_a_fate() -> None:
    assert len(FATES) == HERO_UNITS - LEFT_FOR_VISITOR


def test_six_are_still_paying_when_the_rival_comes() -> None:
    assert FATES.count("pay_slowly") == 6
    taken_by = OPENS_AT_SECONDS + len(FATES) * TAKE_EVERY_SECONDS
    assert taken_by + 5 < LATE_AT_SECONDS  # whoever pays at once has paid
    assert LATE_AT_SECONDS < SLOW_PAY_FROM_SECONDS < SLOW_PAY_UNTIL_SECONDS < SUM_AT_SECONDS


def test_with_one_visitor_everyone_taps_sixty_one_times() -> None:
    visitor, first_in_line, rival = 1, 1, 1
    assert len(FATES) + visitor + LATE_TAPS + first_in_line + rival == 61


def test_whoever_waits_is_offered_what_somebody_gives_up_however_many_rivals_there_are() -> None:
    for rivals in range(1, 5):
        fates = fates_for(rivals)
        assert fates.count("give_up") == 1 + rivals
        assert fates.count("pay_slowly") == 6
        assert len(fates) == len(FATES)


def test_the_last_visitor_who_taps_still_sees_the_line_move_before_the_sum() -> None:
    assert VISITOR_PATIENCE_SECONDS + GIVE_UP_AFTER_SECONDS + 10 < SUM_AT_SECONDS


def test_steps_and_lines_come_in_order_and_within_the_round() -> None:
    assert STEPS[0].at_seconds == 0
    assert STEPS[-1].at_seconds == SUM_AT_SECONDS
    assert all(one.at_seconds < other.at_seconds for one, other in pairwise(STEPS))
    assert all(one.at_seconds < other.at_seconds for one, other in pairwise(LINES))
    assert LINES[-1].at_seconds < ROUND_SECONDS
    assert len({step.key for step in STEPS}) == len(STEPS)


def test_there_is_a_name_for_every_player_and_only_they_and_the_host_speak() -> None:
    assert len(set(NAMES)) >= PLAYERS
    assert {line.by for line in LINES} <= {*range(PLAYERS), "host"}


def test_the_clip_says_what_the_cards_say_when_they_say_it() -> None:
    deal = next(part for part in clip.PARTS if part.start == OPENS_AT_SECONDS)
    assert deal.large == f"{HERO.price_minor // 100} instead of {HERO.was_minor // 100}"
    assert deal.line == f"{HERO_UNITS} units in {HERO_SHADE}"
    assert HERO.units == {HERO_SHADE: HERO_UNITS}
    serum = next(part for part in clip.PARTS if part.holds == SERUM.handle)
    assert serum.line == f"{SERUM.price_minor // 100} instead of {SERUM.was_minor // 100}"
    assert ROUND_SECONDS % clip.SECONDS == 0  # a new round meets the clip's own end


def test_what_must_be_read_in_the_clip_stands_below_the_header_and_above_the_card() -> None:
    assert clip.WORDS_TOP / clip.HEIGHT > 0.07
    assert (clip.WORDS_TOP + clip.WORDS_HEIGHT) / clip.HEIGHT < 0.36
