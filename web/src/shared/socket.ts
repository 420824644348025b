/**
 * The one owner of the connection to a show's room.
 *
 * What arrives: frames of `livecommerce.v1.msgpack`. What leaves: typed messages in order (`onMessage`), one word for
 * the line (`onStatus`), and whatever the page sends. It says hello (resuming by epoch and offset), pings, keeps the
 * server clock, renews the token on the live line, comes back by full jitter or when the server said, sends every
 * unanswered request again under its own id, and hands in the tokens of holds when the server lost them. It does not know what any message means to the show.
 */
import { decode, encode } from "@msgpack/msgpack";
import type { TokenStore } from "./holdtokens";
import { CLOSE, REFUSAL, SUBPROTOCOL_MSGPACK, type FromViewer, type Hold, type ToViewer } from "./protocol";
import type { ServerClock } from "./time";

export type LineStatus =
  | { word: "connecting" }
  | { word: "open" }
  /** Away; the next try starts at `nextTryAtMs` on the local clock. */
  | { word: "returning"; nextTryAtMs: number; tries: number }
  /** Over: the server said not to come back, or the page closed it. */
  | { word: "closed"; code: number; text: string };

export interface SocketParts {
  url: string;
  clock: ServerClock;
  /** The token to say hello with, or "" where a cookie speaks. */
  token: () => string;
  /** A fresh token for the same identity; "" where a cookie speaks. May fail: the old one then serves on. */
  renewToken: () => Promise<string>;
  /** When the token runs out, null where that is not known. */
  tokenExpiresAtMs: () => number | null;
  device: "phone" | "desk";
  /** Where tokens of holds outlive a reload of the page. */
  holdTokens?: TokenStore;
  /** Opens a show for invited guests. */
  invitation?: string;
  /** The last line of talk that the page has, so that it gets those it missed. */
  heard?: () => string;
  onMessage: (message: ToViewer) => void;
  onStatus: (status: LineStatus) => void;
  /** Handed in by tests. */
  WebSocket?: typeof WebSocket;
  random?: () => number;
  local?: () => number;
}

/** Milliseconds until try number `tries` (from 0): anything up to a doubling cap, so that a crowd spreads by itself. */
export function returnDelayMs(tries: number, random: () => number): number {
  return Math.round(random() * Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** tries));
}

const DELAY_MS_FIRST = 500;
const DELAY_MS_MAX = 15_000;
const SILENCE_GRACE_MS = 10_000;
const HELLO_MS_MAX = 12_000;
const CLOCK_PINGS = [0, 150, 400, 900, 1600];
const STEADY_MS = 5_000;
const RENEW_BEFORE_MS = 60_000;
const RENEW_AGAIN_MS = 20_000;
const FIRST_CODE_THAT_FORBIDS = 4500;
const REQUESTS = ["reserve", "release", "accept"] as const;
const TRY_AGAIN: ReadonlySet<number> = new Set([REFUSAL.BUSY, REFUSAL.REBUILDING, REFUSAL.UNAVAILABLE]);
const BUSY_TRIES_MAX = 5;

interface Pending {
  message: FromViewer;
  /** How often the server said "busy" to it. */
  busy: number;
}

export class ShowSocket {
  private socket: WebSocket | null = null;
  private epoch = "";
  private offset = 0;
  private tries = 0;
  private welcomed = false;
  private ended = false;
  private renewFirst = false;
  private comeBackMs: number | null = null;
  private closing: { code: number; text: string } | null = null;
  private heardAtMs = 0;
  private pingMs = 25_000;
  /** Requests without an answer, by their rid and kind: sent again after every welcome. */
  private readonly pending = new Map<string, Pending>();
  /** Proofs of what she holds, by rid: handed in where the server counts stock again. */
  private readonly holdTokens: Map<string, string>;
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly Socket: typeof WebSocket;
  private readonly random: () => number;
  private readonly local: () => number;

  constructor(private readonly parts: SocketParts) {
    this.Socket = parts.WebSocket ?? WebSocket;
    this.random = parts.random ?? Math.random;
    this.local = parts.local ?? Date.now;
    this.holdTokens = new Map(parts.holdTokens?.load());
  }

  /** Connect, and stay connected until `close` or a code that forbids it. */
  start(): void {
    this.ended = false;
    this.connect();
  }

  /** Leave for good. */
  close(): void {
    this.ended = true;
    this.forgetTimers();
    this.drop();
    this.parts.onStatus({ word: "closed", code: 1000, text: "" });
  }

  /** Try at once, for example when the phone woke up or is online again. A line that seems well is asked for a sign. */
  wake(): void {
    if (this.ended) return;
    if (!this.socket) {
      this.tries = 0;
      this.forgetTimers();
      this.connect();
    } else if (this.welcomed) {
      this.ping();
      this.later(4_000, () => this.local() - this.heardAtMs > 3_900 && this.lost());
    }
  }

  /** True where the message went onto a welcomed line. */
  send(message: FromViewer): boolean {
    if (!this.welcomed || this.socket?.readyState !== this.Socket.OPEN) return false;
    this.write(message);
    return true;
  }

  /** A request that must be answered: kept, and sent again under the same rid until it is. */
  ask(message: Extract<FromViewer, { rid: string }>): void {
    this.pending.set(`${message.t} ${message.rid}`, { message, busy: 0 });
    this.send(message);
  }

  // --- the line ----------------------------------------------------------------------------------------------------

  private connect(): void {
    this.parts.onStatus({ word: "connecting" });
    const socket = new this.Socket(this.parts.url, [SUBPROTOCOL_MSGPACK]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.welcomed = false;
    this.comeBackMs = null;
    this.closing = null;
    socket.onopen = () => socket === this.socket && this.hello();
    socket.onmessage = (event) => socket === this.socket && this.received(event.data as ArrayBuffer);
    socket.onclose = (event) => socket === this.socket && this.closed(event.code, event.reason);
    this.later(HELLO_MS_MAX, () => socket === this.socket && !this.welcomed && this.lost());
  }

  private hello(): void {
    this.write({
      t: "hello",
      epoch: this.epoch,
      offset: this.offset,
      device: this.parts.device,
      token: this.parts.token(),
      ...(this.parts.invitation ? { invitation: this.parts.invitation } : {}),
      ...(this.epoch && this.parts.heard ? { heard: this.parts.heard() } : {}),
    });
  }

  private received(data: ArrayBuffer): void {
    this.heardAtMs = this.local();
    const message = decode(data) as ToViewer;
    if (!this.follows(message)) return;
    this.parts.onMessage(message);
    this.keepTokens(message);
    if (message.t === "welcome") this.wasWelcomed(message.ping_seconds);
    if ((message.t === "welcome" && message.counting) || (message.t === "counting" && message.on)) this.prove();
  }

  /** Keeps our own place up to date; false for what the page need not see. */
  private follows(message: ToViewer): boolean {
    switch (message.t) {
      case "welcome":
        this.parts.clock.sample(this.heardAtMs, message.now_ms, this.heardAtMs);
        if (!message.recovered) this.offset = message.offset;
        this.epoch = message.epoch;
        return true;
      case "state":
        return this.inOrder(message);
      case "answer":
        this.settled(message.rid);
        return true;
      case "refused":
        return !this.triesAgain(message.re, message.number, message.after_ms);
      case "pong":
        this.parts.clock.sample(message.at, message.now_ms, this.heardAtMs);
        return false;
      case "bye":
        this.comeBackMs = message.after_ms;
        this.closing = { code: message.code, text: message.text };
        return true;
      default:
        return true;
    }
  }

  /** A hold's token comes with the answer that made it, and in every welcome; it proves nothing after its end. */
  private keepTokens(message: ToViewer): void {
    if (message.t === "welcome") {
      if (!message.counting) this.holdTokens.clear();
      message.holds.forEach((hold) => this.keepToken(hold));
    } else if ((message.t === "answer" || message.t === "own") && message.hold) {
      this.keepToken(message.hold);
    } else return;
    this.parts.holdTokens?.keep(this.holdTokens);
  }

  private keepToken(hold: Hold): void {
    if (hold.state !== "held") this.holdTokens.delete(hold.rid);
    else if (hold.token) this.holdTokens.set(hold.rid, hold.token);
  }

  private prove(): void {
    for (const token of this.holdTokens.values()) this.send({ t: "proof", token });
  }

  private inOrder(message: Extract<ToViewer, { t: "state" }>): boolean {
    const first = message.events[0];
    const last = message.events.at(-1);
    if (!first || !last) return false;
    if (message.epoch !== this.epoch || first.offset > this.offset + 1) {
      this.lost(0); // a gap: never guess, come back with the last place that is sure
      return false;
    }
    this.offset = Math.max(this.offset, last.offset);
    return true;
  }

  private settled(rid: string): void {
    for (const kind of REQUESTS) this.pending.delete(`${kind} ${rid}`);
  }

  /** "Busy" to a kept request is tried again under the same id, a few times; every other refusal settles it. */
  private triesAgain(re: string, number: number, afterMs: number | null): boolean {
    const kept = REQUESTS.map((kind) => this.pending.get(`${kind} ${re}`)).find((one) => one !== undefined);
    if (!kept) return false;
    if (!TRY_AGAIN.has(number) || kept.busy >= BUSY_TRIES_MAX) {
      this.settled(re);
      return false;
    }
    kept.busy += 1;
    this.later((afterMs ?? 1000) * (0.75 + this.random() / 2), () => this.send(kept.message));
    return true;
  }

  private wasWelcomed(pingSeconds: number): void {
    this.welcomed = true;
    // Only a line that lasts counts as well: a room that welcomes and closes must not be met in a tight circle.
    this.later(STEADY_MS, () => (this.tries = 0));
    this.pingMs = pingSeconds * 1000;
    this.parts.onStatus({ word: "open" });
    for (const { message } of this.pending.values()) this.write(message);
    for (const afterMs of CLOCK_PINGS) this.later(afterMs, () => this.ping());
    this.later(this.random() * this.pingMs, () => this.beat());
    this.renewInTime();
  }

  private beat(): void {
    if (this.local() - this.heardAtMs > this.pingMs + SILENCE_GRACE_MS) {
      this.lost();
      return;
    }
    this.ping();
    for (const { message } of this.pending.values()) this.send(message);
    this.later(this.pingMs, () => this.beat());
  }

  private ping(): void {
    this.send({ t: "ping", at: this.local() });
  }

  private renewInTime(): void {
    const expiresAtMs = this.parts.tokenExpiresAtMs();
    if (expiresAtMs === null) return;
    const inMs = Math.max(0, expiresAtMs - this.parts.clock.now() - RENEW_BEFORE_MS);
    this.later(Math.min(inMs, 2 ** 31 - 1), () => void this.renew());
  }

  private async renew(): Promise<void> {
    const socket = this.socket;
    try {
      const token = await this.parts.renewToken();
      if (token && socket === this.socket) this.send({ t: "token", token });
      this.renewInTime();
    } catch {
      if (socket === this.socket) this.later(RENEW_AGAIN_MS, () => void this.renew());
    }
  }

  // --- going and returning -----------------------------------------------------------------------------------------

  private closed(code: number, reason: string): void {
    const told = this.closing ?? { code, text: reason };
    this.drop();
    const forbidden = told.code >= FIRST_CODE_THAT_FORBIDS && told.code < 5000;
    if (this.ended || forbidden) {
      this.ended = true;
      this.forgetTimers();
      this.parts.onStatus({ word: "closed", code: told.code, text: told.text });
      return;
    }
    this.renewFirst = told.code === CLOSE.TOKEN_EXPIRED;
    this.returnIn(this.comeBackMs ?? returnDelayMs(this.tries, this.random));
  }

  private lost(afterMs = returnDelayMs(this.tries, this.random)): void {
    this.drop();
    if (!this.ended) this.returnIn(afterMs);
  }

  private returnIn(delayMs: number): void {
    this.forgetTimers();
    this.tries += 1;
    this.parts.onStatus({ word: "returning", nextTryAtMs: this.local() + delayMs, tries: this.tries });
    this.later(delayMs, () => void this.comeBack());
  }

  private async comeBack(): Promise<void> {
    if (this.renewFirst) {
      this.renewFirst = false;
      await this.parts.renewToken().catch(() => "");
    }
    if (!this.ended && !this.socket) this.connect();
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    this.welcomed = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  private write(message: FromViewer): void {
    this.socket?.send(encode(message));
  }

  private later(delayMs: number, act: () => unknown): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, delayMs);
    this.timers.add(timer);
  }

  private forgetTimers(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }
}


/** The address of a show's room on this server. */
export function roomUrl(showId: string): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live/${encodeURIComponent(showId)}`;
}
