"""The closed list of refusals and close codes. A viewer, a host or a caller of the API never sees another failure.

Each refusal has a number (stable, never used again for something else), a word, a sentence for a person, whether
trying the same again can help, and the HTTP status it travels with. `Refused` carries one of them upwards; the
gateway alone turns it into bytes. What this file does not know: sockets, HTTP libraries, storage.
"""

import enum
import functools
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the list."""

    number: int
    word: str
    text: str
    again: bool
    status: int


class R(enum.Enum):
    """The refusals. 100 shape of a request, 200 who is asking, 300 shows, 400 stock, 500 money, 600 catalogue,
    700 video, 900 us."""

    # shape
    MALFORMED = Refusal(100, "malformed", "This could not be read. Expected: {expected}.", False, 400)
    TOO_LARGE = Refusal(101, "too_large", "This is larger than the {limit} allowed.", False, 413)
    TOO_MANY = Refusal(102, "too_many", "That was too much at once. Wait a moment and try again.", True, 429)
    NOT_FOUND = Refusal(103, "not_found", "There is no such {what}.", False, 404)
    CONFLICT = Refusal(104, "conflict", "This changed meanwhile. Look again, then decide.", False, 409)
    UNKNOWN_TYPE = Refusal(105, "unknown_type", "There is no message of this kind.", False, 400)
    EXISTS = Refusal(106, "exists", "This exists already: {what}.", False, 409)
    GONE = Refusal(107, "gone", "This {what} was removed; it cannot be brought back.", False, 410)
    # who is asking
    SIGN_IN = Refusal(200, "sign_in", "Please sign in first.", False, 401)
    TOKEN_EXPIRED = Refusal(201, "token_expired", "Your pass ran out. It is renewed by itself; try again.", True, 401)
    TOKEN_INVALID = Refusal(202, "token_invalid", "This pass is not valid here.", False, 401)
    FORBIDDEN = Refusal(203, "forbidden", "Your role does not allow this.", False, 403)
    WRONG_PASSWORD = Refusal(204, "wrong_password", "E-mail address or password is wrong.", False, 401)
    LOCKED_OUT = Refusal(205, "locked_out", "Too many attempts. Try again in a while.", True, 429)
    CSRF = Refusal(206, "csrf", "This page is out of date. Reload it and try again.", False, 403)
    ORIGIN = Refusal(207, "origin", "This page is not allowed to connect to this server.", False, 403)
    BANNED = Refusal(208, "banned", "You cannot take part in this show.", False, 403)
    NOT_INVITED = Refusal(
        209, "not_invited", "This show is for invited guests. Ask your advisor for a link.", False, 403
    )
    PLACES_TAKEN = Refusal(210, "places_taken", "All places of this invitation are taken.", False, 403)
    WEAK_PASSWORD = Refusal(212, "weak_password", "This password is too easy to guess: {why}.", False, 422)
    CODE_SPENT = Refusal(213, "code_spent", "This link was used already or ran out. Ask for a new one.", False, 401)
    WRONG_CODE = Refusal(214, "wrong_code", "This code is not right. Look at the newest message.", True, 422)
    SERVER_FULL = Refusal(211, "server_full", "The room is full right now. Try again in a moment.", True, 503)
    # shows
    SHOW_NOT_LIVE = Refusal(300, "show_not_live", "The show is not on air.", True, 409)
    SHOW_OVER = Refusal(301, "show_over", "The show is over.", False, 409)
    WRONG_STATE = Refusal(302, "wrong_state", "This cannot be done while the show is {state}.", False, 409)
    LENGTHENED = Refusal(
        303, "lengthened", "What is reserved was lengthened for this break already, by {seconds} seconds.", False, 409
    )
    SLOW_MODE = Refusal(
        310, "slow_mode", "The room is in slow mode. Your next line is possible in a moment.", True, 429
    )
    HELD_BACK = Refusal(311, "held_back", "Your line is with a moderator.", False, 200)
    WORDS = Refusal(312, "words", "This line contains a word that is not allowed here.", False, 422)
    REPEATED = Refusal(313, "repeated", "You said that already.", False, 429)
    MUTED = Refusal(314, "muted", "A moderator asked you to listen for a while.", True, 403)
    EMPTY = Refusal(315, "empty", "There is nothing to send.", False, 422)
    MEMBERS_CHAT = Refusal(435, "members_chat", "Right now the chat is for members.", False, 403)
    LINK = Refusal(436, "link", "Links to other pages are not allowed here.", False, 422)
    FLOOD = Refusal(437, "flood", "That is more than people can read. Wait a moment.", True, 429)
    NOT_SHOWN = Refusal(438, "not_shown", "This line is not shown: {reason}", False, 422)
    ITEM_TAKEN = Refusal(439, "item_taken", "Somebody else has this in hand already.", False, 409)
    # stock
    SOLD_OUT = Refusal(400, "sold_out", "Sold out.", True, 409)
    LIMIT = Refusal(401, "limit", "You have reached the limit for {what}.", False, 409)
    DEAL_NOT_OPEN = Refusal(402, "deal_not_open", "This deal opens soon.", True, 409)
    DEAL_CLOSED = Refusal(403, "deal_closed", "This deal is closed.", False, 409)
    UNKNOWN_DEAL = Refusal(404, "unknown_deal", "There is no such deal in this show.", False, 404)
    QUANTITY = Refusal(405, "quantity", "Choose a quantity from 1 to {most}.", False, 422)
    RID_REUSED = Refusal(406, "rid_reused", "This request id was used for something else.", False, 409)
    RID_INVALID = Refusal(407, "rid_invalid", "The request id must be 8 to 40 letters, digits, - or _.", False, 422)
    HOLD_GONE = Refusal(408, "hold_gone", "Your reservation has ended; the item went back.", False, 409)
    BUSY = Refusal(409, "busy", "The shop is busy. Try again in a moment; nothing is lost.", True, 503)
    ALREADY_WAITING = Refusal(410, "already_waiting", "You are already on the list.", False, 409)
    REBUILDING = Refusal(411, "rebuilding", "Stock is being counted again. Try again in a moment.", True, 503)
    STOCK_SHORT = Refusal(412, "stock_short", "There are only {free} units left to give to this deal.", False, 409)
    BUNDLE = Refusal(413, "bundle", "This set is reserved whole, or not at all.", False, 422)
    VERIFIED_ONLY = Refusal(
        414, "verified_only", "This deal is for verified guests: confirm with a code first.", False, 403
    )
    MEMBERS_ONLY = Refusal(
        415, "members_only", "This deal is for members: come in through your member account.", False, 403
    )
    HOLD_TIME = Refusal(
        416, "hold_time", "You have held this deal for as long as one person may without paying.", False, 409
    )
    ALREADY_IN = Refusal(417, "already_in", "You are in the draw already.", False, 409)
    DRAW_RUNS = Refusal(418, "draw_runs", "The draw is being made. Try again in a moment.", True, 409)
    DRAW_ALONE = Refusal(419, "draw_alone", "This deal is drawn: enter it by itself.", False, 422)
    NOT_SOLD_HERE = Refusal(425, "not_sold_here", "This is not sold here: {what}.", False, 404)
    BAG_TIME = Refusal(
        426, "bag_time", "This bag has been open for {minutes} minutes. Pay for it or let it go.", False, 409
    )
    TRY_ON_LIMIT = Refusal(427, "try_on_limit", "You can have {most} items waiting to be tried at a time.", False, 409)
    NO_SHOWS = Refusal(
        428,
        "no_shows",
        "Items set aside for you were not tried {count} times. You can ask again from {when}.",
        True,
        409,
    )
    RECEIPT = Refusal(429, "receipt", "This receipt stands under another sale already.", False, 409)
    CLAIM_CODE = Refusal(420, "claim_code", "No card is called that. Claim by the code on the card.", False, 422)
    CLAIM_WHICH = Refusal(421, "claim_which", "Which one is it? Please say it more exactly.", False, 422)
    CLAIM_WORDS = Refusal(422, "claim_words", "This was not understood: {words}.", False, 422)
    CLAIM_ONE_CARD = Refusal(423, "claim_one_card", "One card in a line, please.", False, 422)
    OFFER_RULE = Refusal(424, "offer_rule", "This rule cannot work: {why}.", False, 422)
    # money
    PRICE = Refusal(
        500, "price", "A price needs to be a whole number of the smallest coin, from 0 to {most}.", False, 422
    )
    PAYMENT_GONE = Refusal(501, "payment_gone", "This payment is no longer open.", False, 409)
    SIGNATURE = Refusal(502, "signature", "The signature of this message is not valid.", False, 401)
    DELIVERY = Refusal(503, "delivery", "Please complete the address or choose a counter: {missing}.", False, 422)
    ALREADY_PAID = Refusal(504, "already_paid", "This order is already paid.", False, 409)
    # catalogue
    IMPORT = Refusal(600, "import", "The file could not be read: {why}", False, 422)
    IMAGE = Refusal(601, "image", "This is not a picture that can be used: {why}", False, 422)
    IN_USE = Refusal(602, "in_use", "This {what} is in use, so it stays.", False, 409)
    # video
    VIDEO_TAKEN = Refusal(700, "video_taken", "Somebody else is sending the picture of this show.", True, 409)
    VIDEO_FORMAT = Refusal(701, "video_format", "This kind of video cannot be taken: {what}.", False, 415)
    NO_FFMPEG = Refusal(
        702,
        "no_ffmpeg",
        "This server has no ffmpeg, which live video needs. Install it; everything else works without.",
        False,
        501,
    )
    VIDEO_BROKEN = Refusal(703, "video_broken", "The picture could not be read any further: {said}.", True, 422)
    VIDEO_TRANSCODES = Refusal(
        704,
        "video_transcodes",
        "This browser's video must be converted, and this server already converts {most}. Use Chrome or Safari.",
        True,
        503,
    )
    VIDEO_QUOTA = Refusal(705, "video_quota", "No more can be filmed: {why}.", False, 507)
    VIDEO_ADDRESS = Refusal(706, "video_address", "This address cannot be the picture: {why}", False, 422)
    FILM = Refusal(707, "film", "This film cannot be taken: {why}", False, 422)
    # us
    INTERNAL = Refusal(900, "internal", "Something went wrong on our side. It was noted; try again.", True, 500)
    UNAVAILABLE = Refusal(
        901, "unavailable", "A part of the shop is being restarted. Try again in a moment.", True, 503
    )


class Refused(Exception):
    """A refusal on its way to whoever asked.

    `after_ms` says when trying again can help. `words` fill the blanks of the row's text. `facts` are extra fields
    for a program (never secrets, never another person's data).
    """

    def __init__(
        self, why: R, /, *, after_ms: int | None = None, facts: dict[str, Any] | None = None, **words: object
    ):  # `why` by position only: two rows have a blank of that name
        self.why = why
        self.row = why._value_  # `value` is a call: after a sell-out refusals come by the thousand in one second
        self.after_ms = after_ms
        self.facts = facts or {}
        self.text = self.row.text.format(**words) if words else _without_blanks(self.row.text)

    def __str__(self) -> str:
        return f"{self.row.number} {self.row.word}: {self.text}"


@functools.cache
def _without_blanks(text: str) -> str:
    head, blank, _ = text.partition("{")
    return head.rstrip(" :.") + "." if blank else text


class Close(enum.IntEnum):
    """WebSocket close codes of our own. 4000–4499: come back (after the time told). 4500–4999: do not."""

    MOVING = 4000  # this process is being replaced: come back in the time the `bye` told
    SLOW = 4001  # the viewer's line could not carry what the room sent, even after the skips
    RESYNC = 4002  # our own bookkeeping asks for a fresh start
    TOKEN_EXPIRED = 4003  # renew the token, then come back
    IDLE = 4004  # no sign of life
    FULL = 4005  # the process or the room is at its cap
    TOO_LATE = 4500  # no valid `hello` within the time allowed
    TOKEN_INVALID = 4501
    FORBIDDEN = 4502  # not invited, or a role that may not enter
    BANNED = 4503
    NOT_FOUND = 4504  # no such show
    BROKE_RULES = 4505  # messages that are no messages, again and again
    ELSEWHERE = 4506  # the same identity opened too many sockets; the oldest goes
    SHOW_OVER = 4507

    @property
    def come_back(self) -> bool:
        """True where the client should connect again."""
        return self < 4500
