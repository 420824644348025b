/**
 * Where the demo's story stands. What arrives: the steps with their seconds and the time since the visitor came. What
 * leaves: the step to show, how far it is, when the next begins. It does not know the clock or the frames.
 */

export type Frame = "you" | "rival" | "host";

/** A step as the server sends it: the page has the words for `key`, in the language of now. */
export interface Step {
  at_seconds: number;
  key: string;
  frame: Frame | "all";
}

export interface Moment {
  index: number; // -1 before the first step
  progress: number; // 0…1 through this step
  next_in_seconds: number | null;
  over: boolean;
}

/** A round that began so long before a visitor came is shared with whoever came first; see the director. */
const SHARED_MS = 6_500;
/** The director begins a visitor's round within this time. */
const PROMPT_MS = 6_000;

/** Where the story's zero lies on the server's clock: with the round this visitor plays in, once that is known. */
export function storyZero(arrivedMs: number, roundBeganMs: number | null): number {
  const ours = roundBeganMs !== null && roundBeganMs > arrivedMs - SHARED_MS && roundBeganMs < arrivedMs + PROMPT_MS;
  return ours ? roundBeganMs : arrivedMs;
}

/** True once the demo was armed again after this visitor's own round. */
export function isLaterRound(arrivedMs: number, roundBeganMs: number): boolean {
  return roundBeganMs >= arrivedMs + PROMPT_MS;
}

/** How long the last step stands before the sum is the subject. */
const LAST_STEP_SECONDS = 8;

export function momentOf(steps: readonly Step[], seconds: number): Moment {
  let index = -1;
  for (let i = 0; i < steps.length; i++) if (seconds >= steps[i]!.at_seconds) index = i;
  const from = index < 0 ? 0 : steps[index]!.at_seconds;
  const next = steps[index + 1];
  const until = next ? next.at_seconds : from + LAST_STEP_SECONDS;
  const progress = Math.min(1, Math.max(0, (seconds - from) / Math.max(0.001, until - from)));
  return {
    index,
    progress,
    next_in_seconds: next ? Math.max(0, next.at_seconds - seconds) : null,
    over: steps.length > 0 && !next && progress >= 1,
  };
}

/** Minutes and seconds to a moment, "2:05". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
