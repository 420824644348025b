"""The question queue: asked by viewers, voted up once by each, kept in SQL.

What arrives: a viewer and her words, inside a transaction. What leaves: the question as the room sees it. Votes are
counted at once and told to the room in one go a moment later, by the programme: a vote must not cost a state event.
It knows no cards and no roles; taking and answering are commands.
"""

from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from livecommerce.catalogue.pools import insert_new
from livecommerce.errors import R, Refused
from livecommerce.ids import new_id
from livecommerce.ledger.tables import question_votes, questions
from livecommerce.protocol.facts import Question
from livecommerce.shows.reading import question_facts

# More than any lesson answers; past it the queue would only hide good questions.
QUEUED_MAX = 500
# What a newcomer is shown; the rest comes as it moves.
SHOWN_MAX = 100


async def ask(connection: AsyncConnection, show_id: str, viewer_id: str, name: str, text: str, at_ms: int) -> Question:
    """A question at the end of the queue. Refuses EMPTY, TOO_MANY (the queue is full)."""
    text = text.strip()
    if not text:
        raise Refused(R.EMPTY)
    queued = select(func.count()).where(questions.c.show_id == show_id, questions.c.status == "queued")
    if (await connection.execute(queued)).scalar_one() >= QUEUED_MAX:
        raise Refused(R.TOO_MANY, after_ms=60_000)
    question = Question(new_id("qst"), name, text, 0, "queued")
    await connection.execute(
        insert(questions).values(
            id=question.question_id, show_id=show_id, viewer_id=viewer_id, name=name, text=text, at_ms=at_ms
        )
    )
    return question


async def vote(connection: AsyncConnection, show_id: str, question_id: str, viewer_id: str) -> Question:
    """The question with this viewer's vote; a second vote changes nothing. Refuses NOT_FOUND."""
    ours = (questions.c.id == question_id, questions.c.show_id == show_id)
    # The row is locked before the vote is looked at, so that two votes of one viewer at once count once.
    row = (await connection.execute(select(questions).where(*ours).with_for_update())).first()
    if row is None:
        raise Refused(R.NOT_FOUND, what="question")
    if await insert_new(connection, question_votes, question_id=question_id, viewer_id=viewer_id):
        await connection.execute(update(questions).where(*ours).values(votes=questions.c.votes + 1))
        row = (await connection.execute(select(questions).where(*ours))).one()
    return question_facts(row)


async def told(connection: AsyncConnection, show_id: str) -> list[Question]:
    """The questions whose votes the room has not heard yet; they count as told once this transaction commits."""
    untold = (questions.c.show_id == show_id, questions.c.votes != questions.c.votes_told)
    rows = (await connection.execute(select(questions).where(*untold).with_for_update())).all()
    for row in rows:
        await connection.execute(update(questions).where(questions.c.id == row.id).values(votes_told=row.votes))
    return [question_facts(row) for row in rows]


async def shows_with_untold_votes(connection: AsyncConnection, show_ids: list[str]) -> list[str]:
    query = select(questions.c.show_id).where(
        questions.c.show_id.in_(show_ids), questions.c.votes != questions.c.votes_told
    )
    return list((await connection.execute(query.distinct())).scalars())


async def queue(connection: AsyncConnection, show_id: str) -> tuple[Question, ...]:
    """What a newcomer sees: the one on the picture, then by votes, then the answered ones."""
    place: Any = case((questions.c.status == "answering", 0), (questions.c.status == "queued", 1), else_=2)
    query = (
        select(questions)
        .where(questions.c.show_id == show_id, questions.c.status != "dropped")
        .order_by(place, questions.c.votes.desc(), questions.c.at_ms, questions.c.id)
        .limit(SHOWN_MAX)
    )
    return tuple(question_facts(row) for row in await connection.execute(query))
