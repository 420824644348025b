"""What viewers say: a line of chat, a question, a private one, a vote, a claim in words.

What arrives: a seated socket and her message, which has had its credits. What leaves: the line to her room, a question
to the show, a claim to the claim desk, a line that waits to the triage; and to her what became of it. Words and copies
are judged by the room, the rest by the merchant's judge where there is one. It does not know how lines travel.
"""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Literal

from livecommerce.errors import R, Refused
from livecommerce.gateway.claims import ASKED_AGAIN
from livecommerce.gateway.judge import JudgedLine
from livecommerce.gateway.measures import TALK_REFUSED
from livecommerce.gateway.socket import LiveSocket
from livecommerce.ids import new_id
from livecommerce.protocol.facts import Line
from livecommerce.protocol.from_viewer import Say
from livecommerce.protocol.to_viewer import Own, Said
from livecommerce.rooms.copies import Print, print_of
from livecommerce.rooms.letters import cleaned, letters
from livecommerce.rooms.room import Remember, Speaker
from livecommerce.shows.claims import Claim, Unclear
from livecommerce.shows.triage import TriageLine

if TYPE_CHECKING:
    from livecommerce.gateway.hub import Hub

Kind = Literal["chat", "question", "private"]


class Speech:
    """One per hub."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub

    def say(self, socket: LiveSocket, say: Say) -> None:
        hall, viewer = socket.hall, socket.identity
        assert hall is not None
        assert viewer is not None
        now = self._hub.clock.monotonic()
        member = viewer.kind == "merchant"
        speaker = Speaker(viewer.viewer_id, viewer.name, socket.role, viewer.kind == "simulated", socket, member)
        claim = hall.room.shelf.read(say.text) if say.kind == "chat" else None
        try:
            text = hall.room.may_say(speaker, say.text, now, claim is not None, say.kind == "private")
        except Refused as refused:
            if claim is not None and refused.why in ASKED_AGAIN and hall.claims.knows(viewer.viewer_id, say.cid):
                hall.claims.answer(socket, say.cid, claim)
                return
            TALK_REFUSED.labels(refused.why.value.word).inc()
            if refused.why is R.HELD_BACK:
                raise self._held_back(socket, say.kind, cleaned(say.text), "copies") from None
            raise
        if claim is not None:
            self._claim(socket, speaker, say.cid, text, claim)
        else:
            self._judge_or_deliver(socket, speaker, say.cid, say.kind, text)

    def _judge_or_deliver(self, socket: LiveSocket, speaker: Speaker, cid: str, kind: Kind, text: str) -> None:
        if speaker.role == "viewer" and self._hub.judge.is_on:
            self._hub.ask(socket, cid, self._judged(socket, speaker, cid, kind, text))
        else:
            self._deliver(socket, speaker, cid, kind, text)

    async def _judged(self, socket: LiveSocket, speaker: Speaker, cid: str, kind: Kind, text: str) -> None:
        """Ask the merchant's judge, then do as it says. Lines of others go on meanwhile; hers stay in their order."""
        hall, viewer = socket.hall, socket.identity
        assert hall is not None
        assert viewer is not None
        before, mine = hall.last_judged.get(speaker.viewer_id), asyncio.Event()
        hall.last_judged[speaker.viewer_id] = mine
        try:
            verdict = await self._hub.judge(
                JudgedLine(
                    new_id("jdg"), socket.show_id, kind, text, speaker.name, speaker.viewer_id, speaker.member,
                    self._hub.clock.now_ms(),
                )
            )  # fmt: skip
            if before is not None:
                await before.wait()
            # She may have been silenced while it was thinking.
            hall.room.may_still_say(speaker, self._hub.clock.monotonic(), kind == "private")
            if verdict.verdict == "refuse":
                reason = cleaned(verdict.reason)[:200]
                if not reason:
                    raise Refused(R.NOT_SHOWN)
                raise Refused(R.NOT_SHOWN, facts={"reason": reason}, reason=reason)
            if verdict.verdict == "hold" and kind != "private":
                raise self._held_back(socket, kind, text, cleaned(verdict.reason)[:200] or "judge")
            self._deliver(socket, speaker, cid, kind, cleaned(verdict.text or "") or text)
        finally:
            mine.set()
            if hall.last_judged.get(speaker.viewer_id) is mine:
                del hall.last_judged[speaker.viewer_id]

    def _deliver(self, socket: LiveSocket, speaker: Speaker, cid: str, kind: Kind, text: str) -> None:
        hall = socket.hall
        assert hall is not None
        if kind == "chat":
            hall.room.say(speaker, cid, text, self._hub.clock.now_ms(), self._hub.clock.monotonic())
            hall.said()
        elif kind == "question":
            self._hub.ask(socket, cid, self._question(socket, cid, text))
        else:
            self._hub.ask(socket, cid, self._private(socket, cid, text))

    def _claim(self, socket: LiveSocket, speaker: Speaker, cid: str, text: str, claim: Claim | Unclear) -> None:
        """A line that claims: in the chat like any other, or not, as the show says; and answered to her alone. The
        claim itself waits for no judge: others tap meanwhile."""
        hall, now_ms = socket.hall, self._hub.clock.now_ms()
        assert hall is not None
        if hall.claims.knows(speaker.viewer_id, cid):
            pass  # the same line once more: it was said
        elif hall.room.shelf.rules.lines_shown:
            self._judge_or_deliver(socket, speaker, cid, "chat", text)
        else:
            socket.tell(Said(cid, False, self._line(socket, text, "chat", now_ms)))
        hall.claims.answer(socket, cid, claim)

    def _line(self, socket: LiveSocket, text: str, kind: Any, now_ms: int) -> Line:
        viewer = socket.identity
        assert viewer is not None
        return Line(new_id("ln"), now_ms, viewer.name, text, socket.role, kind, viewer.kind == "simulated")

    def _held_back(self, socket: LiveSocket, kind: Kind, text: str, why: str) -> Refused:
        """The line waits for a moderator: in the triage, and where `let_through` finds it. What to tell its author."""
        hall, viewer = socket.hall, socket.identity
        assert hall is not None
        assert viewer is not None
        line = self._line(socket, text, "question" if kind == "question" else "chat", self._hub.clock.now_ms())
        hall.act([Remember(line, viewer.viewer_id, True)])
        like = print_of(letters(text))
        copies = [
            TriageLine(one.line_id, "", one.name, one.text, True)
            for one in (hall.room.talk.history if like.sketch else ())
            if one.role == "viewer" and print_of(letters(one.text)).is_like(like)
        ]
        lines = [TriageLine(line.line_id, viewer.viewer_id, line.name, line.text), *copies]
        self._hub.in_background(_quietly(self._into_triage(socket.show_id, lines, why, like)))
        return Refused(R.HELD_BACK, facts={"line_id": line.line_id})

    async def _into_triage(self, show_id: str, lines: list[TriageLine], why: str, like: Print) -> None:
        await self._hub.shows.triage.hold(show_id, lines, why, like.sketch, like.digits)
        await self._hub.shows.tell_triage(show_id)

    async def _question(self, socket: LiveSocket, cid: str, text: str) -> None:
        assert socket.identity is not None
        question = await self._hub.shows.ask(socket.show_id, socket.identity, text)
        line = Line(
            question.question_id, self._hub.clock.now_ms(), question.name, question.text, socket.role, "question",
            socket.identity.kind == "simulated",
        )  # fmt: skip
        socket.tell(Said(cid, True, line))

    async def _private(self, socket: LiveSocket, cid: str, text: str) -> None:
        assert socket.identity is not None
        asked = await self._hub.shows.private.ask(socket.show_id, socket.identity, text)
        socket.tell(Said(cid, False, self._line(socket, text, "question", asked.at_ms)))
        socket.tell(Own(private=asked))

    async def vote(self, socket: LiveSocket, cid: str, question_id: str) -> None:
        assert socket.identity is not None
        await self._hub.shows.vote(socket.show_id, socket.identity, question_id)
        socket.tell(Said(cid, True))


async def _quietly(work: Awaitable[None]) -> None:
    with contextlib.suppress(Refused):
        await work
