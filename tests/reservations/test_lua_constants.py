"""Constants of scripts in their places: the same script, line for line, and no name of a number left."""

from importlib import resources

import pytest

from livecommerce.reservations.lua_constants import with_constants


def test_names_become_numbers_and_every_line_stays_where_it_was() -> None:
    text = """-- HELD is a word here
local HELD, PAYING = 3, 4     -- states
local C = {
  ASKED = 1, HELD = 2,     -- counts
  LAST = 30,
}
if state == HELD and counts[C.ASKED] == PAYING then
  call('HELD', "PAYING", key .. 'C.ASKED')     -- HELD
end
local HELD_TOO = HELDER
"""
    assert (
        with_constants(text)
        == """-- HELD is a word here
-- states
local C = {}



if state == 3 and counts[1] == 4 then
  call('HELD', "PAYING", key .. 'C.ASKED')     -- HELD
end
local HELD_TOO = HELDER
"""
    )


@pytest.mark.parametrize(
    "text",
    [
        "local held = 3\nreturn held\n",
        "  local INNER = 3\nreturn INNER\n",
        "local T = {A = 1, B = x}\nreturn T.A\n",
        "local T = {A = {1}}\nreturn T.A\n",
        "local NAME = 'text'\nreturn NAME\n",
        "local KEY = KEYS[1]\nreturn KEY\n",
        "local SET = {[2] = true}\nreturn SET[2]\n",
    ],
)
def test_what_is_no_constant_stays(text: str) -> None:
    assert with_constants(text) == text


def test_a_table_may_carry_functions_beside_its_numbers() -> None:
    text = "local DRAW = {RUNS = 1}\nfunction DRAW.go() return DRAW.RUNS end\nreturn DRAW.go()\n"
    assert with_constants(text) == "local DRAW = {}\nfunction DRAW.go() return 1 end\nreturn DRAW.go()\n"


def test_a_name_has_one_number() -> None:
    with pytest.raises(ValueError, match="A is declared twice"):
        with_constants("local A = 1\nlocal A = 2\n")


@pytest.mark.parametrize("name", ["reserve.lua", "open_show.lua", "witnessed.lua", "claim_rebuild.lua"])
def test_our_scripts_keep_their_lines(name: str) -> None:
    text = resources.files("livecommerce.reservations").joinpath("lua", name).read_text()
    assert with_constants(text).count("\n") == text.count("\n")


def test_the_script_of_reservations_is_left_without_names_of_numbers() -> None:
    text = resources.files("livecommerce.reservations").joinpath("lua", "reserve.lua").read_text()
    body = with_constants(text)
    for name in ("D_AVAILABLE", "H_STATE", "C.HELD", "DRAW.PHASE", "NOBODY.LOST", "TIME_STEP", "LINES_MAX"):
        assert f"{name} " not in "\n".join(line.partition("--")[0] + " " for line in body.splitlines()), name
