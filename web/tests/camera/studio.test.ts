/** The camera's studio with a phone in the test's hands: one camera at a time, a lock, a line. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CameraStudio } from "../../src/camera/studio";

const words = JSON.parse(readFileSync(new URL("../../src/shared/i18n/camera.en.json", import.meta.url), "utf8")) as Record<string, string>;

class Track extends EventTarget {
  readyState = "live";
  enabled = true;
  stop(): void {
    this.readyState = "ended";
  }
}

interface Camera {
  facing: string;
  video: Track;
}

class FakeRecorder {
  static isTypeSupported = (): boolean => true;
  static made: { facing: string; bits: number }[] = [];
  static newest: FakeRecorder;
  state = "inactive";
  onstart: (() => void) | null = null;
  onstop: (() => void) | null = null;
  ondataavailable: ((event: { data: { size: number; arrayBuffer: () => Promise<ArrayBuffer> } }) => void) | null = null;
  constructor(
    stream: { facing: string },
    readonly options: { mimeType: string; videoBitsPerSecond: number },
  ) {
    FakeRecorder.made.push({ facing: stream.facing, bits: options.videoBitsPerSecond });
    FakeRecorder.newest = this; // eslint-disable-line
  }
  get mimeType(): string {
    return this.options.mimeType;
  }
  start(): void {
    this.state = "recording";
    queueMicrotask(() => this.onstart?.());
  }
  stop(): void {
    this.state = "inactive";
    queueMicrotask(() => this.onstop?.());
  }
}

class FakeSocket {
  static readonly OPEN = 1;
  static newest: FakeSocket;
  readyState = 1;
  bufferedAmount = 0;
  last = 0;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor() {
    FakeSocket.newest = this; // eslint-disable-line
    queueMicrotask(() => this.onopen?.());
  }
  onopen: (() => void) | null = null;
  send(data: string | ArrayBuffer): void {
    if (typeof data !== "string") this.last = new DataView(data).getUint32(0);
    else if (JSON.parse(data).type === "begin") queueMicrotask(() => this.says({ type: "ready", next: 0 }));
  }
  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  close(): void {
    this.readyState = 3;
  }
}

let cameras: Camera[];
let fails: Record<string, string>;
let locks: { released: boolean; release: () => Promise<void> }[];
let studio: CameraStudio;

const open = (): string[] => cameras.filter((one) => one.video.readyState === "live").map((one) => one.facing);

/** A phone as many are: while one camera is open, another is in use. */
async function getUserMedia(wish: { video: { facingMode: { ideal: string } } }): Promise<unknown> {
  const facing = wish.video.facingMode.ideal;
  if (open().length) throw new DOMException("in use", "NotReadableError");
  if (fails[facing]) throw new DOMException("no", fails[facing]);
  const video = new Track();
  cameras.push({ facing, video });
  return { facing, getTracks: () => [video], getVideoTracks: () => [video], getAudioTracks: () => [] };
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000, toFake: ["Date", "performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  cameras = [];
  fails = {};
  locks = [];
  FakeRecorder.made = [];
  vi.stubGlobal("location", { protocol: "https:", host: "shop" });
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  vi.stubGlobal("MediaRecorder", FakeRecorder);
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("navigator", {
    mediaDevices: { getUserMedia },
    wakeLock: {
      request: async () => {
        const lock = { released: false, release: async () => void (lock.released = true) };
        locks.push(lock);
        return lock;
      },
    },
  });
  studio = new CameraStudio("sh_1");
});

afterEach(() => {
  studio.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function sends(): Promise<void> {
  await studio.open();
  await studio.start();
  await vi.advanceTimersByTimeAsync(0);
  expect(studio.line.value.word).toBe("sending");
}

async function gives(): Promise<void> {
  FakeRecorder.newest.ondataavailable?.({ data: { size: 1, arrayBuffer: async () => new ArrayBuffer(1) } });
  await vi.advanceTimersByTimeAsync(0);
}

/** A chunk waits for longer than a line in order lets it. */
async function lineIsSlow(): Promise<void> {
  await gives();
  await vi.advanceTimersByTimeAsync(9_000);
  await gives();
  await vi.advanceTimersByTimeAsync(0);
}

describe("another picture", () => {
  test("of the other camera: the one before is let go first, and filming goes on", async () => {
    await sends();
    await studio.flip();
    expect(open()).toEqual(["user"]);
    expect(FakeRecorder.made.map((one) => one.facing)).toEqual(["environment", "user"]);
    expect([studio.trouble.value, studio.flipFailed.value, studio.sending.value]).toEqual(["", false, true]);
  });

  test("of a camera that does not open: the one before films on, and the host is told", async () => {
    await sends();
    fails = { user: "NotReadableError" };
    await studio.flip();
    expect(open()).toEqual(["environment"]);
    expect(studio.facing.value).toBe("environment");
    expect(FakeRecorder.made.map((one) => one.facing)).toEqual(["environment", "environment"]);
    expect([studio.trouble.value, studio.flipFailed.value]).toEqual(["", true]);
    expect(words["camera.flip_failed"]).toBe("The other camera did not open. This one goes on.");
    fails = {};
    await studio.flip();
    expect([open(), studio.flipFailed.value]).toEqual([["user"], false]);
  });

  test("where no camera opens any more: the host is told why, and one try later filming goes on", async () => {
    await sends();
    fails = { user: "NotReadableError", environment: "NotReadableError" };
    await studio.flip();
    expect([studio.trouble.value, studio.stream.value]).toEqual(["busy", null]);
    fails = {};
    await studio.open();
    expect([studio.trouble.value, open(), FakeRecorder.made.length]).toEqual(["", ["environment"], 2]);
  });

  test("of a turned phone, twice at once: one camera is open in the end, and it is the one that is seen", async () => {
    await sends();
    await Promise.all([studio.turned(), studio.flip(), studio.turned()]);
    expect(open()).toEqual(["user"]);
    expect((studio.stream.value as unknown as { facing: string }).facing).toBe("user");
    expect(FakeRecorder.newest.state).toBe("recording");
  });
});

test("a weak line lowers the picture in words, and a line that is fine again raises it by itself", async () => {
  await sends();
  await lineIsSlow();
  expect(studio.lowered.value).toBe("lower");
  expect(words["camera.lowered_lower"]).toBe("The line is weak: the picture is sent in a lower quality.");
  for (let second = 0; second < 70; second += 1) {
    await gives();
    FakeSocket.newest.says({ type: "ack", next: FakeSocket.newest.last + 1 });
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(studio.lowered.value).toBe("");
  expect(FakeRecorder.made.map((one) => one.bits)).toEqual([2_500_000, 1_500_000, 2_500_000]);
});

test("what the server refuses for good lets the phone sleep, and its words stay", async () => {
  await sends();
  await studio.awake();
  expect(locks.map((lock) => lock.released)).toEqual([false]);
  FakeSocket.newest.says({ type: "refused", number: 702, word: "no_ffmpeg", text: "No ffmpeg.", again: false, after_ms: null });
  await vi.advanceTimersByTimeAsync(0);
  expect(locks.every((lock) => lock.released)).toBe(true);
  expect(studio.line.value).toEqual({ word: "refused", number: 702, text: "No ffmpeg." });
  expect(studio.sending.value).toBe(false);
});
