/**
 * The server's clock, as this page knows it: an offset learnt from pings, the lowest round trip wins.
 * Deadlines and openings are counted on it; no timestamp of this machine decides anything.
 */
import { signal, type ReadonlySignal } from "@preact/signals";

type Sample = readonly [offsetMs: number, roundTripMs: number];

const SAMPLES_MAX = 8;
/** Two samples may differ by their round trips and by this; if they do by more, this machine's clock was set. */
const DRIFT_MS = 500;

/** Of a word that nobody asked for nobody knows how long it was on its way: an answered ping says more. */
const UNASKED_MS = 2_000;

export class ServerClock {
  private samples: Sample[] = [];
  private offsetMs = 0;
  private steadyOffsetMs: number;

  /** `steady`: a clock that nobody sets, from whatever zero. */
  constructor(
    private readonly local: () => number = Date.now,
    private readonly steady: () => number = () => performance.now(),
  ) {
    this.steadyOffsetMs = this.local() - this.steady();
  }

  /**
   * One answered ping: sent at and received at on the local clock, `nowMs` is what the server said. Of a word that
   * nobody asked for both are when it came.
   */
  sample(sentAtMs: number, nowMs: number, receivedAtMs: number = this.local()): void {
    const roundTripMs = receivedAtMs - sentAtMs || UNASKED_MS;
    // Before it was sent no answer comes: our clock was set back meanwhile.
    if (roundTripMs < 0) return;
    const offsetMs = nowMs - (sentAtMs + receivedAtMs) / 2;
    const agreeing = this.samples.filter(([offset, trip]) => Math.abs(offset - offsetMs) <= (trip + roundTripMs) / 2 + DRIFT_MS);
    this.samples = [[offsetMs, roundTripMs] as const, ...agreeing].slice(0, SAMPLES_MAX);
    this.offsetMs = this.samples.reduce((best, one) => (one[1] < best[1] ? one : best))[0];
    this.steadyOffsetMs = this.now() - this.steady();
  }

  /** The server's UTC milliseconds, now. */
  now(): number {
    return this.local() + this.offsetMs;
  }

  /**
   * The same, also where this machine's clock was set back since the last ping. The later of the two is right: a steady
   * clock stands while the machine sleeps.
   */
  steadyNow(): number {
    return Math.max(this.now(), this.steady() + this.steadyOffsetMs);
  }
}

/** One clock for a page. */
export const serverClock = new ServerClock();

const ticking = signal(Date.now());
let timer: ReturnType<typeof setInterval> | undefined;
let watchers = 0;

/** Server time as a signal that moves four times a second while somebody watches. Returns the way to stop. */
export function watchTime(): () => void {
  watchers += 1;
  ticking.value = serverClock.now();
  timer ??= setInterval(() => (ticking.value = serverClock.now()), 250);
  return () => {
    watchers -= 1;
    if (watchers === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

export const nowMs: ReadonlySignal<number> = ticking;

/** "4:05", "1:02:09", or "12 d" far away. Rounded up, so that 0:00 means over. */
export function clockText(leftMs: number): string {
  const seconds = Math.max(0, Math.ceil(leftMs / 1000));
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  const rest = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** "20:16" in the reader's own time zone. */
export function timeOfDay(atMs: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" }).format(atMs);
}

/** "Tuesday 24 November, 20:00". */
export function dayAndTime(atMs: number, locale: string): string {
  return new Intl.DateTimeFormat(locale, {
    weekday: "long",
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
  }).format(atMs);
}

/** "1:02:09" into a recording: rounded down, as players do. */
export const placeText = (ms: number): string => clockText(Math.floor(ms / 1000) * 1000);
