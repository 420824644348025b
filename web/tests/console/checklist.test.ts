import { expect, test } from "vitest";
import { checksOf, type CheckedDeal } from "../../src/console/checklist";

const deal = (change: Partial<CheckedDeal> = {}): CheckedDeal => ({
  label: "Rose",
  price_minor: 1900,
  was_minor: 2900,
  quota: 24,
  ...change,
});
const card = (deals: CheckedDeal[], kind = "deal"): { title: string; kind: string; deals: CheckedDeal[] } => ({
  title: "Velvet lipstick",
  kind,
  deals,
});
const state = (checks: ReturnType<typeof checksOf>, says: string): string | undefined =>
  checks.find((check) => check.says === says)?.state;

test("a show with all it needs is green", () => {
  expect(new Set(checksOf([card([deal()])], true, true).map((check) => check.state))).toEqual(new Set(["good"]));
});
test("an empty rundown is missing", () => {
  expect(state(checksOf([], true, true), "console.check_rundown_empty")).toBe("missing");
});
test("a deal card without a deal is missing, a product card is not", () => {
  expect(state(checksOf([card([])], true, true), "console.check_no_deals")).toBe("missing");
  expect(state(checksOf([card([], "product")], true, true), "console.check_no_deals")).toBeUndefined();
});
test("a price that is not below the old one is found, with its name", () => {
  const checks = checksOf([card([deal({ was_minor: 1900 })])], true, true);
  expect(checks.find((check) => check.says === "console.check_price")).toMatchObject({
    state: "missing",
    params: { name: "Velvet lipstick, Rose" },
  });
});
test("fewer free units than the quota is found, with both numbers", () => {
  const checks = checksOf([card([deal({ free_units: 10 })])], true, true);
  expect(checks.find((check) => check.says === "console.check_stock_short")?.params).toMatchObject({
    quota: 24,
    free: 10,
  });
});
test("no video is worth a look, not a reason to stop", () => {
  expect(state(checksOf([card([deal()])], false, true), "console.check_video_none")).toBe("look");
});
