/**
 * What the demo page knows: who the three frames are, where the story stands, the sum, the server's health. It asks
 * the demo's endpoints and holds the answers as signals. It does not know how anything looks.
 */
import { signal } from "@preact/signals";
import { api, Refusal } from "../shared/api";
import { fresh, heard, type Recovery } from "./server";
import { isLaterRound, momentOf, storyZero, type Frame, type Moment, type Step } from "./story";

export interface Arrival {
  show_id: string;
  you_code: string;
  rival_code: string;
  host_code: string;
  arrived_at_ms: number;
  story: Step[];
  next_rearm_ms: number;
}

export interface Buyers {
  phase: "away" | "joining" | "tapping" | "over" | "failed";
  total: number;
  joined: number;
  done: number;
  held: number;
  sold_out: number;
  oversold: number;
  slowest_ms: number;
}

export interface Sum {
  units: number;
  taps: number;
  held: number;
  sold: number;
  oversold: number;
  slowest_answer_ms: number;
  waiting: number;
  phase: string;
  story_began_ms: number;
  seconds_to_rearm: number;
  buyers: Buyers;
  server: { up: boolean; restarts: number };
}

export const BUYERS = 500;
const SUM_EVERY_MS = 1_000;
const SUM_EVERY_MS_IN_TROUBLE = 400;
const SUM_DEADLINE_MS = 2_500;
/** A server that was just killed leaves questions waiting until the next one is up: that is silence already. */
const SUM_DEADLINE_MS_IN_TROUBLE = 900;
const ARRIVE_AGAIN_MS = 2_000;
const TICK_MS = 100;

export class Stage {
  readonly arrival = signal<Arrival | null>(null);
  readonly arriving = signal<"asking" | "here" | "trouble" | "not_a_demo">("asking");
  readonly moment = signal<Moment>({ index: -1, progress: 0, next_in_seconds: null, over: false });
  readonly sum = signal<Sum | null>(null);
  readonly recovery = signal<Recovery>(fresh(0));
  readonly sending = signal(false);
  readonly complaint = signal("");
  /** True once the demo was armed again after our arrival: the story can be seen from its start. */
  readonly newRound = signal(false);

  private arrivedAtLocalMs = 0;
  private storyZeroMs = 0;

  async start(): Promise<void> {
    setInterval(() => this.tick(), TICK_MS);
    await this.arrive();
    void this.keepAsking();
  }

  /** New one-time codes for the three frames; tried until the server answers. */
  private async arrive(): Promise<void> {
    for (;;) {
      try {
        const arrival = await api.post<Arrival>("/api/demo/arrive");
        this.arrivedAtLocalMs = Date.now();
        this.storyZeroMs = arrival.arrived_at_ms;
        this.arrival.value = arrival;
        this.arriving.value = "here";
        return;
      } catch (error) {
        const there = error instanceof Refusal && error.number !== 0 && !error.again;
        this.arriving.value = there ? "not_a_demo" : "trouble";
        if (there) return;
        await sleep(ARRIVE_AGAIN_MS);
      }
    }
  }

  /** From the start: a fresh arrival, fresh frames. */
  again(): void {
    location.reload();
  }

  async sendBuyers(): Promise<void> {
    this.sending.value = true;
    this.complaint.value = "";
    try {
      await api.post("/api/demo/buyers", { count: BUYERS });
    } catch (error) {
      this.complaint.value = error instanceof Refusal ? error.message || "demo.unreachable" : "demo.unreachable";
    } finally {
      this.sending.value = false;
    }
  }

  async killServer(): Promise<void> {
    this.complaint.value = "";
    this.hear({ kind: "kill" });
    try {
      await api.post("/api/demo/kill");
    } catch (error) {
      // The server may die before it answers: that is what was asked for. A refusal is news.
      if (error instanceof Refusal && error.number !== 0 && !error.again) this.complaint.value = error.message;
    }
  }

  private async keepAsking(): Promise<void> {
    for (;;) {
      await this.askSum();
      const busy = this.inTrouble() || buyersRun(this.sum.value?.buyers);
      await sleep(busy ? SUM_EVERY_MS_IN_TROUBLE : SUM_EVERY_MS);
    }
  }

  private async askSum(): Promise<void> {
    try {
      const deadlineMs = this.inTrouble() ? SUM_DEADLINE_MS_IN_TROUBLE : SUM_DEADLINE_MS;
      const sum = await withDeadline(api.get<Sum>("/api/demo/sum"), deadlineMs);
      this.sum.value = sum;
      const arrivedMs = this.arrival.value!.arrived_at_ms;
      if (isLaterRound(arrivedMs, sum.story_began_ms)) this.newRound.value = true;
      else this.storyZeroMs = storyZero(arrivedMs, sum.story_began_ms);
      this.hear({ kind: "answer", restarts: sum.server.restarts, up: sum.server.up });
    } catch {
      this.hear({ kind: "silence" });
    }
  }

  private inTrouble(): boolean {
    return this.recovery.value.phase === "killing" || this.recovery.value.phase === "down";
  }

  private hear(what: Parameters<typeof heard>[1]): void {
    this.recovery.value = heard(this.recovery.value, what, Date.now());
  }

  private tick(): void {
    const arrival = this.arrival.value;
    if (!arrival) return;
    const serverMs = arrival.arrived_at_ms + Date.now() - this.arrivedAtLocalMs;
    this.moment.value = momentOf(arrival.story, (serverMs - this.storyZeroMs) / 1000);
  }
}

/** The address each frame opens: signed in by its own one-time code, in the fragment, which never reaches a log. */
export function frameUrl(arrival: Arrival, frame: Frame, lang: string): string {
  const show = encodeURIComponent(arrival.show_id);
  const [path, code] = {
    you: [`/watch/${show}`, arrival.you_code],
    rival: [`/watch/${show}`, arrival.rival_code],
    host: [`/console/shows/${show}`, arrival.host_code],
  }[frame] as [string, string];
  return `${path}?lang=${encodeURIComponent(lang)}#code=${encodeURIComponent(code)}`;
}

export const buyersRun = (buyers: Buyers | undefined): boolean =>
  buyers?.phase === "joining" || buyers?.phase === "tapping";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** After the deadline an answer that is there already still counts: a page that was frozen meets its timers first. */
const GRACE_MS = 150;

function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T> {
  const late = sleep(ms).then(() => sleep(GRACE_MS));
  return Promise.race([promise, late.then(() => Promise.reject(new Error("deadline")))]);
}
