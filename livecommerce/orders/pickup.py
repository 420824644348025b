"""Codes that a person reads out at a counter, and QR codes of them and of payment links.

What arrives: nothing, or text that somebody typed. What leaves: codes, and SVG to put into a page. It does not know
which codes are taken.
"""

import re
import secrets

import segno

# Without what looks or sounds alike on a small screen: 0/O, 1/I/L, 2/Z, 5/S, 8/B, U (V).
CODE_ALPHABET = "ACDEFGHJKMNPQRTVWXY34679"
CODE_LENGTH = 6
_CODE = re.compile(f"[{CODE_ALPHABET}]{{{CODE_LENGTH}}}")


def new_code(length: int = CODE_LENGTH) -> str:
    """A random code. Six letters are 191 million codes: one guess at a counter hits an open order about never."""
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(length))


def read_code(typed: str) -> str | None:
    """The code in what was typed or scanned: small letters, spaces, dashes, or a link that ends in it. Else None."""
    tail = typed.strip().rstrip("/").rpartition("/")[2]
    code = re.sub(r"[\s-]", "", tail).upper()
    return code if _CODE.fullmatch(code) else None


def qr_svg(text: str) -> str:
    """A QR code of `text` as an SVG that takes the size and colour of where it stands. Level M: a cracked screen."""
    svg: str = segno.make(text, error="m", micro=False).svg_inline(omitsize=True, border=2)
    return svg


def qr_svg_file(text: str) -> bytes:
    """The same as a document of its own."""
    svg = qr_svg(text).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg}\n'.encode()
