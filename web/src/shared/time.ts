/**
 * The server's clock, as this page knows it: an offset learnt from pings, the lowest round trip wins.
 * Deadlines and openings are counted on it; no timestamp of this machine decides anything.
 */
import { signal, type ReadonlySignal } from "@preact/signals";

interface Sample {
  offsetMs: number;
  roundTripMs: number;
}

const SAMPLES_MAX = 8;

export class ServerClock {
  private samples: Sample[] = [];
  private offsetMs = 0;

  constructor(private readonly local: () => number = Date.now) {}

  /** One answered ping: sent at and received at on the local clock, `nowMs` is what the server said. */
  sample(sentAtMs: number, nowMs: number, receivedAtMs: number = this.local()): void {
    const roundTripMs = Math.max(0, receivedAtMs - sentAtMs);
    this.samples = [...this.samples, { offsetMs: nowMs - (sentAtMs + roundTripMs / 2), roundTripMs }].slice(-SAMPLES_MAX);
    this.offsetMs = this.samples.reduce((best, one) => (one.roundTripMs <= best.roundTripMs ? one : best)).offsetMs;
  }

  /** The server's UTC milliseconds, now. */
  now(): number {
    return this.local() + this.offsetMs;
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
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
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
