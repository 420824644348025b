/**
 * What a moderator has to decide now. What arrives: that she looks at the triage or no longer does, what the server says
 * of it, what she did with an item. What leaves: signals for the screen, and calls that take items and give them back,
 * one after the other. It does not know what is decided, nor the screen.
 */
import { signal } from "@preact/signals";
import { Refusal } from "../shared/api";
import type { TriageCount } from "../shared/protocol";
import { returnItems, takeItems, type TriageItem } from "./server";

export const HAND_MAX = 3; // as the server gives them
/** While her hands are not full she asks again: the minute's allowance and a colleague's lease end without a word. */
export const AGAIN_MS = 5_000;
const UNEVEN_MS = 1_000; // no two desks ask in step

/** `owing`: she looks elsewhere, and what she had is still hers as far as the server knows. */
type State = "away" | "looking" | "owing";

export class Deciding {
  /** Nobody else has these. */
  readonly items = signal<readonly TriageItem[]>([]);
  readonly count = signal<TriageCount>({ waiting: 0, in_hand: 0 });
  /** Why nothing could be taken; it is tried again by itself. */
  readonly trouble = signal<Refusal | null>(null);

  private state: State = "away";
  private turn: Promise<unknown> = Promise.resolve();
  private waiting: Promise<void> | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly showId: string) {}

  /** She looks at the triage: take what there is, and go on taking while she looks. */
  async begin(): Promise<void> {
    this.state = "looking";
    this.wind();
    await this.take();
  }

  /** She looks elsewhere: what she had goes to whoever comes next. */
  async end(): Promise<void> {
    this.state = "owing";
    this.items.value = [];
    this.trouble.value = null;
    this.wind();
    await this.giveBack();
  }

  /** The server says how much there is. */
  heard(count: TriageCount): void {
    this.count.value = count;
    if (count.waiting > 0) void this.takeMore();
  }

  /** It is decided. */
  drop(item: TriageItem): void {
    this.items.value = this.items.value.filter((one) => one.id !== item.id);
  }

  /** Not hers to decide; the others get it. Raises `Refusal`: then it is still in her hands. */
  async pass(item: TriageItem): Promise<void> {
    this.drop(item);
    try {
      await this.inTurn(() => returnItems(this.showId, item.id));
      this.drop(item); // an answer that was on its way may have brought it once more
    } finally {
      await this.take();
    }
  }

  /** What she has, filled up with what waits. One call that has not begun is enough for all who ask. */
  take(): Promise<void> {
    this.waiting ??= this.inTurn(async () => {
      this.waiting = null;
      if (this.state !== "looking") return;
      try {
        const came = await takeItems(this.showId);
        this.count.value = { waiting: came.waiting, in_hand: came.in_hand };
        if (this.state !== "looking") return; // they go back: that is the next turn
        this.items.value = inPlace(this.items.value, came.items);
        this.trouble.value = null;
      } catch (error) {
        if (this.state === "looking") this.trouble.value = error instanceof Refusal ? error : Refusal.unreachable();
      }
    });
    return this.waiting;
  }

  private async takeMore(): Promise<void> {
    if (this.state === "looking" && this.items.value.length < HAND_MAX) await this.take();
  }

  private async giveBack(): Promise<void> {
    await this.inTurn(async () => {
      if (this.state !== "owing") return;
      try {
        await returnItems(this.showId);
        if (this.state === "owing") this.state = "away";
      } catch {
        // While she is in the room the server keeps them for her: so it is asked again until it has heard.
      }
    });
  }

  /** Calls follow each other: items that are taken after they were given back would be nobody's. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(work);
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  private wind(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.again(), AGAIN_MS + Math.random() * UNEVEN_MS);
  }

  private async again(): Promise<void> {
    await (this.state === "owing" ? this.giveBack() : this.takeMore());
    if (this.state !== "away") this.wind();
  }
}

/** What came, each where it stood before: an item does not move while she writes in it. */
export function inPlace(before: readonly TriageItem[], came: readonly TriageItem[]): TriageItem[] {
  const place = new Map(before.map((item, at) => [item.id, at]));
  return [...came].sort((a, b) => (place.get(a.id) ?? HAND_MAX) - (place.get(b.id) ?? HAND_MAX));
}
