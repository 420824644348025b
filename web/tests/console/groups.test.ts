import { expect, test } from "vitest";
import { instantOf, localText } from "../../src/console/editor/dates";
import { grouped } from "../../src/console/shows/groups";
import type { ShowFacts } from "../../src/shared/protocol";

const show = (show_id: string, status: ShowFacts["status"], at: number | null): ShowFacts => ({
  show_id,
  title: show_id,
  corner: "open_house",
  status,
  host_name: "Léa",
  access: "public",
  interruption: null,
  video: { kind: "none", url: "", alternates: [], poster: "", loop: false, started_at_ms: null, source: "", clock: "pdt", delay_ms: 0, signed: false, by_hand: false },
  scheduled_at_ms: at,
  launch_at_ms: null,
  started_at_ms: null,
  ended_at_ms: null,
  about: "",
  limit_per_person: 0,
  claims: { on: false, keywords: [], lines_shown: true },
});

test("on air first, the soonest of what comes, drafts, then the newest of the past", () => {
  const groups = grouped([
    show("old", "ended", 1),
    show("draft", "draft", null),
    show("later", "scheduled", 20),
    show("soon", "scheduled", 10),
    show("break", "interrupted", 5),
    show("newer", "cancelled", 3),
  ]);
  expect(groups.map((group) => [group.name, group.shows.map((one) => one.show_id)])).toEqual([
    ["live", ["break"]],
    ["upcoming", ["soon", "later"]],
    ["drafts", ["draft"]],
    ["past", ["newer", "old"]],
  ]);
});

test("no show, no group", () => expect(grouped([])).toEqual([]));

test("an instant comes back from the date field as it went in, to the minute", () => {
  const at = new Date(2026, 10, 24, 20, 5).getTime();
  expect(localText(at)).toBe("2026-11-24T20:05");
  expect(instantOf(localText(at))).toBe(at);
  expect(localText(null)).toBe("");
  expect(instantOf("")).toBeNull();
  expect(instantOf("tomorrow")).toBeNull();
});
