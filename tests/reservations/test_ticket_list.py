"""The signed list: it says yes to what is true, finds every forgery, and twenty lines from the docs agree."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from livecommerce.cli import main
from livecommerce.reservations import draw as arithmetic
from livecommerce.reservations.ticket_list import (
    DrawPart,
    Signed,
    Ticket,
    TicketList,
    Unreadable,
    canonical,
    file_of,
    public_key_of,
    sign,
    signing_key,
    verify,
)

KEY = signing_key("a secret of this server, long enough")
SEED, SALT = "5" * 64, "6" * 64
ODD_TITLE = 'Rouge "à" l\u2028évres\x7f\t\\ 口红 👄'


def a_list(fairness: str = "draw", entrants: int = 12, units: int = 3, **changes: Any) -> TicketList:
    marks = {ticket: arithmetic.mark_of(SALT, f"vwr_{ticket}") for ticket in range(5, 5 + entrants)}
    root = arithmetic.root_of(marks)
    order = arithmetic.order_of(SEED, root, marks)
    places = {ticket: place for place, ticket in enumerate(order, 1)}
    drawn = fairness == "draw"
    tickets = [
        Ticket(
            ticket, mark, 1, 1000 + ticket, "confirmed" if places[ticket] <= units else "lapsed",
            places[ticket] if drawn else None, (("held" if places[ticket] <= units else "waiting") if drawn else None),
        )
        for ticket, mark in marks.items()
    ]  # fmt: skip
    part = DrawPart(arithmetic.commitment_of(SEED), SEED, root, entrants, 6, 9000) if drawn else None
    whole: dict[str, Any] = {
        "format": "livecommerce.tickets.1", "show_id": "shw_1", "deal_id": "dea_1", "title": ODD_TITLE, "label": "Plum",
        "fairness": fairness, "quota": units, "limit": 1, "sold": units, "opened_at_ms": 900, "tickets": tuple(tickets),
        "draw": part, **changes,
    }  # fmt: skip
    return TicketList(**whole)


def wrong(file: bytes, **claims: Any) -> list[str]:
    return [finding.text for finding in verify(file, **claims) if finding.holds is False]


def forged(change: Any, tickets: TicketList | None = None) -> tuple[bytes, bytes]:
    """The list with a change under its old signature, and the same signed by the server itself."""
    signed = sign(KEY, tickets or a_list())
    facts = json.loads(signed.body)
    change(facts)
    body = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    resigned = sign(KEY, msgspec.convert(facts, TicketList))
    return file_of(Signed(body, signed.signature, signed.public_key)), file_of(resigned)


@pytest.mark.parametrize("tickets", [a_list(), a_list("first_come"), a_list("first_come", 0, 0, quota=5)], ids=str)
def test_a_true_list_has_nothing_wrong(tickets: TicketList) -> None:
    file = file_of(sign(KEY, tickets))
    findings = verify(file, key=public_key_of(KEY), commitment=arithmetic.commitment_of(SEED) if tickets.draw else None)
    assert all(finding.holds for finding in findings), findings


@pytest.mark.parametrize(("rule", "true"), [("skip", False), ("wait", True)])
def test_whether_others_overtake_one_who_wants_more_than_is_left_is_the_rule_of_its_deal(rule: str, true: bool) -> None:
    tickets = a_list()
    assert tickets.draw is not None
    second = next(row for row in tickets.tickets if row.place == 2)
    # Three units: the first has one, the second wants three, and nobody behind her was served.
    rows = tuple(
        msgspec.structs.replace(
            row,
            qty=3 if row.ticket == second.ticket else 1,
            served="held" if row.place == 1 else "waiting",
            outcome="confirmed" if row.place == 1 else "lapsed",
        )
        for row in tickets.tickets
    )
    part = msgspec.structs.replace(tickets.draw, head_wants_more=rule)
    file = file_of(sign(KEY, msgspec.structs.replace(tickets, tickets=rows, sold=1, draw=part)))
    assert wrong(file) == ([] if true else ["units were not given in this order"])


def test_another_spelling_of_the_same_list_is_the_same_list() -> None:
    file = json.dumps(json.loads(file_of(sign(KEY, a_list()))), indent=2).encode()
    assert wrong(file, key=public_key_of(KEY)) == []


def test_the_bytes_are_those_of_rfc_8785() -> None:
    facts = json.loads(canonical(a_list()))
    assert canonical(a_list()) == json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def swap_two_places(facts: Any) -> None:
    first, second = facts["tickets"][:2]
    first["place"], second["place"] = second["place"], first["place"]


def another_seed(facts: Any) -> None:
    facts["draw"]["seed"] = "7" * 64


def another_seed_that_fits(facts: Any) -> None:
    """What a server would do that wants another draw and forges its commitment too."""
    facts["draw"].update(seed="7" * 64, commitment=arithmetic.commitment_of("7" * 64))


def another_viewer(facts: Any) -> None:
    facts["tickets"][3]["who"] = "e" * 64


def one_left_out(facts: Any) -> None:
    facts["tickets"] = [row for row in facts["tickets"] if row["place"] != 2]


def a_friend_served(facts: Any) -> None:
    last = max(facts["tickets"], key=lambda row: row["place"])
    last.update(served="held", outcome="confirmed")
    facts["sold"] += 1


def more_sold(facts: Any) -> None:
    facts["quota"] -= 1


def more_than_the_limit(facts: Any) -> None:
    mark = facts["tickets"][0]["who"]
    for row in facts["tickets"]:
        row["who"] = mark if row["outcome"] == "confirmed" else row["who"]


def a_ticket_twice(facts: Any) -> None:
    facts["tickets"][1]["ticket"] = facts["tickets"][0]["ticket"]


FORGERIES = [
    (swap_two_places, "not the one that seed and root give"), (another_seed, "does not fit its commitment"),
    (another_seed_that_fits, "not the one that seed and root give"), (another_viewer, "do not come to the root"),
    (one_left_out, "the list says"), (a_friend_served, "not given in this order"), (more_sold, "units confirmed of"),
    (more_than_the_limit, "to one viewer"), (a_ticket_twice, "not in order"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), FORGERIES, ids=[change.__name__ for change, _ in FORGERIES])
def test_a_forged_list_is_found_by_its_signature_and_by_itself(change: Any, says: str) -> None:
    """Whoever changes it has no signature; and the server itself cannot sign what does not add up."""
    changed, resigned = forged(change)
    assert any("signature does not fit" in text for text in wrong(changed))
    assert not any("signature" in text for text in wrong(resigned))
    assert any(says in text for text in wrong(resigned)), wrong(resigned)


def test_a_draw_with_another_seed_is_found_by_the_commitment_published_before() -> None:
    """All of it made anew around another seed: only who kept the commitment can tell, and can."""
    published = arithmetic.commitment_of("8" * 64)
    [text] = wrong(file_of(sign(KEY, a_list())), commitment=published)
    assert text == "the commitment is not the one published before"


def test_a_list_signed_by_somebody_else_is_found_by_the_key() -> None:
    file = file_of(sign(signing_key("another secret, as long as it must be"), a_list()))
    assert wrong(file) == []
    assert len(wrong(file, key=public_key_of(KEY))) == 2
    assert len(wrong(file, key="no key at all")) == 2


def test_a_deal_closed_before_its_draw_names_its_seed_and_nobody() -> None:
    part = DrawPart(arithmetic.commitment_of(SEED), SEED, "", 0, 6, None)
    lapsed = tuple(Ticket(n, "f" * 64, 1, n, "lapsed") for n in range(1, 4))
    tickets = a_list(draw=part, tickets=lapsed, sold=0)
    assert wrong(file_of(sign(KEY, tickets))) == []
    drawn = tuple(msgspec.structs.replace(row, place=row.ticket, served="held") for row in lapsed)
    assert len(wrong(file_of(sign(KEY, msgspec.structs.replace(tickets, tickets=drawn))))) == 1


@pytest.mark.parametrize("file", [b"", b"{}", b"[]", b"\xff\xfe", b'{"list":{}}', b"[" * 100_000], ids=range(6))
def test_what_is_no_list_is_unreadable(file: bytes) -> None:
    with pytest.raises(Unreadable):
        verify(file)


def test_the_key_is_no_hold_tokens_key_and_differs_by_secret() -> None:
    assert public_key_of(KEY) == public_key_of(signing_key("a secret of this server, long enough"))
    assert public_key_of(KEY) != public_key_of(signing_key("a secret of this server, long enough!"))


# --- the command and the page ---------------------------------------------------------------------------------------


def run(tmp_path: Path, file: bytes, *options: str) -> tuple[int, str]:
    path = tmp_path / "tickets.json"
    path.write_bytes(file)
    result = CliRunner().invoke(main, ["verify-tickets", str(path), *options])
    return result.exit_code, result.output


def test_the_command_says_in_words_what_it_found(tmp_path: Path) -> None:
    file = file_of(sign(KEY, a_list()))
    code, said = run(tmp_path, file, "--key", public_key_of(KEY), "--commitment", arithmetic.commitment_of(SEED))
    assert code == 0
    assert "✓ the order is the one that seed and root give" in said
    assert "Everything that the list says of itself is true." in said


@pytest.mark.parametrize(
    ("file", "code"), [(forged(a_friend_served)[1], 1), (b"nothing", 2)], ids=["forged", "no list"]
)
def test_the_command_exits_with_what_is_wrong(tmp_path: Path, file: bytes, code: int) -> None:
    found, said = run(tmp_path, file)
    assert found == code
    assert "✗" in said


def script_of_the_page(tmp_path: Path) -> Path:
    page = Path(__file__).parents[2] / "docs" / "fairness.md"
    [code] = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    path = tmp_path / "check.py"
    path.write_text(code)
    return path


@pytest.mark.parametrize(
    ("file", "is_true"),
    [(file_of(sign(KEY, a_list())), True), (file_of(sign(KEY, a_list("first_come"))), True),
     (forged(a_friend_served)[0], False), (forged(swap_two_places)[1], False), (forged(another_seed)[1], False)],
    ids=["draw", "first come", "changed", "another order", "another seed"],
)  # fmt: skip
def test_the_twenty_lines_of_the_page_say_the_same(tmp_path: Path, file: bytes, is_true: bool) -> None:
    path = tmp_path / "tickets.json"
    path.write_bytes(file)
    done = subprocess.run([sys.executable, script_of_the_page(tmp_path), path], capture_output=True, text=True)
    assert (done.returncode == 0, "true" in done.stdout) == (is_true, is_true), done.stderr
