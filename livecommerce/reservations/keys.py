"""Every Redis key of the project, named here and nowhere else.

All keys of a show carry one hash tag, `{show:ID}`, and all keys of a location's shelves another, `{pool:LOC}`, so that
a cart is decided in one script on one node of a cluster. Both are *books*, kept by the same scripts; a location's books
go by the id that `pool_book` gives, everywhere where a show's id could stand. What leaves: text. It knows no command
and no client.
"""

SHOWS = "livecommerce:shows"  # SET of the shows whose hold clock, journal or deals still need a worker

REBUILDS = "livecommerce:rebuilds"  # HASH show → generation of the rebuild for which processes testify now


_POOL = "pool:"  # no show's id has a colon


def pool_book(location_id: str) -> str:
    """The id of the books of a location's shelves."""
    return _POOL + location_id


def location_of(book_id: str) -> str:
    """The location whose shelves these books are; "" for a show's."""
    return book_id[len(_POOL) :] if book_id.startswith(_POOL) else ""


def _key(show_id: str, name: str) -> str:
    return f"{{{show_id}}}:{name}" if show_id.startswith(_POOL) else f"{{show:{show_id}}}:{name}"


def meta(show_id: str) -> str:
    """HASH: epoch, seq, floor, clk, last, ticket, queues, counts, todo, generation; `paused` while history is known to
    be lost. Missing means "closed, rebuild"."""
    return _key(show_id, "meta")


def deals(show_id: str) -> str:
    """HASH: deal → its counters and rules."""
    return _key(show_id, "deals")


def rids(show_id: str) -> str:
    """HASH: viewer/rid → the hold's record, which is also the record of idempotency."""
    return _key(show_id, "rids")


def viewers(show_id: str) -> str:
    """HASH: viewer → her live rids; viewer/deal → her units and whether she waits."""
    return _key(show_id, "viewers")


def queues(show_id: str) -> str:
    """HASH: duration:n → the holds of one call that end together; FIFO per duration."""
    return _key(show_id, "queues")


def waits(show_id: str) -> str:
    """ZSET of `deal:ticket:viewer/rid`, all scores 0: the wait-lists in order of the alphabet."""
    return _key(show_id, "waits")


def paying(show_id: str) -> str:
    """ZSET of viewer/rid by the instant (hold clock) until which they may pay. Judged in SQL, listed here."""
    return _key(show_id, "paying")


def moves(show_id: str) -> str:
    """HASH: deal/move id → units, so that a move of stock into a deal counts once."""
    return _key(show_id, "moves")


def journal(show_id: str) -> str:
    """STREAM: what each call changed. Trimmed only after the SQL commit."""
    return _key(show_id, "journal")


def tips(show_id: str) -> str:
    """HASH, a ring of 65,536: seq modulo its size → the random tip of that call."""
    return _key(show_id, "tips")


def news(show_id: str) -> str:
    """STREAM of the show's public events."""
    return _key(show_id, "news")


def news_epoch(show_id: str) -> str:
    """HASH: epoch and last offset of the news."""
    return _key(show_id, "news_epoch")


def channel(show_id: str) -> str:
    """PUB/SUB channel of the relay between processes."""
    return _key(show_id, "channel")


def talk(show_id: str) -> str:
    """PUB/SUB channel for chat ticks."""
    return _key(show_id, "talk")


def recent_talk(show_id: str) -> str:
    """LIST of the last lines said, shown or held back, so that a moderator's command finds them."""
    return _key(show_id, "recent_talk")


_TRIAGE = ("items", "order", "claims", "index", "handed", "hands", "passed")


def triage(show_id: str) -> tuple[str, ...]:
    """KEYS of `triage.lua`, in its order: what waits for a moderator of the show."""
    return tuple(_key(show_id, f"triage:{name}") for name in _TRIAGE)


def rebuild(show_id: str) -> str:
    """HASH: generation of the rebuild that may install books. A leader whose number does not stand here has lost."""
    return _key(show_id, "rebuild")


def testimony(show_id: str, generation: int) -> str:
    """LIST: what processes remember of a show and what viewers proved, for one rebuild. It ends by itself."""
    return _key(show_id, f"testimony:{generation}")


# The keys of a show's books beside `meta` and `tips`, which a rebuild makes anew and swaps in.
BOOKS = ("deals", "rids", "viewers", "queues", "waits", "paying", "moves")


def books(show_id: str) -> tuple[str, ...]:
    """The keys of `BOOKS`."""
    return tuple(_key(show_id, name) for name in BOOKS)


def staged(show_id: str, generation: int) -> tuple[str, ...]:
    """Where one rebuild writes what will become the keys of `BOOKS`, in their order."""
    return tuple(_key(show_id, f"anew:{generation}:{name}") for name in BOOKS)


def engine_keys(show_id: str) -> tuple[str, ...]:
    """KEYS of `reserve.lua`, in its order."""
    return (
        meta(show_id),
        deals(show_id),
        rids(show_id),
        viewers(show_id),
        queues(show_id),
        waits(show_id),
        paying(show_id),
        moves(show_id),
        journal(show_id),
        tips(show_id),
        channel(show_id),
    )


# The demo's board: visitors who arrived and wishes of the page (LIST, read by the director), and what the director
# last wrote of its story (STRING, JSON, read by the page).
DEMO_WISHES = "livecommerce:demo:wishes"
DEMO_BOARD = "livecommerce:demo:board"

# What the audit found when it last looked (STRING, JSON): the worker writes it, web processes show it in their metrics.
AUDIT = "livecommerce:audit"
