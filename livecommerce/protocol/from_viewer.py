"""What a viewer's page may send over the socket. Every field has its bound here; the hub adds credits per kind.

The frame's type stands in `t`. A message is at most 4 KiB. An unknown `t` is refused, an unknown field is ignored.
"""

from typing import Annotated, Literal

import msgspec

from livecommerce.ids import RID_PATTERN

RidText = Annotated[str, msgspec.Meta(pattern=RID_PATTERN)]
ShortId = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Text = Annotated[str, msgspec.Meta(max_length=500)]


class FromViewer(msgspec.Struct, frozen=True, tag_field="t"):
    """Base of all messages from a viewer."""


class Hello(FromViewer, frozen=True, tag="hello"):
    """First message. With `epoch` and `offset` the page asks to resume; `device` chooses the chat rate.

    `invitation` opens a show for invited guests. `heard` is the last line of talk she has: what was said since is sent
    again where the room still has it.
    """

    epoch: Annotated[str, msgspec.Meta(max_length=40)] = ""
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    device: Literal["phone", "desk"] = "phone"
    token: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    invitation: Annotated[str, msgspec.Meta(max_length=80)] = ""
    heard: Annotated[str, msgspec.Meta(max_length=40)] = ""


class Token(FromViewer, frozen=True, tag="token"):
    """A renewed token for the same identity, before the old one runs out."""

    token: Annotated[str, msgspec.Meta(max_length=2048)]


class Ping(FromViewer, frozen=True, tag="ping"):
    """Sign of life and clock question; `at` is echoed as it came."""

    at: float = 0.0


class Say(FromViewer, frozen=True, tag="say"):
    """A line of chat, a question for the queue, or a private question to the viewer's own advisor."""

    cid: ShortId
    text: Text
    kind: Literal["chat", "question", "private"] = "chat"


class Vote(FromViewer, frozen=True, tag="vote"):
    """A vote for a question in the queue; a second vote changes nothing."""

    cid: ShortId
    question_id: ShortId


class React(FromViewer, frozen=True, tag="react"):
    kind: Literal["heart", "clap", "wow"] = "heart"


class WantLine(msgspec.Struct, frozen=True):
    deal_id: ShortId
    # The bound of a deal is checked by the engine, so that "0", "-1" and "2**31" get the refusal with a number.
    qty: Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] = 1


class Reserve(FromViewer, frozen=True, tag="reserve"):
    """Set units aside: every line or none. `wait` asks for a place in the line where a single deal is sold out."""

    rid: RidText
    lines: Annotated[tuple[WantLine, ...], msgspec.Meta(min_length=1, max_length=8)]
    wait: bool = False
    offer_id: Annotated[str, msgspec.Meta(max_length=40)] = ""  # the offer that this tap accepts; it is counted


class Release(FromViewer, frozen=True, tag="release"):
    """Give a hold, an offer or a place in the line back."""

    rid: RidText


class Accept(FromViewer, frozen=True, tag="accept"):
    """Take the unit that was offered from the wait-list: it becomes an ordinary hold."""

    rid: RidText


class Proof(FromViewer, frozen=True, tag="proof"):
    """The signed token of a hold, handed in while stock is counted again: proof of what was promised. No answer."""

    token: Annotated[str, msgspec.Meta(max_length=3000)]


class OfferSeen(FromViewer, frozen=True, tag="offer_seen"):
    """What became of an offer on her page: it stood on the screen, she closed it, or she took note of a counter."""

    offer_id: ShortId
    did: Literal["shown", "dismissed", "noted"]


class Delay(FromViewer, frozen=True, tag="delay"):
    """How far her picture is behind the server's clock, every 15 s or so while it plays. No answer."""

    ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]


AnyFromViewer = Hello | Token | Ping | Say | Vote | React | Reserve | Release | Accept | Proof | OfferSeen | Delay
