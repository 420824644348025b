import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FromViewer, ToViewer } from "../src/shared/protocol";
import { tokensOf, type TokenStore } from "../src/shared/holdtokens";
import { returnDelayMs, ShowSocket, type LineStatus } from "../src/shared/socket";
import { ServerClock } from "../src/shared/time";
import { aHold, aWelcome } from "./facts";
import { FakeSocket } from "./fake_socket";

const last = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;
const sentOf = (kind: FromViewer["t"]): FromViewer[] => last().sent.filter((one) => one.t === kind);

let heard: ToViewer[];
let status: LineStatus[];
let socket: ShowSocket;
let renewed: number;
let expiresAtMs: number | null;

/** Chance that is the same at every run: mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function make(random: () => number = () => 0.5, holdTokens?: TokenStore): ShowSocket {
  return new ShowSocket({
    holdTokens,
    url: "ws://shop/live/sh_1",
    clock: new ServerClock(),
    token: () => `pass-${renewed}`,
    renewToken: async () => `pass-${++renewed}`,
    tokenExpiresAtMs: () => expiresAtMs,
    device: "phone",
    heard: () => "ln_9",
    onMessage: (message) => heard.push(message),
    onStatus: (one) => status.push(one),
    WebSocket: FakeSocket as unknown as typeof WebSocket,
    random,
  });
}

function welcome(given: Parameters<typeof aWelcome>[0] = {}): void {
  last().open();
  last().says(aWelcome({ now_ms: Date.now(), ...given }));
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  FakeSocket.all = [];
  heard = [];
  status = [];
  renewed = 0;
  expiresAtMs = null;
  socket = make();
  socket.start();
});

afterEach(() => {
  socket.close();
  vi.useRealTimers();
});

const state = (...offsets: number[]): ToViewer => ({
  t: "state",
  epoch: "e",
  events: offsets.map((offset) => ({ offset, at_ms: 0, event: { kind: "note", text: String(offset) } })),
});

describe("hello", () => {
  test("speaks msgpack and says who, from where and on what device", () => {
    last().open();
    expect(last().protocols).toEqual(["livecommerce.v1.msgpack"]);
    expect(last().sent[0]).toEqual({ t: "hello", epoch: "", offset: 0, device: "phone", token: "pass-0" });
  });

  test("a return resumes at the last event that was seen", async () => {
    welcome({ epoch: "e", offset: 4 });
    last().says(state(5, 6));
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(1000);
    last().open();
    // And the last line of talk that the page has: what was said since is sent again.
    expect(last().sent[0]).toMatchObject({ t: "hello", epoch: "e", offset: 6, heard: "ln_9" });
  });

  test("a line that is not welcomed in time is given up", async () => {
    last().open();
    await vi.advanceTimersByTimeAsync(13_000);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });
});

describe("order", () => {
  test("a gap is never shown: the line comes back with the last sure place", async () => {
    welcome({ offset: 4 });
    last().says(state(6));
    expect(heard.filter((one) => one.t === "state")).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    last().open();
    expect(last().sent[0]).toMatchObject({ offset: 4 });
  });

  test("another epoch without a welcome is a gap", async () => {
    welcome({ offset: 4 });
    last().says({ ...state(5), epoch: "other" } as ToViewer);
    expect(heard.some((one) => one.t === "state")).toBe(false);
  });
});

describe("return", () => {
  test("the delay is spread from nothing to a doubling cap", () => {
    expect(returnDelayMs(0, () => 1)).toBe(500);
    expect(returnDelayMs(3, () => 1)).toBe(4000);
    expect(returnDelayMs(30, () => 1)).toBe(15_000);
    expect(returnDelayMs(5, () => 0)).toBe(0);
  });

  test("while nobody answers each try waits by full jitter, known to the last digit of a seeded chance", async () => {
    const random = seeded(7);
    socket.close();
    socket = make(random);
    socket.start();
    const delays: number[] = [];
    for (let tries = 0; tries < 10; tries += 1) {
      last().ends(1006);
      const now = status.at(-1);
      if (now?.word !== "returning") throw new Error(`it is ${now?.word}`);
      delays.push(now.nextTryAtMs - Date.now());
      const lines = FakeSocket.all.length;
      await vi.advanceTimersByTimeAsync(now.nextTryAtMs - Date.now() - 1);
      expect(FakeSocket.all).toHaveLength(lines);
      await vi.advanceTimersByTimeAsync(1);
      expect(FakeSocket.all).toHaveLength(lines + 1);
    }
    const dice = seeded(7);
    expect(delays).toEqual(delays.map((_, tries) => Math.round(dice() * Math.min(15_000, 500 * 2 ** tries))));
  });

  test("a crowd that lost its line at once does not return at once", () => {
    const dice = seeded(11);
    const tenths = new Array<number>(10).fill(0);
    for (let one = 0; one < 1000; one += 1) {
      const tenth = Math.min(9, Math.floor(returnDelayMs(3, dice) / 400));
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    expect(Math.min(...tenths)).toBeGreaterThan(0);
    expect(Math.max(...tenths)).toBeLessThan(200);
  });

  test("the time the server told is kept", async () => {
    welcome();
    last().says({ t: "bye", code: 4000, text: "moving", after_ms: 7000 });
    last().ends(4000);
    expect(status.at(-1)).toMatchObject({ word: "returning", nextTryAtMs: Date.now() + 7000 });
    await vi.advanceTimersByTimeAsync(6900);
    expect(FakeSocket.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(200);
    expect(FakeSocket.all).toHaveLength(2);
  });

  test.each([4500, 4501, 4502, 4503, 4504, 4505, 4506, 4507])("after %i it does not come back", async (code) => {
    welcome();
    last().ends(code);
    expect(status.at(-1)).toMatchObject({ word: "closed", code });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  test("an expired pass is renewed before the return", async () => {
    welcome();
    last().ends(4003);
    await vi.advanceTimersByTimeAsync(1000);
    last().open();
    expect(last().sent[0]).toMatchObject({ token: "pass-1" });
  });

  test("a room that welcomes and closes is not met in a tight circle", async () => {
    const delays: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      welcome();
      last().ends(4002);
      const now = status.at(-1);
      if (now?.word === "returning") delays.push(now.nextTryAtMs - Date.now());
      await vi.advanceTimersByTimeAsync(20_000 - 15_000 + 3000);
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000]);
  });

  test("a silent line is given up after its ping and a grace", async () => {
    welcome({ ping_seconds: 5 });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });

  test("a page that closed the line stays away", async () => {
    welcome();
    socket.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });
});

describe("requests", () => {
  const reserve = { t: "reserve", rid: "rid_00000001", lines: [{ deal_id: "d1", qty: 1 }], wait: false } as const;

  test("one without an answer is sent again under the same rid after a return, and no more once answered", async () => {
    welcome();
    socket.ask({ ...reserve, lines: [...reserve.lines] });
    expect(sentOf("reserve")).toHaveLength(1);
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(600);
    welcome();
    expect(sentOf("reserve")).toEqual([expect.objectContaining({ rid: "rid_00000001" })]);
    last().says({ t: "answer", rid: "rid_00000001", hold: aHold() });
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(1500);
    welcome();
    expect(sentOf("reserve")).toEqual([]);
  });

  test("one asked while the line is away waits for it", async () => {
    socket.ask({ ...reserve, lines: [...reserve.lines] });
    expect(last().sent).toEqual([]);
    welcome();
    expect(sentOf("reserve")).toHaveLength(1);
  });

  test("'busy' is tried again a few times, then told", async () => {
    welcome();
    socket.ask({ ...reserve, lines: [...reserve.lines] });
    const busy: ToViewer = { t: "refused", re: "rid_00000001", number: 409, word: "busy", text: "", again: true, after_ms: 1000, facts: {} };
    for (let round = 0; round < 5; round += 1) {
      last().says(busy);
      await vi.advanceTimersByTimeAsync(1300);
    }
    expect(sentOf("reserve")).toHaveLength(6);
    expect(heard.filter((one) => one.t === "refused")).toHaveLength(0);
    last().says(busy);
    expect(heard.filter((one) => one.t === "refused")).toHaveLength(1);
  });

  test("every other refusal settles it at once", () => {
    welcome();
    socket.ask({ ...reserve, lines: [...reserve.lines] });
    last().says({ t: "refused", re: "rid_00000001", number: 400, word: "sold_out", text: "", again: true, after_ms: null, facts: {} });
    expect(heard.at(-1)).toMatchObject({ t: "refused", number: 400 });
    last().ends(1006);
  });

  test("chat is not kept: without a welcomed line it says so", () => {
    expect(socket.send({ t: "say", cid: "c", text: "hi", kind: "chat" })).toBe(false);
    welcome();
    expect(socket.send({ t: "say", cid: "c", text: "hi", kind: "chat" })).toBe(true);
  });
});

describe("the pass", () => {
  test("is renewed on the live line a minute before it runs out", async () => {
    expiresAtMs = Date.now() + 100_000;
    welcome({ ping_seconds: 600 });
    await vi.advanceTimersByTimeAsync(39_000);
    expect(sentOf("token")).toEqual([]);
    expiresAtMs = Date.now() + 600_000;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sentOf("token")).toEqual([{ t: "token", token: "pass-1" }]);
  });
});

describe("the clock", () => {
  test("the sample with the shortest way wins", () => {
    let local = 0;
    const clock = new ServerClock(() => local);
    clock.sample(0, 10_500, 800); // 800 ms on the way: off by as much as 400
    clock.sample(1000, 11_010, 1020);
    local = 2000;
    expect(clock.now()).toBe(12_000);
  });
});

describe("while stock is counted again", () => {
  const proofs = () => sentOf("proof").map((one) => (one as { token: string }).token);

  test("the tokens of what she holds are handed in, once for each time it is asked", () => {
    welcome();
    last().says({ t: "answer", rid: "rid-0001", hold: aHold({ rid: "rid-0001", state: "held", token: "one" }) });
    last().says({ t: "answer", rid: "rid-0002", hold: aHold({ rid: "rid-0002", state: "held", token: "two" }) });
    expect(proofs()).toEqual([]);
    last().says({ t: "counting", on: true });
    expect(proofs()).toEqual(["one", "two"]);
    last().says({ t: "counting", on: false });
    expect(proofs()).toHaveLength(2);
  });

  test("what she gave back is not claimed, whoever told of its end", () => {
    welcome();
    last().says({ t: "answer", rid: "rid-0001", hold: aHold({ rid: "rid-0001", state: "held", token: "one" }) });
    last().says({ t: "own", hold: aHold({ rid: "rid-0001", state: "expired", token: "" }), order: null, note: "", private: null });
    last().says({ t: "counting", on: true });
    expect(proofs()).toEqual([]);
  });

  test("a welcome that does not know her holds is answered with them; one that does replaces them", async () => {
    welcome({ holds: [aHold({ rid: "rid-0001", state: "held", token: "one" })] });
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(1000);
    welcome({ recovered: true, counting: true });
    expect(proofs()).toEqual(["one"]);
    last().says(aWelcome({ recovered: true }));
    last().says({ t: "counting", on: true });
    expect(proofs()).toEqual(["one"]);
  });

  describe("and the page was loaded anew", () => {
    const storage = new Map<string, string>();
    const load = (showId = "sh_1"): void => {
      socket.close();
      socket = make(undefined, tokensOf(showId));
      socket.start();
    };

    beforeEach(() => {
      storage.clear();
      vi.stubGlobal("window", { name: "" });
      vi.stubGlobal("sessionStorage", {
        getItem: (name: string) => storage.get(name) ?? null,
        setItem: (name: string, value: string) => storage.set(name, value),
        removeItem: (name: string) => storage.delete(name),
      });
      load();
    });

    afterEach(() => vi.unstubAllGlobals());

    test("what she held before is proved all the same, in its own show only", () => {
      welcome();
      last().says({ t: "answer", rid: "rid-0001", hold: aHold({ rid: "rid-0001", state: "held", token: "one" }) });
      load("sh_2");
      welcome({ counting: true });
      expect(proofs()).toEqual([]);
      load();
      welcome({ counting: true });
      expect(proofs()).toEqual(["one"]);
    });

    test("what has ended leaves nothing behind, nor does a welcome that knows of no hold", () => {
      welcome({ holds: [aHold({ rid: "rid-0001", state: "held", token: "one" })] });
      expect([...storage.keys()]).toEqual(["lc.holds.top.sh_1"]);
      last().says({ t: "own", hold: aHold({ rid: "rid-0001", state: "expired", token: "" }), order: null, note: "", private: null });
      expect(storage.size).toBe(0);
      last().says({ t: "answer", rid: "rid-0002", hold: aHold({ rid: "rid-0002", state: "held", token: "two" }) });
      load();
      welcome();
      expect(storage.size).toBe(0);
    });

    test("only as many are kept as one viewer may hold", () => {
      welcome();
      for (let n = 100; n < 140; n += 1) {
        last().says({ t: "answer", rid: `rid-0${n}`, hold: aHold({ rid: `rid-0${n}`, state: "held", token: `t${n}` }) });
      }
      load();
      welcome({ counting: true });
      expect(proofs()).toHaveLength(24);
      expect(proofs().at(-1)).toBe("t139");
    });

    test("what others wrote into the storage, and a storage that is closed, do no harm", () => {
      storage.set("lc.holds.top.sh_1", "{not json");
      load();
      welcome({ counting: true });
      expect(proofs()).toEqual([]);
      vi.stubGlobal("sessionStorage", undefined);
      load();
      welcome();
      last().says({ t: "answer", rid: "rid-0001", hold: aHold({ rid: "rid-0001", state: "held", token: "one" }) });
      last().says({ t: "counting", on: true });
      expect(proofs()).toEqual(["one"]);
    });
  });
});
