/** The list of shows in its groups: on air first, then what comes soonest, drafts, and the newest of the past. */
import type { ShowFacts } from "../../shared/protocol";

export interface Group {
  name: "live" | "upcoming" | "drafts" | "past";
  shows: ShowFacts[];
}

const GROUP_OF: Record<ShowFacts["status"], Group["name"]> = {
  live: "live",
  interrupted: "live",
  scheduled: "upcoming",
  draft: "drafts",
  ended: "past",
  cancelled: "past",
};
const ORDER: readonly Group["name"][] = ["live", "upcoming", "drafts", "past"];

/** The groups that have shows, in the order a host looks for them. */
export function grouped(shows: readonly ShowFacts[]): Group[] {
  return ORDER.map((name) => ({
    name,
    shows: shows.filter((show) => GROUP_OF[show.status] === name).sort(orderOf(name)),
  })).filter((group) => group.shows.length > 0);
}

function orderOf(group: Group["name"]): (a: ShowFacts, b: ShowFacts) => number {
  const at = (show: ShowFacts): number => show.ended_at_ms ?? show.scheduled_at_ms ?? show.started_at_ms ?? 0;
  return group === "upcoming" ? (a, b) => at(a) - at(b) : (a, b) => at(b) - at(a);
}
