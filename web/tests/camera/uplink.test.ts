import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SUBPROTOCOL, Uplink, type Health, type UplinkStatus } from "../../src/camera/uplink";

/** The server's end of the line, in the test's hands. */
class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  binaryType = "";
  bufferedAmount = 0;
  words: { type: string; epoch?: string; mime?: string; token?: string }[] = [];
  chunks: { number: number; text: string }[] = [];
  sizes: number[] = [];
  closedWith: number | null = null;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {
    FakeSocket.all.push(this);
  }
  send(data: string | ArrayBuffer): void {
    if (typeof data === "string") this.words.push(JSON.parse(data));
    else {
      this.chunks.push({ number: new DataView(data).getUint32(0), text: new TextDecoder().decode(data.slice(12)) });
      this.sizes.push(data.byteLength);
    }
  }
  close(code: number): void {
    this.closedWith = code;
    this.readyState = 3;
  }
  open(): void {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }
  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  ends(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

const last = (): FakeSocket => FakeSocket.all.at(-1) as FakeSocket;
const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;
const numbers = (): number[] => last().chunks.map((chunk) => chunk.number);

let status: UplinkStatus[];
let health: Health[];
let restarts: number;
let slow: number;
let fine: number;
let epochs: number;
let token: string;
let uplink: Uplink;

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  FakeSocket.all = [];
  status = [];
  health = [];
  restarts = slow = fine = epochs = 0;
  token = "";
  uplink = new Uplink({
    url: "ws://shop/publish/sh_1",
    token: () => token,
    renewToken: async () => (token = "fresh"),
    onStatus: (one) => status.push(one),
    onHealth: (one) => health.push(one),
    onRestart: () => (restarts += 1),
    onSlow: () => (slow += 1),
    onFine: () => (fine += 1),
    WebSocket: FakeSocket as unknown as typeof WebSocket,
    random: () => 0.5,
    serverNow: () => 5_000_000 + FakeSocket.all.length,
    newId: () => `epoch-${++epochs}`,
  });
});

afterEach(() => vi.useRealTimers());

function begin(next = 0): void {
  uplink.begin("video/webm;codecs=h264,opus", 123);
  last().open();
  last().says({ type: "ready", next });
}

describe("sending", () => {
  test("says what comes, then sends chunks in order with their numbers", () => {
    begin();
    for (const text of ["a", "b", "c"]) uplink.push(bytes(text));
    expect(last().protocols).toEqual([SUBPROTOCOL]);
    expect(last().words[0]).toEqual({ type: "begin", epoch: "epoch-1", mime: "video/webm;codecs=h264,opus", t0_ms: 123 });
    expect(last().chunks).toEqual([
      { number: 0, text: "a" },
      { number: 1, text: "b" },
      { number: 2, text: "c" },
    ]);
    expect(status.map((one) => one.word)).toEqual(["connecting", "sending"]);
  });

  test("chunks made before the server is ready wait for it", () => {
    uplink.begin("video/mp4", 0);
    uplink.push(bytes("a"));
    last().open();
    uplink.push(bytes("b"));
    expect(numbers()).toEqual([]);
    last().says({ type: "ready", next: 0 });
    expect(numbers()).toEqual([0, 1]);
  });

  test("a pass goes in the list of subprotocols, never in the address", () => {
    token = "abc";
    begin();
    expect(last().protocols).toEqual([SUBPROTOCOL, "token.abc"]);
    expect(last().url).not.toContain("abc");
  });

  test("a browser that holds too much for us is given no more until it has sent", () => {
    begin();
    last().bufferedAmount = 600_000;
    uplink.push(bytes("a"));
    expect(numbers()).toEqual([]);
    last().bufferedAmount = 0;
    uplink.push(bytes("b"));
    expect(numbers()).toEqual([0, 1]);
  });

  test("what a page that slept hands over at once goes in messages that the server takes", () => {
    begin();
    const slept = new Uint8Array(1_200_000).map((_, at) => at % 251);
    uplink.push(slept.buffer);
    expect(numbers()).toEqual([0, 1, 2, 3, 4]);
    expect(Math.max(...last().sizes)).toBeLessThanOrEqual(262_144 + 12);
    expect(last().sizes.reduce((sum, size) => sum + size - 12, 0)).toBe(1_200_000);
    uplink.push(bytes("next"));
    expect(last().chunks.at(-1)).toEqual({ number: 5, text: "next" });
  });

  test("a late word on the epoch before takes nothing from the new one", () => {
    begin();
    for (const text of ["a", "b", "c"]) uplink.push(bytes(text));
    uplink.finish();
    uplink.begin("video/mp4", 5);
    uplink.push(bytes("x"));
    for (const next of [1, 2, 3]) last().says({ type: "ack", next });
    last().says({ type: "ready", next: 0 });
    expect(last().chunks.at(-1)).toEqual({ number: 0, text: "x" });
    expect(restarts).toBe(0);
  });

  test("the end is told when everything is out", () => {
    begin();
    last().bufferedAmount = 600_000;
    uplink.push(bytes("a"));
    uplink.finish();
    expect(last().words.map((word) => word.type)).toEqual(["begin"]);
    last().bufferedAmount = 0;
    last().says({ type: "ack", next: 0 });
    expect(numbers()).toEqual([0]);
    expect(last().words.map((word) => word.type)).toEqual(["begin", "finish"]);
  });

  test("health is handed on", () => {
    begin();
    last().says({ type: "health", health: { kbps: 1900 } });
    expect(health).toEqual([{ kbps: 1900 }]);
  });
});

describe("a line that breaks", () => {
  test("goes on with the chunk that is missing, under the same epoch", async () => {
    begin();
    for (const text of ["a", "b", "c"]) uplink.push(bytes(text));
    last().says({ type: "ack", next: 1 });
    last().ends(1006);
    uplink.push(bytes("d"));
    expect(status.at(-1)?.word).toBe("returning");
    await vi.advanceTimersByTimeAsync(500);
    last().open();
    expect(last().words[0]?.epoch).toBe("epoch-1");
    last().says({ type: "ready", next: 2 });
    expect(last().chunks).toEqual([
      { number: 2, text: "c" },
      { number: 3, text: "d" },
    ]);
  });

  test("where the server has lost what came before, the recorder begins anew", async () => {
    begin();
    for (const text of ["a", "b"]) uplink.push(bytes(text));
    last().says({ type: "ack", next: 2 });
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(500);
    last().open();
    last().says({ type: "ready", next: 0 });
    expect(restarts).toBe(1);
    expect(numbers()).toEqual([]);
    uplink.begin("video/mp4", 5);
    last().says({ type: "ready", next: 0 });
    uplink.push(bytes("x"));
    expect(last().words.at(-1)?.epoch).toBe("epoch-2");
    expect(last().chunks).toEqual([{ number: 0, text: "x" }]);
  });

  test("what waited over a break of five seconds goes out, and no lower quality is asked for", async () => {
    begin();
    uplink.push(bytes("a"));
    last().says({ type: "ack", next: 1 });
    last().ends(1006);
    uplink.push(bytes("b"));
    await vi.advanceTimersByTimeAsync(5_000);
    last().open();
    last().says({ type: "ready", next: 1 });
    uplink.push(bytes("c"));
    expect(numbers()).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(8_000);
    last().says({ type: "ack", next: 2 });
    for (let count = 0; count < 9; count += 1) uplink.push(bytes("d"));
    expect(slow).toBe(1); // what is new waits for eight seconds: that is the line
  });

  test("a line that makes up for a break is not slow as long as it gains", async () => {
    begin();
    last().ends(1006);
    for (let count = 0; count < 9; count += 1) {
      uplink.push(bytes("x")); // 0 … 8, one a second
      await vi.advanceTimersByTimeAsync(1_000);
    }
    last().open();
    last().says({ type: "ready", next: 0 });
    await vi.advanceTimersByTimeAsync(4_000);
    uplink.push(bytes("y"));
    await vi.advanceTimersByTimeAsync(4_000);
    last().says({ type: "ack", next: 9 });
    uplink.push(bytes("z")); // the oldest has waited 4 s, where it was 9 s
    expect(slow).toBe(0);
    await vi.advanceTimersByTimeAsync(8_000);
    uplink.push(bytes("z"));
    expect(slow).toBe(1);
  });

  test("a break so long that chunks had to be given up begins anew", async () => {
    begin();
    last().ends(1006);
    const large = new ArrayBuffer(6_000_000);
    for (let count = 0; count < 4; count += 1) uplink.push(large);
    await vi.advanceTimersByTimeAsync(500);
    last().open();
    last().says({ type: "ready", next: 0 });
    expect(restarts).toBe(1);
  });

  test("comes back by full jitter, and at once when the phone is online again", async () => {
    begin();
    last().ends(1006);
    expect(status.at(-1)).toEqual({ word: "returning" });
    uplink.wake();
    expect(FakeSocket.all).toHaveLength(2);
    last().ends(1006);
    expect(FakeSocket.all).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(250);
    expect(FakeSocket.all).toHaveLength(3);
  });

  test("a pass is renewed before it is shown again", async () => {
    token = "old";
    begin();
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(500);
    expect(last().protocols[1]).toBe("token.fresh");
  });
});

test("a pass that runs out is renewed on the live line", async () => {
  token = "old";
  begin();
  last().says({ type: "renew" });
  await vi.advanceTimersByTimeAsync(0);
  expect(last().words.at(-1)).toEqual({ type: "token", token: "fresh" });
  expect(FakeSocket.all).toHaveLength(1);
});

describe("what the server refuses", () => {
  test("while another camera is there: the same epoch is offered again, and nothing that was kept is lost", async () => {
    uplink.begin("video/mp4", 5);
    last().open();
    uplink.push(bytes("a"));
    last().says({ type: "refused", number: 700, word: "video_taken", text: "Taken.", again: true, after_ms: null });
    await vi.advanceTimersByTimeAsync(1000);
    expect(last().words.map((word) => word.epoch)).toEqual(["epoch-1", "epoch-1"]);
    expect(restarts).toBe(0);
    last().says({ type: "ready", next: 0 });
    expect(last().chunks).toEqual([{ number: 0, text: "a" }]);
  });

  test("for now: the recorder begins anew after a while", async () => {
    begin();
    last().says({ type: "refused", number: 703, word: "video_broken", text: "Broken.", again: true, after_ms: null });
    expect(restarts).toBe(0);
    await vi.advanceTimersByTimeAsync(1000);
    expect(restarts).toBe(1);
  });

  test("chunks in flight of what broke are answered too, and one new recorder is enough", async () => {
    begin();
    for (const text of ["a", "b", "c"]) uplink.push(bytes(text));
    const broken = { type: "refused", number: 703, word: "video_broken", text: "Broken.", again: true, after_ms: null };
    last().says(broken);
    await vi.advanceTimersByTimeAsync(1000);
    uplink.begin("video/mp4", 5);
    last().says(broken); // a slow line: these were on their way for a second
    last().says(broken);
    await vi.advanceTimersByTimeAsync(5000);
    last().says({ type: "ready", next: 0 });
    await vi.advanceTimersByTimeAsync(5000);
    expect(restarts).toBe(1);
    expect(last().words.map((word) => word.epoch)).toEqual(["epoch-1", "epoch-2"]);
  });

  test("too much at once: the same chunk goes again after a while, and those behind it stop nothing", async () => {
    begin();
    for (const text of ["a", "b", "c"]) uplink.push(bytes(text));
    last().says({ type: "refused", number: 102, word: "too_many", text: "Wait.", again: true, after_ms: 1000 });
    const gap = { type: "refused", number: 100, word: "malformed", text: "Expected: chunk 0.", again: false, after_ms: null };
    last().says(gap);
    last().says(gap);
    await vi.advanceTimersByTimeAsync(1000);
    last().says({ type: "ready", next: 0 });
    expect(status.map((one) => one.word)).toEqual(["connecting", "sending", "sending"]);
    expect(last().words.map((word) => word.epoch)).toEqual(["epoch-1", "epoch-1"]);
    expect(numbers()).toEqual([0, 1, 2, 0, 1, 2]);
    expect(restarts).toBe(0);
  });

  test("a beginning that cannot be read is refused for good, as is a show that is over behind what broke", () => {
    uplink.begin("video/mp4", 5);
    last().open();
    last().says({ type: "refused", number: 100, word: "malformed", text: "Expected: …", again: false, after_ms: null });
    expect(status.at(-1)?.word).toBe("refused");
    begin();
    for (const text of ["a", "b"]) uplink.push(bytes(text));
    last().says({ type: "refused", number: 703, word: "video_broken", text: "Broken.", again: true, after_ms: null });
    last().says({ type: "refused", number: 210, word: "show_over", text: "Over.", again: false, after_ms: null });
    expect(status.at(-1)).toEqual({ word: "refused", number: 210, text: "Over." });
  });

  test("for good: says why and stays away", async () => {
    begin();
    last().says({ type: "refused", number: 702, word: "no_ffmpeg", text: "No ffmpeg.", again: false, after_ms: null });
    last().ends(4502);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(status.at(-1)).toEqual({ word: "refused", number: 702, text: "No ffmpeg." });
    expect(FakeSocket.all).toHaveLength(1);
  });
});

test("a line that carries less than is filmed is told once in a while", async () => {
  begin();
  uplink.push(bytes("a"));
  await vi.advanceTimersByTimeAsync(2_500);
  uplink.push(bytes("b"));
  uplink.push(bytes("c"));
  expect(slow).toBe(1);
  await vi.advanceTimersByTimeAsync(8_500);
  uplink.push(bytes("d"));
  expect(slow).toBe(2);
  last().says({ type: "ack", next: 4 });
  await vi.advanceTimersByTimeAsync(20_000);
  uplink.push(bytes("e"));
  expect(slow).toBe(2);
});

describe("a line that was slow", () => {
  /** Chunks that the server has at once, one a second. */
  async function goesWellFor(seconds: number): Promise<void> {
    for (let count = 0; count < seconds; count += 1) {
      uplink.push(bytes("x"));
      last().says({ type: "ack", next: last().chunks.at(-1)!.number + 1 });
      await vi.advanceTimersByTimeAsync(1_000);
    }
  }

  async function isSlow(): Promise<void> {
    uplink.push(bytes("a"));
    await vi.advanceTimersByTimeAsync(8_000);
    uplink.push(bytes("b"));
    begin();
  }

  test("may try more after a minute without a wait, and later each time that was too much", async () => {
    begin();
    await isSlow();
    expect(slow).toBe(1);
    await goesWellFor(58);
    expect(fine).toBe(0);
    await goesWellFor(4);
    expect(fine).toBe(1);
    await isSlow();
    expect(slow).toBe(2);
    await goesWellFor(110);
    expect(fine).toBe(1);
    await goesWellFor(12);
    expect(fine).toBe(2);
  });

  test("a wait or a break in between counts the time anew", async () => {
    begin();
    await goesWellFor(25);
    last().ends(1006);
    await vi.advanceTimersByTimeAsync(1_000);
    begin();
    await goesWellFor(25);
    uplink.push(bytes("a"));
    await vi.advanceTimersByTimeAsync(1_500);
    uplink.push(bytes("b"));
    await goesWellFor(25);
    expect(fine).toBe(0);
  });
});

test("leaving ends the epoch and closes the line for good", async () => {
  begin();
  uplink.push(bytes("a"));
  uplink.close();
  expect(last().words.at(-1)?.type).toBe("finish");
  expect(last().closedWith).toBe(1000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeSocket.all).toHaveLength(1);
  expect(status.at(-1)?.word).toBe("idle");
});
