"""Names of numbers in a Lua script, put in their places before Redis sees it.

What arrives: the text of a script. What leaves: the same script, line for line, in which each constant stands as its
number. A constant is declared at the left margin, in capitals, as a whole number or in a table of nothing else:

    local HELD, PAYING = 3, 4
    local C = {ASKED = 1, HELD = 2}        used as C.HELD

Why: every call makes the script's functions anew, and for each outer variable that a function uses Lua 5.1 walks the
list of all outer variables in use until it finds it. A hundred and more constants at the far end of that list made this
walk the dearest part of a small call: about a quarter of Redis's time for one request. It knows no other Lua than this.
"""

import re

_PLAIN = re.compile(r"^local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = (\d+(?:, \d+)*)[ ]*(--.*)?$", re.M)
_TABLE = re.compile(r"^local ([A-Z][A-Z0-9_]*) = \{((?:[^{}']|--[^\n]*)*)\}[ ]*(--.*)?$", re.M)
_ENTRY = re.compile(r"\s*([A-Z][A-Z0-9_]*) = (\d+)\s*")
_COMMENT = re.compile(r"--[^\n]*")
# What a name may stand in where it is none, and then names, with a member in capitals where there is one.
_WORDS = re.compile(
    r"--[^\n]*|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Z][A-Z0-9_]*\b)?"
)


def with_constants(text: str) -> str:
    """The script with its constants in their places. Raises `ValueError` for a name that is declared twice."""
    values: dict[str, str] = {}

    def keep(name: str, value: str) -> None:
        if name in values:
            raise ValueError(f"{name} is declared twice")
        values[name] = value

    def plain(found: re.Match[str]) -> str:
        for name, value in zip(found[1].split(", "), found[2].split(", "), strict=True):
            keep(name, value)
        return found[3] or ""

    def table(found: re.Match[str]) -> str:
        entries = [each for each in _COMMENT.sub("", found[2]).split(",") if each.strip()]
        read = [_ENTRY.fullmatch(each) for each in entries]
        if not entries or not all(read):
            return found[0]
        for each in read:
            assert each is not None
            keep(f"{found[1]}.{each[1]}", each[2])
        # Its name may carry functions as well.
        return f"local {found[1]} = {{}}" + "\n" * found[0].count("\n")

    body = _TABLE.sub(table, _PLAIN.sub(plain, text))
    return _WORDS.sub(lambda found: values.get(found[0], found[0]), body)
