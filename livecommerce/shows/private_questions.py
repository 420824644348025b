"""Questions to one advisor: hers are the inbox and the answer, and nobody else sees either.

What arrives: a viewer and her words, or an advisor and her answer. What leaves: the question as it stands, for the two
of them. It goes to the advisor through whom the viewer came, else to the host of the show. An answer can be written
once again, which replaces it. It knows no sockets; whoever calls tells both.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.tables import accounts, private_questions
from livecommerce.people.identity import ViewerIdentity
from livecommerce.protocol.facts import PrivateQuestion

UNANSWERED_MAX = 20  # of one viewer in one show: more would be a chat, and nobody answers it
INBOX_SHOWN_MAX = 200


class Inbox(msgspec.Struct, frozen=True):
    """What an advisor was asked, the unanswered first, the newest of them first."""

    questions: tuple[PrivateQuestion, ...]
    unanswered: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with those whom it concerns."""

    question: PrivateQuestion
    viewer_id: str
    advisor_id: str


async def ask(
    connection: AsyncConnection, show_id: str, host_account_id: str, viewer: ViewerIdentity, text: str, at_ms: int
) -> Asked:
    """A question into her advisor's inbox. Refuses EMPTY, TOO_MANY."""
    text = text.strip()
    if not text:
        raise Refused(R.EMPTY)
    open_ones = select(func.count()).where(
        private_questions.c.show_id == show_id,
        private_questions.c.viewer_id == viewer.viewer_id,
        private_questions.c.answered_at_ms.is_(None),
    )
    if (await connection.execute(open_ones)).scalar_one() >= UNANSWERED_MAX:
        raise Refused(R.TOO_MANY, after_ms=60_000)
    known = select(accounts.c.id).where(accounts.c.id == viewer.advisor_id, accounts.c.disabled_at_ms.is_(None))
    advisor_id = (await connection.execute(known)).scalar_one_or_none() or host_account_id
    question_id = new_id("prq")
    row = {
        "id": question_id, "show_id": show_id, "viewer_id": viewer.viewer_id, "name": viewer.name,
        "advisor_id": advisor_id, "text": text, "at_ms": at_ms,
    }  # fmt: skip
    await connection.execute(insert(private_questions).values(row))
    return await _find(connection, question_id)


async def answer(connection: AsyncConnection, account_id: str, question_id: str, text: str, at_ms: int) -> Asked:
    """The advisor's answer. Refuses EMPTY, and NOT_FOUND also for a question that another was asked."""
    text = text.strip()
    if not text:
        raise Refused(R.EMPTY)
    mine = (private_questions.c.id == question_id, private_questions.c.advisor_id == account_id)
    answered = update(private_questions).where(*mine).values(answer=text, answered_at_ms=at_ms)
    if (await connection.execute(answered)).rowcount == 0:
        raise Refused(R.NOT_FOUND, what="question")
    return await _find(connection, question_id)


async def inbox(connection: AsyncConnection, account_id: str, show_id: str = "") -> Inbox:
    """An advisor's inbox, over all shows or of one."""
    mine = [private_questions.c.advisor_id == account_id]
    if show_id:
        mine.append(private_questions.c.show_id == show_id)
    newest = (private_questions.c.answered_at_ms.is_(None).desc(), private_questions.c.at_ms.desc())
    rows = await connection.execute(_query().where(*mine).order_by(*newest).limit(INBOX_SHOWN_MAX))
    count = select(func.count()).where(*mine, private_questions.c.answered_at_ms.is_(None))
    return Inbox(tuple(_facts(row) for row in rows), (await connection.execute(count)).scalar_one())


async def of_viewer(connection: AsyncConnection, show_id: str, viewer_id: str) -> tuple[PrivateQuestion, ...]:
    """What she asked in this show, oldest first."""
    hers = (private_questions.c.show_id == show_id, private_questions.c.viewer_id == viewer_id)
    rows = await connection.execute(_query().where(*hers).order_by(private_questions.c.at_ms, private_questions.c.id))
    return tuple(_facts(row) for row in rows)


async def _find(connection: AsyncConnection, question_id: str) -> Asked:
    row = (await connection.execute(_query().where(private_questions.c.id == question_id))).one()
    return Asked(_facts(row), row.viewer_id, row.advisor_id)


def _query() -> Select[Any]:
    named = accounts.c.name.label("advisor_name")
    return select(private_questions, named).outerjoin(accounts, accounts.c.id == private_questions.c.advisor_id)


def _facts(row: Row[Any]) -> PrivateQuestion:
    return PrivateQuestion(
        row.id, row.show_id, row.at_ms, row.name, row.advisor_name or "", row.text, row.answer, row.answered_at_ms
    )
