/**
 * The newest interruption of a show as its host should see it: what happened, what to do, whether what is reserved can
 * still be kept longer for it. What arrives: the show's facts, how the picture does, units that are held. What leaves:
 * words by their keys. It does not know how they are drawn.
 */
import type { LengthenedTold, ShowFacts } from "../shared/protocol";

/** How the picture of a show does, as the desk knows it. */
export interface PictureFacts {
  seen_at_ms?: number | null;
  away: "" | "line" | "stopped" | "ffmpeg" | "disk";
  said: string;
}

export interface InterruptionWords {
  tone: "danger" | "good" | "info";
  says: string;
  params: Record<string, string | number>;
  /** Said after it: what lengthening did. */
  then: { says: string; params: Record<string, string | number> }[];
  /** The interruption whose lengthening one tap would be; null: none can be. */
  lengthen: number | null;
  seconds: number;
  /** The machine's slate is up: she may go on without a picture. */
  waivable: boolean;
}

/** Told for so long after its end. */
export const TOLD_MS = 600_000;
const BREAK_SECONDS_MAX = 3600;
/** One tap is all there is: while a break is young it would be spent on nothing. */
export const OFFERED_FROM_SECONDS = 30;

export function interruptionOf(
  show: ShowFacts | null,
  picture: PictureFacts | null,
  lengthened: LengthenedTold | null,
  heldUnits: number,
  nowMs: number,
): InterruptionWords | null {
  const told = show?.interruption;
  if (!show || !told || (show.status !== "live" && show.status !== "interrupted")) return null;
  const active = told.ended_at_ms === null;
  if (!active && nowMs - (told.ended_at_ms ?? 0) > TOLD_MS) return null;
  const lasted = Math.max(0, (told.ended_at_ms ?? nowMs) - told.began_at_ms);
  const seconds = Math.min(BREAK_SECONDS_MAX, Math.max(1, Math.round(lasted / 1000)));
  const lost = active && told.by === "camera";
  const says = lost ? `filming.lost_${picture?.away || "silent"}` : active ? "filming.pause" : told.by === "camera" && !told.waived ? "filming.back" : "filming.over";
  return {
    tone: lost ? "danger" : active ? "info" : "good",
    says,
    params: { seconds, said: lost ? (picture?.said ?? "") : "" },
    then: whatItDid(told.lengthened_ms, lengthened?.number === told.number ? lengthened : null),
    lengthen: told.lengthened_ms === 0 && heldUnits > 0 && (!active || seconds >= OFFERED_FROM_SECONDS) ? told.number : null,
    seconds,
    waivable: lost,
  };
}

function whatItDid(lengthenedMs: number, done: LengthenedTold | null): InterruptionWords["then"] {
  if (!lengthenedMs) return [];
  const longer = { says: "filming.lengthened", params: { seconds: Math.round(lengthenedMs / 1000) } };
  return done?.capped ? [longer, { says: "filming.capped", params: { count: done.capped } }] : [longer];
}
