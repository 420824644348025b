"""Questions to one advisor: hers are the inbox and the answer, and nobody else sees either.

What arrives: a viewer and her words, or an advisor and her answer. What leaves: the question as it stands, told to the
two of them. It goes to the advisor through whom the viewer came, else to the host of the show. An answer can be written
once again, which replaces it. It knows neither sockets nor the public queue.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.clock import Clock
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.database import Database
from livecommerce.ledger.tables import accounts, private_questions
from livecommerce.people.identity import StaffIdentity, ViewerIdentity
from livecommerce.protocol.facts import PrivateQuestion, ShowFacts
from livecommerce.protocol.to_viewer import Desk, Own
from livecommerce.shows import lifecycle
from livecommerce.shows import log as show_log
from livecommerce.shows.news import News
from livecommerce.shows.reading import read_show

UNANSWERED_MAX = 20  # of one viewer in one show: more would be a chat, and nobody answers it
INBOX_SHOWN_MAX = 200


class Inbox(msgspec.Struct, frozen=True):
    """What an advisor was asked, the unanswered first, the newest of them first."""

    questions: tuple[PrivateQuestion, ...]
    unanswered: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with those whom it concerns."""

    question: PrivateQuestion
    viewer_id: str
    advisor_id: str


class PrivateQuestions:
    """One per process; keeps nothing. `facts` are a show's, as `Shows.facts` gives them."""

    def __init__(
        self, database: Database, news: News, clock: Clock, facts: Callable[[str], Awaitable[ShowFacts]]
    ) -> None:
        self._database = database
        self._news = news
        self._clock = clock
        self._facts = facts

    async def ask(self, show_id: str, viewer: ViewerIdentity, text: str) -> PrivateQuestion:
        """A question into the inbox of her advisor, or of the host; nobody else sees it. Refuses EMPTY, TOO_MANY,
        SHOW_NOT_LIVE and SHOW_OVER."""
        lifecycle.refuse_talk((await self._facts(show_id)).status)

        async def work(connection: AsyncConnection) -> _Asked:
            host_id = (await read_show(connection, show_id)).host_account_id
            return await _ask(connection, show_id, host_id, viewer, text, self._clock.now_ms())

        asked = await self._database.write(work)
        with contextlib.suppress(Refused):
            await self._news.tell_desk(show_id, Desk(private=asked.question, to_account=asked.advisor_id))
        return asked.question

    async def answer(self, staff: StaffIdentity, question_id: str, text: str) -> PrivateQuestion:
        """Her answer, to the one who asked. Refuses EMPTY, and NOT_FOUND for a question that is not hers to answer."""

        async def work(connection: AsyncConnection) -> _Asked:
            now_ms = self._clock.now_ms()
            answered = await _answer(connection, staff.account_id, question_id, text, now_ms)
            body = {"do": "answer_privately", "question_id": question_id}
            show_id = answered.question.show_id
            await show_log.append_action(connection, show_id, "command", body, now_ms, staff.account_id)
            return answered

        answered = await self._database.write(work)
        show_id = answered.question.show_id
        with contextlib.suppress(Refused):  # her page asks for it when she comes back
            await self._news.tell(show_id, answered.viewer_id, Own(private=answered.question))
            await self._news.tell_desk(show_id, Desk(private=answered.question, to_account=staff.account_id))
        return answered.question

    async def inbox(self, staff: StaffIdentity, show_id: str = "") -> Inbox:
        """What this member of staff was asked in private, over all shows or in one."""
        mine = [private_questions.c.advisor_id == staff.account_id]
        if show_id:
            mine.append(private_questions.c.show_id == show_id)
        newest = (private_questions.c.answered_at_ms.is_(None).desc(), private_questions.c.at_ms.desc())
        shown = _query().where(*mine).order_by(*newest).limit(INBOX_SHOWN_MAX)
        count = select(func.count()).where(*mine, private_questions.c.answered_at_ms.is_(None))
        async with self._database.read() as connection:
            rows = await connection.execute(shown)
            return Inbox(tuple(_facts(row) for row in rows), (await connection.execute(count)).scalar_one())

    async def of_viewer(self, show_id: str, viewer_id: str) -> tuple[PrivateQuestion, ...]:
        """What she asked in this show, with the answers, oldest first."""
        hers = (private_questions.c.show_id == show_id, private_questions.c.viewer_id == viewer_id)
        query = _query().where(*hers).order_by(private_questions.c.at_ms, private_questions.c.id)
        async with self._database.read() as connection:
            return tuple(_facts(row) for row in await connection.execute(query))


async def _ask(
    connection: AsyncConnection, show_id: str, host_account_id: str, viewer: ViewerIdentity, text: str, at_ms: int
) -> _Asked:
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


async def _answer(connection: AsyncConnection, account_id: str, question_id: str, text: str, at_ms: int) -> _Asked:
    """The advisor's answer. Refuses EMPTY, and NOT_FOUND also for a question that another was asked."""
    text = text.strip()
    if not text:
        raise Refused(R.EMPTY)
    mine = (private_questions.c.id == question_id, private_questions.c.advisor_id == account_id)
    answered = update(private_questions).where(*mine).values(answer=text, answered_at_ms=at_ms)
    if (await connection.execute(answered)).rowcount == 0:
        raise Refused(R.NOT_FOUND, what="question")
    return await _find(connection, question_id)


async def _find(connection: AsyncConnection, question_id: str) -> _Asked:
    row = (await connection.execute(_query().where(private_questions.c.id == question_id))).one()
    return _Asked(_facts(row), row.viewer_id, row.advisor_id)


def _query() -> Select[Any]:
    named = accounts.c.name.label("advisor_name")
    return select(private_questions, named).outerjoin(accounts, accounts.c.id == private_questions.c.advisor_id)


def _facts(row: Row[Any]) -> PrivateQuestion:
    return PrivateQuestion(
        row.id, row.show_id, row.at_ms, row.name, row.advisor_name or "", row.text, row.answer, row.answered_at_ms
    )
