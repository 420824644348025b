/** Shows by the corner of the programme they belong to, the corner with the soonest show first. */
import type { ShowFacts } from "../shared/protocol";

export interface CornerShows {
  corner: ShowFacts["corner"];
  shows: ShowFacts[];
}

export function byCorner(shows: readonly ShowFacts[]): CornerShows[] {
  const at = (show: ShowFacts): number => (show.started_at_ms === null ? (show.scheduled_at_ms ?? Infinity) : 0);
  const corners = new Map<ShowFacts["corner"], ShowFacts[]>();
  for (const show of [...shows].sort((a, b) => at(a) - at(b)))
    corners.set(show.corner, [...(corners.get(show.corner) ?? []), show]);
  return [...corners].map(([corner, list]) => ({ corner, shows: list }));
}
