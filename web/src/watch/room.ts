/**
 * The viewer's room as the page sees it: signals that the views read, and the few things she can do. It joins the
 * socket to the fold and keeps what only this page knows: requests on their way, her own lines not yet confirmed.
 */
import { batch, computed, signal } from "@preact/signals";
import type { Refusal } from "../shared/api";
import { cardById, EMPTY, fold, release, type RoomState } from "../shared/fold";
import { refusalText, t } from "../shared/i18n";
import { expiresAtMs } from "../shared/identity";
import { tokensOf } from "../shared/holdtokens";
import { newId } from "../shared/ids";
import {
  REFUSAL,
  type CardFacts,
  type Claimed,
  type FromViewer,
  type Hold,
  type ShowFacts,
  type ToViewer,
} from "../shared/protocol";
import { roomUrl, ShowSocket, type LineStatus } from "../shared/socket";
import { serverClock } from "../shared/time";
import { toast } from "../shared/ui";
import { endedByPull, nameOf, type Asked } from "./offer";
import { gone, NO_OFFERS, received as offerReceived, turned, type OfferShelf } from "./offers";
import { renewSocketPass, socketPass } from "./session";
import { place } from "./words";

/** Her own line before the server's receipt: sending, with a moderator, or refused with its reason. */
export interface OwnLine {
  cid: string;
  text: string;
  kind: "chat" | "question" | "private";
  state: "sending" | "held_back" | "failed";
  why: string;
  /** Of a line that waits for a moderator: under it the room may see it yet. */
  lineId?: string;
  /** False where saying the same again cannot help. */
  again?: boolean;
}

/** The private answer to one of her claims; `said` is her line where the room does not see it. */
export interface ClaimNote {
  answer: Claimed;
  said: string;
}

export const room = signal<RoomState>(EMPTY);
/** What of the talk stands open, and what she writes into. */
export const tab = signal<"chat" | "questions" | "private">("chat");
/** True once an answer came that she has not looked at. */
export const privateNews = signal(false);
export const line = signal<LineStatus>({ word: "connecting" });
export const asked = signal<readonly Asked[]>([]);
export const ownLines = signal<readonly OwnLine[]>([]);
export const claims = signal<readonly ClaimNote[]>([]);
export const offers = signal<OfferShelf>(NO_OFFERS);
export const votedFor = signal<ReadonlySet<string>>(new Set());
/** The last refusal of a reservation, by the deals it was about: the card says it in place. */
export const refusedDeal = signal<{ key: string; number: number; text: string; atMs: number } | null>(null);
/** What she wanted when she was told to confirm her address; null: nobody asks her to. */
export const verifyFor = signal<(() => void) | null>(null);
/** The number of the refusal at the room's door, 0 where there was none. */
export const turnedAway = signal(0);
/** When the line went away on the local clock, null while it is there. */
export const awaySinceMs = signal<number | null>(null);

export const onAirCard = computed<CardFacts | null>(() => cardById(room.value, room.value.onAir));
export const ended = computed(() => room.value.show?.status === "ended");

let socket: ShowSocket | null = null;
/** The clock of the picture on the screen; null: none is known, and nothing waits for it. */
let pictureMs: () => number | null = () => null;
let lines: ((message: ToViewer) => void)[] = [];
/** What she wrote before the line was there: it goes out once the line is, or is told as not sent. */
let unsent: OwnMessage[] = [];

type OwnMessage = Extract<FromViewer, { t: "say" }>;

const OWN_LINE_WAIT_MS = 8000;
const RELEASE_EVERY_MS = 250;
const PICTURE_LAG_MAX_MS = 30_000;
const CLAIMS_SHOWN_MAX = 3;
const CLAIM_SHOWN_MS = 30_000;

let touchedAtMs = -Infinity;

/** Enter the room of a show whose facts are known. */
export function enterRoom(show: ShowFacts, cards: readonly CardFacts[] = []): void {
  leaveRoom();
  room.value = { ...EMPTY, show, cards };
  socket = new ShowSocket({
    url: roomUrl(show.show_id),
    clock: serverClock,
    token: socketPass,
    renewToken: renewSocketPass,
    tokenExpiresAtMs: () => expiresAtMs(socketPass()),
    device: matchMedia("(min-width: 900px)").matches ? "desk" : "phone",
    holdTokens: tokensOf(show.show_id),
    invitation: new URLSearchParams(location.search).get("invitation") ?? "",
    heard: () => room.value.talk.at(-1)?.line_id ?? "",
    onMessage: received,
    onStatus: (status) => {
      line.value = status;
      if (status.word === "open") {
        awaySinceMs.value = null;
        sendUnsent();
      } else if (status.word === "returning") awaySinceMs.value ??= Date.now();
    },
  });
  socket.start();
}

export function leaveRoom(): void {
  socket?.close();
  socket = null;
  unsent = [];
}

/** Phones sleep and lose their network; the line is looked after as soon as they are back. */
export function watchTheDevice(): void {
  addEventListener("online", () => socket?.wake());
  addEventListener("pageshow", () => socket?.wake());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && socket?.wake());
  for (const touch of ["pointerdown", "pointerup", "keydown"] as const) {
    addEventListener(touch, () => (touchedAtMs = performance.now()), { capture: true, passive: true });
  }
  setInterval(() => {
    room.value = release(room.value, programmeMs(), serverClock.now());
    turnOffers();
  }, RELEASE_EVERY_MS);
}

/** The next offer comes, or one that is over goes; the server hears which stood on the screen. */
function turnOffers(): void {
  const before = offers.value.now;
  const shelf = turned(offers.value, room.value, serverClock.now(), performance.now() - touchedAtMs);
  if (shelf === offers.value) return;
  offers.value = shelf;
  if (shelf.now && shelf.now !== before) socket?.send({ t: "offer_seen", offer_id: shelf.now.offer_id, did: "shown" });
}

/** How far her picture is behind the server's clock; null where it has no clock. */
export function pictureDelayMs(): number | null {
  const picture = pictureMs();
  return picture === null ? null : serverClock.now() - picture;
}

export function setPictureClock(clock: () => number | null): void {
  pictureMs = clock;
}

/** Called with every message after it was folded: the screen reader's digest and the hearts listen. */
export function onEveryMessage(listen: (message: ToViewer) => void): () => void {
  lines = [...lines, listen];
  return () => (lines = lines.filter((one) => one !== listen));
}

/** Where the programme is on this screen. Far behind without a reason means: do not wait for the picture. */
function programmeMs(): number {
  const now = serverClock.now();
  const picture = pictureMs();
  return picture === null || now - picture > PICTURE_LAG_MAX_MS ? Infinity : picture;
}

function received(message: ToViewer): void {
  if ((message.t === "own" || message.t === "answer") && message.hold) tellResult(message.hold);
  batch(() => {
    if (message.t === "own" && message.hold && endedByPull(room.value, message.hold)) {
      toast(t("say.pulled_cancelled", { title: nameOf(room.value, message.hold).title }), "bad");
    }
    room.value = fold(room.value, message, programmeMs() !== Infinity);
    if (message.t === "answer") settle(message.rid);
    if (message.t === "own" && message.hold) settle(message.hold.rid);
    if (message.t === "own" && message.note) toast(message.note);
    if (message.t === "own" && message.private?.answer && tab.value !== "private") {
      privateNews.value = true;
      toast(t("private.answered", { name: message.private.advisor_name }));
    }
    if (message.t === "talk") {
      ownLines.value = ownLines.value.filter((own) => !message.lines.some((one) => one.line_id === own.lineId));
    }
    if (message.t === "said") receipt(message.cid, message.shown, message.line !== null);
    if (message.t === "refused") refused(message);
    if (message.t === "claimed") claimAnswered(message);
    if (message.t === "offer") offers.value = offerReceived(offers.value, message.offer);
  });
  for (const listen of lines) listen(message);
}

/** Her line leaves the talk where the room does not see it, and stands in the answer instead. */
function claimAnswered(answer: Claimed): void {
  const own = ownLines.value.find((one) => one.cid === answer.cid);
  const hidden = room.value.show?.claims.lines_shown === false;
  if (hidden) forgetOwn(answer.cid);
  const others = claims.value.filter((one) => one.answer.cid !== answer.cid);
  claims.value = [...others, { answer, said: hidden ? (own?.text ?? "") : "" }].slice(-CLAIMS_SHOWN_MAX);
  // What needs an answer of hers waits for it; the rest has been read by then.
  if (answer.hold) setTimeout(() => forgetClaim(answer.cid), CLAIM_SHOWN_MS);
}

export function forgetClaim(cid: string): void {
  claims.value = claims.value.filter((one) => one.answer.cid !== cid);
}

/** The draw's own moment: what was only a place in it has become a unit, or a place in the line. */
function tellResult(hold: Hold): void {
  if (room.value.holds[hold.rid]?.state !== "entered") return;
  if (hold.state === "held") toast(t("draw.won"), "good");
  if (hold.state === "waiting") toast(t("draw.lost", { nth: place(hold.place ?? 1) }));
}

function settle(rid: string): void {
  const taken = asked.value.find((one) => one.rid === rid)?.offerId;
  if (taken) offers.value = gone(offers.value, taken);
  asked.value = asked.value.filter((one) => one.rid !== rid);
}

function receipt(cid: string, shown: boolean, hasLine: boolean): void {
  ownLines.value = ownLines.value.flatMap((own) => {
    if (own.cid !== cid) return [own];
    if (own.kind === "private") return [];
    return shown && hasLine ? [] : [{ ...own, state: "held_back" as const, why: t("chat.held_back") }];
  });
}

function refused(message: Extract<ToViewer, { t: "refused" }>): void {
  if (message.re === "hello") {
    turnedAway.value = message.number;
    return;
  }
  const text = refusalText(message);
  const request = asked.value.find((one) => one.rid === message.re);
  if (request) {
    settle(request.rid);
    if (request.offerId) toast(text, "bad"); // the card it was about may be another than the one on the picture
    refusedDeal.value = { key: request.dealIds.join(" "), number: message.number, text, atMs: Date.now() };
    return;
  }
  if (ownLines.value.some((own) => own.cid === message.re)) {
    const held = message.number === REFUSAL.HELD_BACK;
    const wait = message.after_ms ? ` ${t("chat.wait", { count: Math.ceil(message.after_ms / 1000) })}` : "";
    markOwn(message.re, held ? "held_back" : "failed", text + wait, String(message.facts["line_id"] ?? ""), message.again);
    return;
  }
  toast(text, "bad");
}

function markOwn(cid: string, state: OwnLine["state"], why: string, lineId = "", again = true): void {
  ownLines.value = ownLines.value.map((own) => (own.cid === cid ? { ...own, state, why, lineId, again } : own));
}

// --- what she can do -----------------------------------------------------------------------------------------------

export function reserve(dealIds: readonly string[], wait: boolean, qty = 1, offerId = ""): void {
  const rid = newId("rid");
  asked.value = [...asked.value, { rid, dealIds, wait, ...(offerId ? { offerId } : {}) }];
  refusedDeal.value = null;
  const lines = dealIds.map((deal_id) => ({ deal_id, qty }));
  socket?.ask({ t: "reserve", rid, lines, wait, ...(offerId ? { offer_id: offerId } : {}) });
}

/** What needs no answer; false where the line is away. */
export const send = (message: FromViewer): boolean => socket?.send(message) ?? false;

export function giveBack(rid: string): void {
  socket?.ask({ t: "release", rid });
}

export function accept(rid: string, dealIds: readonly string[]): void {
  asked.value = [...asked.value, { rid, dealIds, wait: false }];
  socket?.ask({ t: "accept", rid });
}

export function say(text: string, kind: OwnLine["kind"]): void {
  const words = text.trim();
  if (!words) return;
  const cid = newId("say");
  ownLines.value = [...ownLines.value, { cid, text: words, kind, state: "sending", why: "" }];
  sendOwn({ t: "say", cid, text: words, kind });
}

export function sayAgain(own: OwnLine): void {
  ownLines.value = ownLines.value.filter((one) => one.cid !== own.cid);
  say(own.text, own.kind);
}

export function forgetOwn(cid: string): void {
  ownLines.value = ownLines.value.filter((one) => one.cid !== cid);
}

function sendOwn(message: OwnMessage): void {
  if (!socket?.send(message)) unsent.push(message);
  setTimeout(() => {
    unsent = unsent.filter((one) => one !== message);
    const own = ownLines.value.find((one) => one.cid === message.cid);
    if (own?.state === "sending") markOwn(own.cid, "failed", t("chat.not_sent"));
  }, OWN_LINE_WAIT_MS);
}

function sendUnsent(): void {
  unsent = unsent.filter((message) => ownLines.value.some((own) => own.cid === message.cid) && !socket?.send(message));
}

export function vote(questionId: string): void {
  if (votedFor.value.has(questionId)) return;
  if (socket?.send({ t: "vote", cid: newId("vote"), question_id: questionId })) {
    votedFor.value = new Set([...votedFor.value, questionId]);
  }
}

/** A refusal of the HTTP API as a short sentence on the page. */
export function tell(refusal: unknown): void {
  toast(refusalText(refusal as Refusal), "bad");
}
