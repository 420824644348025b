import { beforeEach, expect, test } from "vitest";
import { bestKind, Recorder, STEPS } from "../../src/camera/recorder";

interface Made {
  stream: unknown;
  mime: string;
  bits: number;
}

let made: Made[];
let story: string[];
let supported: (mime: string) => boolean;
let newest: FakeRecorder;

class FakeRecorder {
  static isTypeSupported = (mime: string): boolean => supported(mime);
  state = "inactive";
  mimeType: string;
  onstart: (() => void) | null = null;
  onstop: (() => void) | null = null;
  onerror: (() => void) | null = null;
  ondataavailable: ((event: { data: Blob }) => void) | null = null;
  constructor(stream: unknown, options: { mimeType: string; videoBitsPerSecond: number }) {
    this.mimeType = options.mimeType;
    made.push({ stream, mime: options.mimeType, bits: options.videoBitsPerSecond });
    newest = this; // eslint-disable-line
  }
  start(): void {
    this.state = "recording";
    queueMicrotask(() => this.onstart?.());
  }
  stop(): void {
    this.state = "inactive";
    this.gives("last");
    queueMicrotask(() => this.onstop?.());
  }
  gives(text: string): void {
    this.ondataavailable?.({ data: new Blob([text]) });
  }
}

const camera = { getVideoTracks: () => [1], getAudioTracks: () => [1] } as unknown as MediaStream;
const frozen = { getVideoTracks: () => [2], getAudioTracks: () => [1] } as unknown as MediaStream;
let stills: number;
let recorder: Recorder;

beforeEach(() => {
  made = [];
  story = [];
  supported = () => true;
  stills = 0;
  recorder = new Recorder({
    now: () => 77,
    onBegin: (mime, t0Ms) => story.push(`begin ${mime.split(";")[0]} ${t0Ms}`),
    onChunk: (data) => story.push(new TextDecoder().decode(data)),
    onFinish: () => story.push("finish"),
    onTrouble: (error) => story.push(`trouble ${error.message}`),
    MediaRecorder: FakeRecorder as unknown as typeof MediaRecorder,
    still: async () => ((stills += 1), { stream: frozen, stop: () => void (stills -= 1) }),
  });
});

test("the first kind that a browser can is chosen, and one that must be converted is the last", () => {
  expect(bestKind(() => true)?.mime).toBe("video/webm;codecs=h264,opus");
  expect(bestKind((mime) => mime.startsWith("video/mp4"))?.mime).toContain("avc1");
  expect(bestKind((mime) => mime.includes("vp8"))).toEqual({ mime: "video/webm;codecs=vp8,opus", converted: true });
  expect(bestKind(() => false)).toBeNull();
});

test("an epoch is a beginning, chunks in their order, and an end after the last of them", async () => {
  await recorder.record(camera);
  newest.gives("one");
  newest.gives("two");
  await recorder.stop();
  expect(story).toEqual(["begin video/webm 77", "one", "two", "last", "finish"]);
  expect(recorder.running).toBe(false);
});

test("another camera ends the epoch before its own begins", async () => {
  await recorder.record(camera);
  newest.gives("one");
  await recorder.record(camera);
  expect(story).toEqual(["begin video/webm 77", "one", "last", "finish", "begin video/webm 77"]);
});

test("a weak line lowers the picture step by step, and leaves the sound beside a still in the end", async () => {
  await recorder.record(camera);
  for (let count = 0; count < STEPS.length; count += 1) {
    expect(recorder.lower()).toBe(true);
    await recorder.again();
  }
  expect(recorder.soundOnly).toBe(true);
  expect(recorder.lower()).toBe(false);
  expect(made.map((one) => one.bits)).toEqual(expect.arrayContaining([...STEPS]));
  // The same tracks in the same container: a player that has begun takes nothing else.
  expect(made.at(-1)).toEqual({ stream: frozen, mime: made[0]?.mime, bits: 50_000 });
  expect(stills).toBe(1);
  await recorder.stop();
  expect(stills).toBe(0);
});

test("two wishes at once are done one after the other", async () => {
  await Promise.all([recorder.record(camera), recorder.again(), recorder.again()]);
  await recorder.stop();
  expect(story.filter((word) => word.startsWith("begin"))).toHaveLength(3);
  expect(story.filter((word) => word === "finish")).toHaveLength(3);
});

test("a browser that cannot record says so", async () => {
  supported = () => false;
  await recorder.record(camera);
  expect(story).toEqual(["trouble no_recorder"]);
});
