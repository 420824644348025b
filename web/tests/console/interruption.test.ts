import { describe, expect, test } from "vitest";
import { interruptionOf, TOLD_MS, type PictureFacts } from "../../src/console/interruption";
import type { Interruption } from "../../src/shared/protocol";
import { aShow } from "../facts";

const BEGAN = 1_000_000;
const broke = (given: Partial<Interruption> = {}): Interruption => ({
  number: 2,
  by: "camera",
  began_at_ms: BEGAN,
  ended_at_ms: null,
  waived: false,
  lengthened_ms: 0,
  ...given,
});
const words = (told: Interruption | null, away: PictureFacts["away"] = "", held = 1, nowMs = BEGAN + 48_000) =>
  interruptionOf(
    aShow({ status: told && told.ended_at_ms === null ? "interrupted" : "live", interruption: told }),
    { away, said: away === "ffmpeg" ? "moov atom not found" : "" },
    null,
    held,
    nowMs,
  );

describe("what interrupted the show", () => {
  test.each([
    ["", "filming.lost_silent"],
    ["line", "filming.lost_line"],
    ["stopped", "filming.lost_stopped"],
    ["ffmpeg", "filming.lost_ffmpeg"],
    ["disk", "filming.lost_disk"],
  ] as const)("a camera that is away (%s) says why, and may be waived", (away, says) => {
    expect(words(broke(), away)).toMatchObject({ says, tone: "danger", waivable: true, seconds: 48 });
  });

  test("ffmpeg's last words are told", () => {
    expect(words(broke(), "ffmpeg")?.params["said"]).toBe("moov atom not found");
  });

  test("her own break is no alarm and nothing to waive", () => {
    expect(words(broke({ by: "host" }))).toMatchObject({ says: "filming.pause", tone: "info", waivable: false });
  });

  test("after it, how long it was, for ten minutes", () => {
    const over = broke({ ended_at_ms: BEGAN + 30_000 });
    expect(words(over)).toMatchObject({ says: "filming.back", seconds: 30, tone: "good" });
    expect(words(broke({ by: "host", ended_at_ms: BEGAN + 30_000 }))?.says).toBe("filming.over");
    expect(words(broke({ ended_at_ms: BEGAN + 30_000, waived: true }))?.says).toBe("filming.over");
    expect(words(over, "", 1, BEGAN + 30_000 + TOLD_MS + 1)).toBeNull();
  });

  test("there is none, or the show is over: nothing is said", () => {
    expect(words(null)).toBeNull();
    expect(interruptionOf(aShow({ status: "ended", interruption: broke() }), null, null, 1, BEGAN)).toBeNull();
    expect(interruptionOf(null, null, null, 1, BEGAN)).toBeNull();
  });
});

describe("keeping what is reserved longer", () => {
  test("one tap, while somebody holds something and it was not done for this one", () => {
    expect(words(broke())?.lengthen).toBe(2);
    expect(words(broke(), "", 0)?.lengthen).toBeNull();
    expect(words(broke(), "", 1, BEGAN + 29_000)?.lengthen).toBeNull();
    expect(words(broke({ ended_at_ms: BEGAN + 6_000 }), "", 1, BEGAN + 7_000)).toMatchObject({ lengthen: 2, seconds: 6 });
    expect(words(broke({ lengthened_ms: 48_000 }))).toMatchObject({
      lengthen: null,
      then: [{ says: "filming.lengthened", params: { seconds: 48 } }],
    });
  });

  test("what a cap kept from it is told, of this one and not of an earlier one", () => {
    const done = { number: 2, break_ms: 48_000, holds: 12, capped: 3 };
    const show = aShow({ status: "live", interruption: broke({ ended_at_ms: BEGAN + 48_000, lengthened_ms: 48_000 }) });
    const told = (number: number) => interruptionOf(show, null, { ...done, number }, 1, BEGAN + 50_000)?.then.map((one) => one.says);
    expect(told(2)).toEqual(["filming.lengthened", "filming.capped"]);
    expect(told(1)).toEqual(["filming.lengthened"]);
  });

  test("a break of hours is told as the hour it counts for", () => {
    expect(words(broke(), "", 1, BEGAN + 9_000_000)?.seconds).toBe(3600);
  });
});
