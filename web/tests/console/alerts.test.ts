import { describe, expect, test } from "vitest";
import {
  crossed,
  orderSpike,
  SPIKE_ORDERS,
  stockAlerts,
  withAlerts,
  type Alert,
  type Reading,
} from "../../src/console/alerts";

const level = (available: number, held = 0, paying = 0, sold = 0, waiting = 0): Reading => ({
  available,
  held,
  paying,
  sold,
  waiting,
});
const name = (id: string): string => id.toUpperCase();

describe("stock alerts", () => {
  test.each([
    [24, 21, null],
    [21, 20, 20],
    [20, 19, null],
    [24, 4, 5],
    [6, 5, 5],
    [5, 0, 0],
    [24, 0, 0],
    [0, 3, null],
  ])("from %i to %i left", (before, now, threshold) => {
    expect(crossed(before, now)).toBe(threshold);
  });

  test("the first reading is no news", () => {
    expect(stockAlerts({}, { d: level(0, 4) }, name, 1)).toEqual([]);
  });

  test("sold out says how many still hold or pay, and how many wait", () => {
    const [alert] = stockAlerts({ d: level(3, 2, 2) }, { d: level(0, 4, 2, 1, 7) }, name, 9);
    expect(alert).toMatchObject({
      says: "console.alert_sold_out_paying",
      params: { name: "D", count: 6, waiting: 7 },
      tone: "danger",
    });
  });

  test("sold out for good says so", () => {
    const [alert] = stockAlerts({ d: level(1, 0, 0, 23) }, { d: level(0, 0, 0, 24) }, name, 9);
    expect(alert?.says).toBe("console.alert_sold_out");
  });

  test("a deal that was closed gave its units back: that is no news of a sale", () => {
    expect(stockAlerts({ d: level(24, 1) }, { d: level(0, 1) }, name, 1)).toEqual([]);
  });

  test("a threshold is told once, even when units come back and go again", () => {
    const first = stockAlerts({ d: level(21) }, { d: level(20, 1) }, name, 1);
    const again = stockAlerts({ d: level(21) }, { d: level(20, 1) }, name, 2);
    expect(withAlerts(withAlerts([], first), again)).toHaveLength(1);
  });
});

describe("order spike", () => {
  test("enough orders within a minute", () => {
    const times = Array.from({ length: SPIKE_ORDERS }, (_, i) => 100_000 + i);
    expect(orderSpike(times, 101_000)?.params).toEqual({ count: SPIKE_ORDERS });
  });
  test("too few, or too long ago", () => {
    expect(orderSpike([1, 2, 3], 1000)).toBeNull();
    expect(orderSpike([1, 2, 3, 4, 5, 6], 100_000)).toBeNull();
  });
});

test("the strip holds the newest alerts and forgets the oldest", () => {
  const alerts: Alert[] = Array.from({ length: 6 }, (_, i) => ({
    id: `${i}`,
    tone: "info" as const,
    says: "s",
    params: {},
    at_ms: i,
  }));
  const strip = alerts.reduce((list, alert) => withAlerts(list, [alert]), [] as Alert[]);
  expect(strip.map((alert) => alert.id)).toEqual(["5", "4", "3", "2"]);
});
