import { describe, expect, test, vi } from "vitest";
import { Desk, pullable } from "../../src/console/desk";
import type { DealFacts } from "../../src/shared/protocol";
import { aCard, aDeal } from "../facts";

const ids = (deals: readonly DealFacts[], held = 0): string[] =>
  pullable(aCard({ deals: [...deals] }), () => ({ available: 1, held, paying: 0, sold: 0, waiting: 0 })).map(
    (deal) => deal.deal_id,
  );

describe("what can be pulled", () => {
  test("deals on sale and those announced, never drafts", () => {
    const all = (["draft", "announced", "open"] as const).map((status) => aDeal({ deal_id: status, status }));
    expect(ids(all)).toEqual(["announced", "open"]);
  });
  test("a closed deal only while somebody holds a unit of it", () => {
    expect(ids([aDeal({ status: "closed" })])).toEqual([]);
    expect(ids([aDeal({ status: "closing" })], 1)).toEqual(["d1"]);
  });
  test("what was honoured can still be cancelled, what was cancelled cannot be pulled again", () => {
    expect(ids([aDeal({ status: "closed", pulled: "honour" })], 1)).toEqual(["d1"]);
    expect(ids([aDeal({ status: "closed", pulled: "cancel" })], 1)).toEqual([]);
  });
});

test("a double click sends one command, and the same later is another", async () => {
  vi.stubGlobal("WebSocket", class {});
  vi.stubGlobal("location", { protocol: "http:", host: "shop.test" });
  vi.stubGlobal("document", { cookie: "" });
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => undefined });
  const ids: string[] = [];
  vi.stubGlobal("fetch", (_path: string, { body }: { body: string }) => {
    ids.push((JSON.parse(body) as { command_id: string }).command_id);
    return Promise.resolve(Response.json({}));
  });
  const desk = new Desk("shw_1");
  const hide = { do: "hide_line", line_id: "ln_1" } as const;
  expect(await Promise.all([desk.command(hide), desk.command({ ...hide })])).toEqual([true, true]);
  expect(ids).toHaveLength(1);
  await desk.command(hide);
  expect(new Set(ids).size).toBe(2);
});
