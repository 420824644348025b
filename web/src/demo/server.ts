/**
 * What became of "Kill the server". What arrives: each answer or silence of the sum's endpoint. What leaves: one word
 * for where the recovery stands and for how long. A table, so that the page cannot tell two stories at once.
 */

export type Phase = "up" | "killing" | "down" | "back";

export interface Recovery {
  phase: Phase;
  since_ms: number;
  restarts: number;
  down_ms: number; // how long the last recovery took, from the press of the button or the first silence
}

export type Heard = { kind: "kill" } | { kind: "answer"; restarts: number; up: boolean } | { kind: "silence" };

/** For how long "back again" is shown before it is simply up. */
export const BACK_MS = 6_000;

export const fresh = (at_ms: number): Recovery => ({ phase: "up", since_ms: at_ms, restarts: -1, down_ms: 0 });

export function heard(before: Recovery, what: Heard, at_ms: number): Recovery {
  const to = (phase: Phase, change: Partial<Recovery> = {}): Recovery => ({
    ...before,
    phase,
    // Killed, then silent, is one and the same trouble: its seconds are counted from the press of the button.
    since_ms: before.phase === phase || (before.phase === "killing" && phase === "down") ? before.since_ms : at_ms,
    ...change,
  });
  if (what.kind === "kill") return to("killing");
  if (what.kind === "silence" || !what.up) return before.phase === "down" ? before : to("down");
  const restarted = before.restarts >= 0 && what.restarts > before.restarts;
  switch (before.phase) {
    case "down":
      return to("back", { restarts: what.restarts, down_ms: at_ms - before.since_ms });
    case "killing":
      // It may die and return between two questions: then only the count of restarts tells.
      if (restarted) return to("back", { restarts: what.restarts, down_ms: at_ms - before.since_ms });
      return { ...before, restarts: before.restarts < 0 ? what.restarts : before.restarts };
    case "back":
      return at_ms - before.since_ms >= BACK_MS
        ? to("up", { restarts: what.restarts })
        : { ...before, restarts: what.restarts };
    case "up":
      return restarted ? to("back", { restarts: what.restarts, down_ms: 0 }) : { ...before, restarts: what.restarts };
  }
}
