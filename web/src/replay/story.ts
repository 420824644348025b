/**
 * A show that is over, at any of its moments: the same reducer as the live pages, over the show's log.
 *
 * What arrives: events in order, and lines of talk stretch by stretch. What leaves: the room as it was at a programme
 * time. It does not know players or the screen.
 */
import { EMPTY, foldStamped, type RoomState } from "../shared/fold";
import type { Line, Question, Stamped } from "../shared/protocol";

/** A question as it stands at the end, and when it was asked and answered (null: nobody did). */
export interface Asked {
  question: Question;
  askedMs: number;
  answeredMs: number | null;
}

/** Going on from the moment before is cheap; going back folds again from the beginning. */
export class Story {
  private state: RoomState = EMPTY;
  private next = 0;
  private atMs = -Infinity;

  private events: readonly Stamped[];

  constructor(events: readonly Stamped[]) {
    this.events = events;
  }

  /** The next page of a long evening. */
  add(events: readonly Stamped[]): void {
    this.events = [...this.events, ...events];
  }

  /** Everything as it stood at the end of what is here. */
  end(): RoomState {
    return new Story(this.events).at(Infinity);
  }

  /** Every question that was not dropped, by the moment it is found at. */
  questions(): Asked[] {
    const asked = new Map<string, Asked>();
    for (const { at_ms, event } of this.events) {
      if (event.kind !== "question_changed") continue;
      const { question } = event;
      const before = asked.get(question.question_id);
      const answers = question.status === "answering" || question.status === "answered";
      const answeredMs = answers ? (before?.answeredMs ?? at_ms) : null;
      asked.set(question.question_id, { question, askedMs: before?.askedMs ?? at_ms, answeredMs });
    }
    const shown = [...asked.values()].filter(({ question }) => question.status !== "dropped");
    return shown.sort((one, other) => (one.answeredMs ?? one.askedMs) - (other.answeredMs ?? other.askedMs));
  }

  at(ms: number): RoomState {
    if (ms < this.atMs) {
      this.state = EMPTY;
      this.next = 0;
    }
    this.atMs = ms;
    for (let event = this.events[this.next]; event && event.at_ms <= ms; event = this.events[this.next]) {
      this.state = foldStamped(this.state, event);
      this.next += 1;
    }
    return this.state;
  }
}

const STRETCH_MS = 60_000;
const SHOWN_MAX = 80;
const AGAIN_MS = 5_000;

export type LinesOf = (fromMs: number, toMs: number) => Promise<{ lines: Line[]; more: boolean }>;

/** What was said, fetched a minute at a time around where the picture is. */
export class Talk {
  private readonly stretches = new Map<number, readonly Line[]>();
  private readonly failedAt = new Map<number, number>();

  constructor(
    private readonly load: LinesOf,
    private readonly onLoaded: () => void,
    private readonly local: () => number = Date.now,
  ) {}

  /** The lines a room would show at this moment; those that are not here yet come with `onLoaded`. */
  upTo(ms: number): readonly Line[] {
    const last = Math.floor(ms / STRETCH_MS);
    for (const stretch of [last - 1, last, last + 1]) this.want(stretch);
    const lines = [...(this.stretches.get(last - 1) ?? []), ...(this.stretches.get(last) ?? [])];
    return lines.filter((line) => line.at_ms <= ms).slice(-SHOWN_MAX);
  }

  private want(stretch: number): void {
    if (this.stretches.has(stretch) || this.local() - (this.failedAt.get(stretch) ?? -Infinity) < AGAIN_MS) return;
    this.stretches.set(stretch, []);
    this.whole(stretch * STRETCH_MS, (stretch + 1) * STRETCH_MS).then(
      (lines) => {
        this.stretches.set(stretch, lines);
        this.onLoaded();
      },
      () => {
        this.stretches.delete(stretch);
        this.failedAt.set(stretch, this.local());
      },
    );
  }

  /** A loud minute comes in several answers: each goes on where the one before ended. */
  private async whole(fromMs: number, toMs: number): Promise<readonly Line[]> {
    const lines = new Map<string, Line>();
    for (let from = fromMs; from < toMs; ) {
      const page = await this.load(from, toMs);
      for (const line of page.lines) lines.set(line.line_id, line);
      if (!page.more) break;
      from = Math.max(from + 1, page.lines.at(-1)?.at_ms ?? toMs);
    }
    return [...lines.values()];
  }
}

/** A stretch that is shown by itself: it ends by stopping the picture, unless she goes elsewhere before. */
export interface Stretch {
  fromMs: number;
  toMs: number;
  begun: boolean;
}

const BEFORE_MS = 3_000; // a picture goes on at the keyframe before
const PAST_MS = 10_000; // further than this she went there herself

/** What becomes of a stretch when the picture is at `ms`. */
export function stretchAt(stretch: Stretch, ms: number): "going" | "on" | "over" | "left" {
  if (ms >= stretch.fromMs - BEFORE_MS && ms < stretch.toMs) return "on";
  if (!stretch.begun) return "going";
  return ms >= stretch.toMs && ms < stretch.toMs + PAST_MS ? "over" : "left";
}
