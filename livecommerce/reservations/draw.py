"""The arithmetic of a draw, which anyone can do again: commitment, marks, root, order.

What arrives: a seed that was committed to before the first tap, and who entered under which ticket. What leaves: the
order in which the entrants are served. Everything is a function of what is published afterwards; `docs/fairness.md`
has the same in twenty lines for people without this package. It knows no Redis, no SQL and no stock.

Why this construction. The seed alone must not fix the order: whoever could read it in the ledger an hour before would
know which tickets win. So the order also depends on the root, which nobody knows before the last one has entered.
Entrants are told apart by their ticket, the number of their arrival, which Redis gives: nobody can choose it, as one
could try out request ids or make guest after guest until a lucky one is found. And since each ticket has a number of
its own, by which all are sorted, the rest of a draw that was cut off half-way has the order it would have had.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping


def new_seed() -> str:
    """256 bits nobody knows, in hex; also the salt of a list."""
    return secrets.token_hex(32)


def commitment_of(seed: str) -> str:
    """What is published before the first tap: it fixes the seed and does not tell it."""
    return hashlib.sha256(seed.encode()).hexdigest()


def nonce_of(salt: str, viewer_id: str) -> str:
    """What opens a mark: told to the viewer alone."""
    return hmac.digest(salt.encode(), viewer_id.encode(), hashlib.sha256).hex()


def mark_of(salt: str, viewer_id: str) -> str:
    """A viewer as the list of one deal shows her. With her nonce she can prove that it is her own; without it nobody
    can find it from her id, and since each deal has a salt of its own, nobody can tell that two marks are one person.
    """
    return hashlib.sha256(f"{viewer_id}:{nonce_of(salt, viewer_id)}".encode()).hexdigest()


def root_of(marks: Mapping[int, str]) -> str:
    """All entrants (ticket → mark) in one hash, in the order of their arrival."""
    return hashlib.sha256("\n".join(f"{ticket}:{marks[ticket]}" for ticket in sorted(marks)).encode()).hexdigest()


def order_of(seed: str, root: str, tickets: Iterable[int]) -> list[int]:
    """The tickets in the order in which they are served."""
    key = seed.encode()
    return sorted(tickets, key=lambda ticket: hmac.digest(key, f"{root}:{ticket}".encode(), hashlib.sha256))


def root_and_order(seed: str, salt: str, entrants: Mapping[int, str]) -> tuple[str, list[int]]:
    """Of entrants as ticket → viewer id."""
    root = root_of({ticket: mark_of(salt, viewer_id) for ticket, viewer_id in entrants.items()})
    return root, order_of(seed, root, entrants)
