"""Display names: what a stranger may be called in front of thousands. Text in, text out, or `Refused(MALFORMED)`.

Scripts and markup stay what they are, text: pages never read them as anything else. What goes is what would change
how *other* text on the page reads: control characters, line breaks, direction overrides, invisible characters.
"""

import unicodedata

from livecommerce.errors import R, Refused

LENGTH_MAX = 40
# Marks stacked on one letter run over the lines above and below ("zalgo"); no language needs more than this many.
_MARKS_MAX = 3


def clean_name(text: str) -> str:
    """The name as it is kept: normalised, single-spaced, 1 to 40 characters. Raises `Refused(MALFORMED)`."""
    spaced = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Zs") else char for char in text)
    visible = "".join(char for char in spaced if unicodedata.category(char)[0] != "C")
    name = " ".join(_few_marks(unicodedata.normalize("NFC", visible)).split())
    if not name or len(name) > LENGTH_MAX or not any(unicodedata.category(char)[0] in "LNSP" for char in name):
        raise Refused(R.MALFORMED, expected=f"a name of 1 to {LENGTH_MAX} characters")
    return name


def _few_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _MARKS_MAX:
            kept.append(char)
    return "".join(kept)
