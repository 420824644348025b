/**
 * When was the frame on the screen filmed? Four ways to know, and the show's facts say which: by the time in the
 * playlist, by the player's distance to the newest piece, by a delay that the host measured, or not at all.
 */
import type { VideoFacts } from "./protocol";

export interface PlayerClock {
  /** What the playlist says; null where it says nothing. */
  programmeMs(): number | null;
  /** Seconds to the newest piece; null where nobody knows. */
  latencySeconds?(): number | null;
}

/** Server time of the frame on the screen; null: nothing waits for the picture. */
export function programmeMs(facts: Pick<VideoFacts, "clock" | "delay_ms">, player: PlayerClock, nowMs: number): number | null {
  switch (facts.clock) {
    case "fixed":
      return nowMs - facts.delay_ms;
    case "latency": {
      const seconds = player.latencySeconds?.() ?? null;
      return seconds === null ? null : nowMs - seconds * 1000 - facts.delay_ms;
    }
    case "none":
      return null;
    default:
      return player.programmeMs();
  }
}
