"""The catalogue's search: words in any order, without accents or capitals, over an index kept in memory.

What arrives: one line of text for each product. What leaves: product ids, best first. A beauty catalogue has a few
thousand products, so reading them once into memory beats asking two databases in two dialects of text search, and
`creme` finds `Crème`. It knows no table; `service` fills it and notices when it is out of date.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One product as the search knows it. `words` is its folded text; the title weighs more."""

    product_id: str
    title: str
    words: str
    type: str
    tags: frozenset[str]
    published: bool


def fold(text: str) -> str:
    """Without capitals, accents and doubled spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(sign for sign in decomposed if not unicodedata.combining(sign)).split())


def find(entries: Iterable[Entry], query: str, kind: str, tag: str, published_only: bool) -> list[str]:
    """Ids of the products that have every word of `query` (as part of a word), of this type and tag; "" is any.

    Best first: all words in the title, then the rest; within these the catalogue's own order.
    """
    words = fold(query).split()
    hits: list[tuple[int, str]] = []
    for entry in entries:
        if published_only and not entry.published:
            continue
        if (kind and entry.type != fold(kind)) or (tag and fold(tag) not in entry.tags):
            continue
        if all(word in entry.words for word in words):
            hits.append((0 if all(word in entry.title for word in words) else 1, entry.product_id))
    hits.sort(key=lambda hit: hit[0])
    return [product_id for _, product_id in hits]
