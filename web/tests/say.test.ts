/** What a viewer writes while her line is not there yet, or away: it goes out once, or she is told that it did not. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { aShow, aWelcome } from "./facts";
import { FakeSocket } from "./fake_socket";

const line = (number: number): FakeSocket => FakeSocket.all.at(number)!;
const welcomes = (socket: FakeSocket): void => {
  socket.open();
  socket.says(aWelcome({ now_ms: Date.now() }));
};
const said = (socket: FakeSocket): string[] => socket.sent.flatMap((one) => (one.t === "say" ? [one.text] : []));

vi.stubGlobal("document", { cookie: "" });
vi.stubGlobal("location", { origin: "http://shop.test", pathname: "/", search: "", hash: "", protocol: "http:", host: "shop.test" });
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
vi.stubGlobal("WebSocket", FakeSocket);
const { enterRoom, forgetOwn, leaveRoom, ownLines, say } = await import("../src/watch/room");

const states = (): string[] => ownLines.value.map((own) => own.state);

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
  FakeSocket.all = [];
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
  welcomes(line(0));
  expect(said(line(0))).toEqual(["which shade?", "and the size?"]);
});

test("a line written while the line is away goes out on the next one, once", () => {
  welcomes(line(0));
  line(0).ends(1006);
  say("still there?", "chat");
  vi.advanceTimersByTime(1_000);
  welcomes(line(1));
  expect(said(line(1))).toEqual(["still there?"]);
  line(1).ends(1006);
  vi.advanceTimersByTime(2_000);
  welcomes(line(2));
  expect(said(line(2))).toEqual([]);
});

test("a line that cannot go out in time is told as not sent, and does not go out late", () => {
  say("which shade?", "question");
  vi.advanceTimersByTime(8_000);
  expect(states()).toEqual(["failed"]);
  welcomes(line(-1));
  expect(said(line(-1))).toEqual([]);
});

test("a line that she takes back before it goes out is not said", () => {
  say("oh no", "chat");
  forgetOwn(ownLines.value[0]!.cid);
  welcomes(line(0));
  expect(said(line(0))).toEqual([]);
});
