"""The picture of a product that has none: its initials on a soft gradient, the same every time.

What arrives: handle, title and type. What leaves: an SVG document. Products of one type share a family of colours, so
that a shelf of them looks meant. It knows no table and no file.
"""

import hashlib
from html import escape

# Pairs of soft colours (light from above, shade below) and a dark ink that reads on both, by hand.
_TONES = (
    ("#fbeee9", "#e9c3b4", "#6f3f33"),
    ("#f7eef4", "#dcb8cf", "#68395a"),
    ("#eef1f8", "#bcc8e2", "#36466b"),
    ("#eef6f1", "#b5d3c2", "#2f5744"),
    ("#f8f3e6", "#e2cd9c", "#665022"),
    ("#f1eef8", "#c5b9e0", "#463a70"),
    ("#f3f1ee", "#cfc6ba", "#514940"),
    ("#ebf5f7", "#aed1d8", "#27535c"),
)
_WORDS_LEFT_OUT = frozenset(("the", "of", "and", "de", "la", "le", "les", "du", "des", "et", "a", "an", "for", "with"))


def placeholder_svg(handle: str, title: str = "", kind: str = "") -> str:
    """A square SVG for the product; the same arguments give the same document."""
    light, deep, ink = _TONES[_number(kind or handle) % len(_TONES)]
    turn = _number(handle)
    x, y, r = 250 + turn % 460, 230 + turn // 7 % 300, 300 + turn // 11 % 120
    letters = escape(_initials(title or handle))
    label = escape(title or handle, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 960" role="img" aria-label="{label}">'
        f'<defs><linearGradient id="g" x1="0" y1="0" x2=".35" y2="1"><stop stop-color="{light}"/>'
        f'<stop offset="1" stop-color="{deep}"/></linearGradient>'
        '<radialGradient id="s"><stop stop-color="#fff" stop-opacity=".75"/>'
        '<stop offset="1" stop-color="#fff" stop-opacity="0"/></radialGradient></defs>'
        f'<rect width="960" height="960" fill="url(#g)"/><circle cx="{x}" cy="{y}" r="{r}" fill="url(#s)"/>'
        f'<circle cx="480" cy="470" r="236" fill="none" stroke="{ink}" stroke-opacity=".28" stroke-width="2.5"/>'
        f'<circle cx="480" cy="470" r="222" fill="#fff" fill-opacity=".28"/>'
        f'<text x="480" y="478" text-anchor="middle" dominant-baseline="central" fill="{ink}" font-size="176"'
        " letter-spacing=\"6\" font-family=\"Didot,'Bodoni MT','Playfair Display',Georgia,serif\">"
        f"{letters}</text></svg>"
    )


def _initials(title: str) -> str:
    words = [word for word in title.replace("-", " ").split() if word.casefold() not in _WORDS_LEFT_OUT]
    if not words:
        return title[:1].upper()
    if not words[0][0].isascii():
        return words[0][:2]  # scripts without capitals and spaces: the first two signs say more than one
    return "".join(word[0] for word in words[:2]).upper()


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.casefold().encode()).digest()[:6], "big")
