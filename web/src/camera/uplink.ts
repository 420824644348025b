/**
 * The camera's line to the server: chunks with numbers, kept until the server has them.
 *
 * What arrives: epochs and chunks of a recorder. What leaves: frames on a WebSocket (`gateway/publish.py` tells them),
 * one word for the line (`onStatus`), the server's view of the picture (`onHealth`), and `onRestart` where only a new
 * recorder helps. A line that breaks comes back by full jitter and goes on with the chunk that is missing; where the
 * server no longer has what came before, a new epoch begins. It does not know cameras or the screen.
 */
import { returnDelayMs } from "../shared/socket";

export const SUBPROTOCOL = "livecommerce.camera.v1";

export type UplinkStatus =
  | { word: "idle" }
  | { word: "connecting" }
  | { word: "sending" }
  | { word: "returning" }
  /** Over until the host tries again: the server said what is wrong. */
  | { word: "refused"; number: number; text: string };

export interface Health {
  state: "idle" | "sending" | "cut" | "over";
  epoch: number;
  kbps: number;
  recorded_ms: number;
  width: number;
  height: number;
  transcoded: boolean;
  said: string[];
  restarts: number;
}

type Told =
  | { type: "ready"; next: number }
  | { type: "ack"; next: number }
  | { type: "health"; health: Health }
  | { type: "renew" }
  | { type: "refused"; number: number; word: string; text: string; again: boolean; after_ms: number | null };

export interface UplinkParts {
  url: string;
  /** The short pass of this frame; "" where the cookie speaks. */
  token: () => string;
  renewToken: () => Promise<string>;
  onStatus: (status: UplinkStatus) => void;
  onHealth: (health: Health) => void;
  /** The recorder must begin anew: its stream cannot be gone on with. */
  onRestart: () => void;
  /** The line carries less than the recorder makes. */
  onSlow: () => void;
  /** The line has long carried all that the recorder makes. */
  onFine: () => void;
  WebSocket?: typeof WebSocket;
  random?: () => number;
  /** How long something lasts, by a clock that nobody sets. */
  local?: () => number;
  /** The server's clock, for when a chunk was made. */
  serverNow: () => number;
  newId?: () => string;
}

interface Chunk {
  number: number;
  data: ArrayBuffer;
  atMs: number;
  madeMs: number;
}

/** What one message carries. A page that slept hands over seconds at once, and the server hangs up on a message over 1 MiB. */
const CHUNK_BYTES_MAX = 262_144;
/** A minute at 2.5 Mb/s: a longer break begins a new epoch in any case. */
const KEPT_BYTES_MAX = 20_000_000;
/** Bytes that the browser may hold for us: what is ours alone can still be given up. */
const BUFFERED_BYTES_MAX = 512_000;
const SLOW_MS = 2_000;
const SLOW_AGAIN_MS = 8_000;
const FINE_WAIT_MS = 1_000;
/** How long a line must be fine before more is tried: twice as long after each time it was slow, so that nothing flaps. */
const FINE_FOR_MS = 30_000;
const FINE_FOR_MS_MAX = 16 * 60_000;
const FIRST_CODE_THAT_FORBIDS = 4500;
const STEADY_MS = 5_000;
const HEAD_BYTES = 12;

export class Uplink {
  private socket: WebSocket | null = null;
  private wanted = false;
  private ready = false;
  private tries = 0;
  private epoch = "";
  private mime = "";
  private t0Ms = 0;
  private made = 0; // chunks of this epoch so far
  private sent = 0; // the next one to send
  private finished = false;
  private kept: Chunk[] = [];
  private keptBytes = 0;
  private slowAtMs = -Infinity;
  /** How long the oldest chunk had waited after a break; 0 where no break is being made up for. */
  private behindMs = 0;
  private fineSinceMs = 0;
  private fineForMs = FINE_FOR_MS;
  /** Chunks in flight that the server will answer for although nobody waits for it: of an epoch that is over. */
  private stale = 0;
  private again: ReturnType<typeof setTimeout> | undefined;
  private timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly Socket: typeof WebSocket;
  private readonly random: () => number;
  private readonly local: () => number;

  constructor(private readonly parts: UplinkParts) {
    this.Socket = parts.WebSocket ?? WebSocket;
    this.random = parts.random ?? Math.random;
    this.local = parts.local ?? (() => performance.now());
  }

  /** A recorder has started at `t0Ms` of the server's clock. What an older one had left unsent is given up. */
  begin(mime: string, t0Ms: number): void {
    this.stale += this.inFlight();
    this.dropAgain();
    this.epoch = this.parts.newId?.() ?? crypto.randomUUID();
    this.mime = mime;
    this.t0Ms = t0Ms;
    this.made = this.sent = 0;
    this.finished = false;
    this.forgetKept();
    this.wanted = true;
    if (this.isOpen()) this.sayBegin();
    else if (!this.socket) this.connect();
  }

  /** What the recorder made since the last time: one chunk of the epoch, or several where it is large. */
  push(data: ArrayBuffer): void {
    const atMs = this.local();
    const madeMs = this.parts.serverNow();
    for (let from = 0; from < data.byteLength; from += CHUNK_BYTES_MAX)
      this.kept.push({ number: this.made++, data: data.slice(from, from + CHUNK_BYTES_MAX), atMs, madeMs });
    this.keptBytes += data.byteLength;
    if (this.keptBytes > KEPT_BYTES_MAX) this.forgetKept(); // what is missing now shows at the next `ready`
    this.flush();
    this.watchSpeed();
  }

  /** The recorder has stopped: the rest goes out, then the server is told. */
  finish(): void {
    this.finished = true;
    this.flush();
  }

  /** Stop sending and leave. */
  close(): void {
    this.finish();
    this.wanted = false;
    this.fineForMs = FINE_FOR_MS;
    this.forgetTimers();
    const socket = this.socket;
    this.socket = null;
    this.ready = false;
    socket?.close(1000);
    this.parts.onStatus({ word: "idle" });
  }

  /** Try at once, when the phone is online again. */
  wake(): void {
    if (!this.wanted || this.socket) return;
    this.tries = 0;
    this.forgetTimers();
    this.connect();
  }

  // --- the line ----------------------------------------------------------------------------------------------------

  private connect(): void {
    this.parts.onStatus({ word: "connecting" });
    const token = this.parts.token();
    const socket = new this.Socket(this.parts.url, token ? [SUBPROTOCOL, `token.${token}`] : [SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.ready = false;
    this.stale = 0;
    socket.onopen = () => socket === this.socket && this.sayBegin();
    socket.onmessage = (event) => socket === this.socket && this.hear(JSON.parse(String(event.data)) as Told);
    socket.onclose = (event) => socket === this.socket && this.closed(event.code);
  }

  private isOpen(): boolean {
    return this.socket?.readyState === this.Socket.OPEN;
  }

  private sayBegin(): void {
    this.ready = false;
    this.socket?.send(JSON.stringify({ type: "begin", epoch: this.epoch, mime: this.mime, t0_ms: this.t0Ms }));
  }

  private hear(told: Told): void {
    if (told.type === "ready") this.begun(told.next);
    else if (told.type === "ack") this.acked(told.next);
    else if (told.type === "health") this.parts.onHealth(told.health);
    else if (told.type === "renew") void this.renew();
    else this.refused(told);
  }

  private begun(next: number): void {
    this.stale = 0;
    this.dropAgain();
    this.has(next);
    if (next < (this.kept[0]?.number ?? this.made)) {
      this.parts.onRestart(); // what is missing there is no longer here
      return;
    }
    this.sent = next;
    this.ready = true;
    this.makeUp();
    this.later(STEADY_MS, () => (this.tries = 0));
    this.parts.onStatus({ word: "sending" });
    this.flush();
  }

  /** Chunk numbers begin at 0 in each epoch: a word on the one before says nothing of what is kept of this one. */
  private acked(next: number): void {
    if (this.ready) this.has(next);
    else if (this.stale) this.stale -= 1;
  }

  private has(next: number): void {
    while (this.kept[0] && this.kept[0].number < next) this.keptBytes -= this.kept.shift()!.data.byteLength;
    this.flush();
  }

  /** A fresh pass for the live line: it goes on without a break. A failure shows when the server hangs up. */
  private async renew(): Promise<void> {
    const socket = this.socket;
    const token = await this.parts.renewToken().catch(() => "");
    if (token && socket === this.socket && this.isOpen()) socket!.send(JSON.stringify({ type: "token", token }));
  }

  /**
   * What is refused is the chunk that is missing, or the beginning. For the chunks behind it, which are on their way, the
   * server can only say that they are not the next: that is no news.
   */
  private refused(told: Extract<Told, { type: "refused" }>): void {
    if (this.stale && (told.again || told.word === "malformed")) {
      this.stale -= 1;
      return;
    }
    if (!told.again) {
      this.ready = false;
      this.wanted = false;
      this.dropAgain();
      this.parts.onStatus({ word: "refused", number: told.number, text: told.text });
      return;
    }
    // What ran and broke cannot go on. What had not begun, or came too fast, may later, and loses nothing until then.
    const lost = this.ready && told.word !== "too_many";
    if (this.ready) this.stale = Math.max(0, this.inFlight() - 1);
    this.ready = false;
    this.dropAgain();
    this.again = this.later(told.after_ms ?? 1000, () => {
      if (lost) this.parts.onRestart();
      else if (this.isOpen()) this.sayBegin();
    });
  }

  /** Sent on this line, and not with the server as far as we know. */
  private inFlight(): number {
    return this.ready ? Math.max(0, this.sent - (this.kept[0]?.number ?? this.made)) : 0;
  }

  private flush(): void {
    while (this.ready && this.isOpen() && this.socket!.bufferedAmount < BUFFERED_BYTES_MAX) {
      const chunk = this.kept[this.sent - (this.kept[0]?.number ?? this.made)];
      if (!chunk) break;
      this.socket!.send(framed(chunk));
      this.sent = chunk.number + 1;
    }
    if (this.finished && this.ready && this.sent >= this.made) {
      this.socket?.send(JSON.stringify({ type: "finish" }));
      this.stale += this.inFlight();
      this.ready = false;
    }
  }

  /** Where chunks wait too long the line is slow, unless it is making up for a break, and getting there. */
  private watchSpeed(): void {
    const now = this.local();
    const waitedMs = this.waitedMs();
    this.watchFine(now, waitedMs);
    if (waitedMs < SLOW_MS) this.behindMs = 0;
    if (!this.ready || waitedMs < SLOW_MS || now - this.slowAtMs < SLOW_AGAIN_MS) return;
    const before = this.behindMs;
    this.slowAtMs = now;
    this.behindMs = waitedMs < before ? waitedMs : 0;
    if (this.behindMs) return;
    this.fineForMs = Math.min(this.fineForMs * 2, FINE_FOR_MS_MAX);
    this.parts.onSlow();
  }

  private watchFine(now: number, waitedMs: number): void {
    if (!this.ready || waitedMs >= FINE_WAIT_MS) this.fineSinceMs = now;
    if (now - this.fineSinceMs < this.fineForMs) return;
    this.fineSinceMs = now;
    this.parts.onFine();
  }

  /** What was kept over a break is old through no fault of the line that it goes out on now. */
  private makeUp(): void {
    this.fineSinceMs = this.local();
    this.behindMs = this.waitedMs();
    if (this.behindMs >= SLOW_MS) this.slowAtMs = this.local();
    else this.behindMs = 0;
  }

  private waitedMs(): number {
    return this.kept[0] ? this.local() - this.kept[0].atMs : 0;
  }

  private closed(code: number): void {
    this.socket = null;
    this.ready = false;
    if (!this.wanted || code >= FIRST_CODE_THAT_FORBIDS) return;
    const delayMs = returnDelayMs(this.tries++, this.random);
    this.parts.onStatus({ word: "returning" });
    this.later(delayMs, () => void this.comeBack());
  }

  private async comeBack(): Promise<void> {
    if (this.parts.token()) await this.parts.renewToken().catch(() => "");
    if (this.wanted && !this.socket) this.connect();
  }

  private forgetKept(): void {
    this.kept = [];
    this.keptBytes = 0;
  }

  private dropAgain(): void {
    clearTimeout(this.again);
    if (this.again !== undefined) this.timers.delete(this.again);
    this.again = undefined;
  }

  private later(ms: number, work: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
    return timer;
  }

  private forgetTimers(): void {
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }
}

function framed(chunk: Chunk): ArrayBuffer {
  const frame = new Uint8Array(HEAD_BYTES + chunk.data.byteLength);
  const head = new DataView(frame.buffer);
  head.setUint32(0, chunk.number);
  head.setFloat64(4, chunk.madeMs);
  frame.set(new Uint8Array(chunk.data), HEAD_BYTES);
  return frame.buffer;
}
