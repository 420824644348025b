/**
 * What the host should say or do now, as sentences. What arrives: two readings of the numbers, orders, the state of
 * the line. What leaves: alerts, each once. It does not know how they are drawn or when they are dismissed.
 */

export interface Reading {
  available: number;
  held: number;
  paying: number;
  sold: number;
  waiting: number;
}

export interface Alert {
  id: string; // the same situation has the same id, so that it is shown once
  tone: "info" | "warn" | "danger" | "good";
  says: string; // key of the phrase
  params: Record<string, string | number>;
  at_ms: number;
}

/** Units left at which the host hears about it. */
export const STOCK_THRESHOLDS = [20, 5, 0] as const;
export const SPIKE_WINDOW_MS = 60_000;
export const SPIKE_ORDERS = 5;

/** The lowest threshold that `available` crossed on its way down from `before`, or null. */
export function crossed(before: number, available: number): number | null {
  let lowest: number | null = null;
  for (const threshold of STOCK_THRESHOLDS) if (before > threshold && available <= threshold) lowest = threshold;
  return lowest;
}

const unitsOf = (level: Reading): number => level.available + level.held + level.paying + level.sold;

/** Alerts for the deals whose stock fell through a threshold between two readings. */
export function stockAlerts(
  before: Record<string, Reading>,
  now: Record<string, Reading>,
  nameOf: (dealId: string) => string,
  at_ms: number,
): Alert[] {
  const alerts: Alert[] = [];
  for (const [dealId, level] of Object.entries(now)) {
    const earlier = before[dealId];
    // Fewer units in all: the deal was closed and gave its free units back. That is no sale.
    if (!earlier || unitsOf(level) < unitsOf(earlier)) continue;
    const threshold = crossed(earlier.available, level.available);
    if (threshold === null) continue;
    const name = nameOf(dealId);
    if (threshold === 0)
      alerts.push({
        id: `stock:${dealId}:0:${level.sold + level.paying}`,
        tone: "danger",
        says: level.held + level.paying > 0 ? "console.alert_sold_out_paying" : "console.alert_sold_out",
        params: { name, count: level.held + level.paying, waiting: level.waiting },
        at_ms,
      });
    else
      alerts.push({
        id: `stock:${dealId}:${threshold}`,
        tone: "warn",
        says: "console.alert_stock",
        params: { name, count: level.available },
        at_ms,
      });
  }
  return alerts;
}

/** An alert when enough orders were confirmed within a minute; once a minute at most (its id carries the minute). */
export function orderSpike(confirmedAtMs: readonly number[], now_ms: number): Alert | null {
  const recent = confirmedAtMs.filter((at) => at > now_ms - SPIKE_WINDOW_MS).length;
  if (recent < SPIKE_ORDERS) return null;
  return {
    id: `spike:${Math.floor(now_ms / SPIKE_WINDOW_MS)}`,
    tone: "good",
    says: "console.alert_spike",
    params: { count: recent },
    at_ms: now_ms,
  };
}

/** The list with the new alerts in front, no id twice, at most `most`. */
export function withAlerts(list: readonly Alert[], fresh: readonly Alert[], most = 4): Alert[] {
  const known = new Set(list.map((alert) => alert.id));
  return [...fresh.filter((alert) => !known.has(alert.id)), ...list].slice(0, most);
}
