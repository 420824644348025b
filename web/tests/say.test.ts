/** What a viewer writes while her line is not there yet, or away: it goes out once, or she is told that it did not. */
import { decode, encode } from "@msgpack/msgpack";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { FromViewer, ToViewer } from "../src/shared/protocol";
import { aShow, aWelcome } from "./facts";

class Line {
  static readonly OPEN = 1;
  static all: Line[] = [];
  readyState = 0;
  sent: FromViewer[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  constructor() {
    Line.all.push(this);
  }
  send(data: Uint8Array): void {
    this.sent.push(decode(data) as FromViewer);
  }
  close(): void {
    this.readyState = 3;
  }
  welcomes(): void {
    this.readyState = Line.OPEN;
    this.onopen?.();
    const welcome: ToViewer = aWelcome({ now_ms: Date.now() });
    this.onmessage?.({ data: new Uint8Array(encode(welcome)).buffer });
  }
  breaks(): void {
    this.readyState = 3;
    this.onclose?.({ code: 1006, reason: "" });
  }
  said(): string[] {
    return this.sent.flatMap((one) => (one.t === "say" ? [one.text] : []));
  }
}

vi.stubGlobal("document", { cookie: "" });
vi.stubGlobal("location", { origin: "http://shop.test", pathname: "/", search: "", hash: "", protocol: "http:", host: "shop.test" });
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
vi.stubGlobal("WebSocket", Line);
const { enterRoom, forgetOwn, leaveRoom, ownLines, say } = await import("../src/watch/room");

const states = (): string[] => ownLines.value.map((own) => own.state);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  Line.all = [];
  ownLines.value = [];
  enterRoom(aShow());
});

afterEach(() => {
  leaveRoom();
  vi.useRealTimers();
});

test("a line written before the room has answered waits for it", () => {
  say("which shade?", "question");
  say("and the size?", "question");
  expect(states()).toEqual(["sending", "sending"]);
  Line.all[0]!.welcomes();
  expect(Line.all[0]!.said()).toEqual(["which shade?", "and the size?"]);
});

test("a line written while the line is away goes out on the next one, once", () => {
  Line.all[0]!.welcomes();
  Line.all[0]!.breaks();
  say("still there?", "chat");
  vi.advanceTimersByTime(1_000);
  Line.all[1]!.welcomes();
  expect(Line.all[1]!.said()).toEqual(["still there?"]);
  Line.all[1]!.breaks();
  vi.advanceTimersByTime(2_000);
  Line.all[2]!.welcomes();
  expect(Line.all[2]!.said()).toEqual([]);
});

test("a line that cannot go out in time is told as not sent, and does not go out late", () => {
  say("which shade?", "question");
  vi.advanceTimersByTime(8_000);
  expect(states()).toEqual(["failed"]);
  Line.all.at(-1)!.welcomes();
  expect(Line.all.at(-1)!.said()).toEqual([]);
});

test("a line that she takes back before it goes out is not said", () => {
  say("oh no", "chat");
  forgetOwn(ownLines.value[0]!.cid);
  Line.all[0]!.welcomes();
  expect(Line.all[0]!.said()).toEqual([]);
});
