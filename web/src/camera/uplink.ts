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
  | { word: "returning"; nextTryAtMs: number }
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
  WebSocket?: typeof WebSocket;
  random?: () => number;
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

/** A minute at 2.5 Mb/s: a longer break begins a new epoch in any case. */
const KEPT_BYTES_MAX = 20_000_000;
/** Bytes that the browser may hold for us: what is ours alone can still be given up. */
const BUFFERED_BYTES_MAX = 512_000;
const SLOW_MS = 2_000;
const SLOW_AGAIN_MS = 8_000;
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
  private timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly Socket: typeof WebSocket;
  private readonly random: () => number;
  private readonly local: () => number;

  constructor(private readonly parts: UplinkParts) {
    this.Socket = parts.WebSocket ?? WebSocket;
    this.random = parts.random ?? Math.random;
    this.local = parts.local ?? Date.now;
  }

  /** A recorder has started at `t0Ms` of the server's clock. What an older one had left unsent is given up. */
  begin(mime: string, t0Ms: number): void {
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

  /** The next chunk of the epoch. */
  push(data: ArrayBuffer): void {
    this.kept.push({ number: this.made++, data, atMs: this.local(), madeMs: this.parts.serverNow() });
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
    else if (told.type === "ack") this.has(told.next);
    else if (told.type === "health") this.parts.onHealth(told.health);
    else if (told.type === "renew") void this.renew();
    else this.refused(told);
  }

  private begun(next: number): void {
    this.has(next);
    if (next < (this.kept[0]?.number ?? this.made)) {
      this.parts.onRestart(); // what is missing there is no longer here
      return;
    }
    this.sent = next;
    this.ready = true;
    this.later(STEADY_MS, () => (this.tries = 0));
    this.parts.onStatus({ word: "sending" });
    this.flush();
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

  private refused(told: Extract<Told, { type: "refused" }>): void {
    const wasRunning = this.ready;
    this.ready = false;
    if (told.again) {
      // What was running cannot go on. What had not begun may later, and loses nothing until then.
      this.later(told.after_ms ?? 1000, () => {
        if (wasRunning) this.parts.onRestart();
        else if (this.isOpen()) this.sayBegin();
      });
      return;
    }
    this.wanted = false;
    this.parts.onStatus({ word: "refused", number: told.number, text: told.text });
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
      this.ready = false;
    }
  }

  private watchSpeed(): void {
    const oldest = this.kept[0];
    const now = this.local();
    if (!this.ready || !oldest || now - oldest.atMs < SLOW_MS || now - this.slowAtMs < SLOW_AGAIN_MS) return;
    this.slowAtMs = now;
    this.parts.onSlow();
  }

  private closed(code: number): void {
    this.socket = null;
    this.ready = false;
    if (!this.wanted || code >= FIRST_CODE_THAT_FORBIDS) return;
    const delayMs = returnDelayMs(this.tries++, this.random);
    this.parts.onStatus({ word: "returning", nextTryAtMs: this.local() + delayMs });
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

  private later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      work();
    }, ms);
    this.timers.add(timer);
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
