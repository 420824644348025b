import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AGAIN_MS, Deciding } from "../../src/console/deciding";
import type { TriageItem } from "../../src/console/server";

vi.stubGlobal("document", { cookie: "" });
vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => undefined });

const item = (id: string): TriageItem => ({ id, kind: "question", count: 1, lines: [], why: "", card: "", title: "" });
const SOON = AGAIN_MS + 1_100; // with all its unevenness

/** A server that keeps what she has in hand; each call waits for `answer` where the test holds it. */
class Server {
  waiting: TriageItem[] = [];
  hand: TriageItem[] = [];
  readonly asked: string[] = [];
  down = false;
  held: (() => void)[] | null = null;

  readonly fetch = async (path: string, { body }: { body: string }): Promise<Response> => {
    const word = path.split("/").at(-1)!;
    const { item_id } = JSON.parse(body) as { item_id?: string };
    this.asked.push(item_id ? `${word} ${item_id}` : word);
    if (this.held) await new Promise<void>((go) => this.held!.push(go));
    if (this.down) throw new TypeError("no line");
    if (word === "return") {
      const given = this.hand.filter((one) => !item_id || one.id === item_id);
      this.hand = this.hand.filter((one) => !given.includes(one));
      return Response.json({});
    }
    while (this.hand.length < 3 && this.waiting.length) this.hand.push(this.waiting.shift()!);
    return Response.json({ items: this.hand, waiting: this.waiting.length, in_hand: this.hand.length });
  };

  async release(): Promise<void> {
    const held = this.held ?? [];
    this.held = null;
    for (const go of held) go();
    await vi.advanceTimersByTimeAsync(0);
  }
}

let server: Server;
let deciding: Deciding;
const ids = (): string[] => deciding.items.value.map((one) => one.id);

beforeEach(() => {
  vi.useFakeTimers();
  server = new Server();
  vi.stubGlobal("fetch", server.fetch);
  deciding = new Deciding("shw_1");
});
afterEach(() => void vi.useRealTimers());

describe("what a moderator has in hand", () => {
  test("the room has gone quiet: what waits still comes", async () => {
    await deciding.begin();
    expect(ids()).toEqual([]);
    server.waiting = [item("a")]; // a colleague's lease ended, or a minute is over: nobody says so
    await vi.advanceTimersByTimeAsync(SOON);
    expect(ids()).toEqual(["a"]);
  });

  test("with full hands nothing is asked", async () => {
    server.waiting = ["a", "b", "c", "d"].map(item);
    await deciding.begin();
    await vi.advanceTimersByTimeAsync(3 * SOON);
    deciding.heard({ waiting: 1, in_hand: 3 });
    await vi.advanceTimersByTimeAsync(0);
    expect(server.asked).toEqual(["take"]);
  });

  test("where the server is away it says so, and goes on by itself", async () => {
    server.down = true;
    await deciding.begin();
    expect(deciding.trouble.value?.number).toBe(0);
    server.down = false;
    server.waiting = [item("a")];
    await vi.advanceTimersByTimeAsync(SOON);
    expect([deciding.trouble.value, ids()]).toEqual([null, ["a"]]);
  });

  test("a failure leaves what she has in front of her", async () => {
    server.waiting = [item("a")];
    await deciding.begin();
    server.down = true;
    await vi.advanceTimersByTimeAsync(SOON);
    expect([deciding.trouble.value?.number, ids()]).toEqual([0, ["a"]]);
  });

  test("a take that is on its way when she looks elsewhere leaves nothing in her hands", async () => {
    server.waiting = [item("a")];
    server.held = [];
    const begun = deciding.begin();
    await vi.advanceTimersByTimeAsync(0);
    const ended = deciding.end();
    await server.release();
    await Promise.all([begun, ended]);
    expect([server.hand, ids()]).toEqual([[], []]);
  });

  test("a return that fails is tried until it is done, and no longer", async () => {
    server.waiting = [item("a")];
    await deciding.begin();
    server.down = true;
    await deciding.end();
    await vi.advanceTimersByTimeAsync(SOON);
    server.down = false;
    expect(server.hand).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(SOON);
    expect(server.hand).toEqual([]);
    const asked = server.asked.length;
    await vi.advanceTimersByTimeAsync(5 * SOON);
    expect(server.asked).toHaveLength(asked);
  });

  test("who looks again before the return was heard keeps what she had", async () => {
    server.waiting = [item("a")];
    await deciding.begin();
    server.down = true;
    await deciding.end();
    server.down = false;
    await deciding.begin();
    await vi.advanceTimersByTimeAsync(SOON);
    expect([ids(), server.asked.filter((word) => word === "return")]).toEqual([["a"], ["return"]]);
  });

  test("what is not hers goes back alone, and a refusal leaves it with her", async () => {
    server.waiting = [item("a"), item("b")];
    await deciding.begin();
    await deciding.pass(item("a"));
    expect([server.asked.includes("return a"), ids()]).toEqual([true, ["b"]]);
    server.down = true;
    await expect(deciding.pass(item("b"))).rejects.toMatchObject({ number: 0 });
    server.down = false;
    await vi.advanceTimersByTimeAsync(SOON);
    expect(ids()).toEqual(["b"]);
  });

  test("an item does not move while she writes in it", async () => {
    server.waiting = [item("b")];
    await deciding.begin();
    server.hand = [item("a"), item("b")]; // more urgent, and taken later
    await vi.advanceTimersByTimeAsync(SOON);
    expect(ids()).toEqual(["b", "a"]);
  });

  test("somebody who only watches the room is given nothing", async () => {
    server.waiting = [item("a")];
    deciding.heard({ waiting: 1, in_hand: 0 });
    await vi.advanceTimersByTimeAsync(SOON);
    expect([server.asked, deciding.count.value.waiting]).toEqual([[], 1]);
  });
});
