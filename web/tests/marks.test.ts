import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { isHers, linesOf, type Ticket } from "../src/watch/marks";

const who = createHash("sha256").update("vwr_1:nonce").digest("hex");
const ticket = (given: Partial<Ticket>): Ticket => ({ ticket: 1, who, qty: 1, place: null, outcome: "confirmed", ...given });

test("a mark is hers where it is the hash of her id and nonce, and of nobody else's", async () => {
  expect(await isHers({ viewer_id: "vwr_1", nonce: "nonce", who })).toBe(true);
  expect(await isHers({ viewer_id: "vwr_2", nonce: "nonce", who })).toBe(false);
});

test("her lines in a list are those with her mark", () => {
  const lines = [ticket({ ticket: 4 }), ticket({ ticket: 5, who: "e".repeat(64) }), ticket({ ticket: 9 })];
  expect(linesOf(lines, { viewer_id: "vwr_1", nonce: "nonce", who }).map((one) => one.ticket)).toEqual([4, 9]);
});
