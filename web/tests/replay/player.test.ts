/** The replay's player over a stub of its library: it goes where it is told, and after a break on where it stopped. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { playReplay, type ReplayPlayer } from "../../src/replay/player";
import { BROKEN, DEAD, made, StubHls, StubVideo } from "../hls_stub";

vi.mock("hls.js/light", async () => ({ default: (await import("../hls_stub")).StubHls }));

const LEVELS = [{ details: { fragments: [{ start: 0, duration: 6, programDateTime: 100_000 }, { start: 6, duration: 6, programDateTime: 150_000 }] } }];
const askAgain = vi.fn<() => Promise<string>>();
let video: StubVideo;
let trouble: boolean[];

function play(startMs?: number): ReplayPlayer {
  video = new StubVideo(startMs);
  return playReplay(video.element, { url: "/replay.m3u8", askAgain, onTrouble: (is) => trouble.push(is) });
}

beforeEach(() => {
  vi.useFakeTimers();
  StubHls.supported = true;
  trouble = [];
  askAgain.mockReset().mockResolvedValue("/new/replay.m3u8");
});
afterEach(() => vi.useRealTimers());

describe("by the library", () => {
  test("goes to a moment once the recording is known, and tells that moment until then", async () => {
    const player = play();
    player.seekTo(152_000);
    expect([player.programmeMs(), video.currentTime]).toEqual([152_000, 0]);
    made().levels = LEVELS;
    made().tell("LEVEL_LOADED");
    await vi.advanceTimersByTimeAsync(0);
    expect(video.currentTime).toBe(8);
  });

  test("whose server was away asks for the address again, as often as it takes, and goes on where it stopped", async () => {
    askAgain.mockRejectedValueOnce(new Error("restarting"));
    play();
    Object.assign(made(), { levels: LEVELS, playingDate: new Date(103_000) });
    made().tell("ERROR", DEAD);
    expect([trouble, made().loaded]).toEqual([[true], ["/replay.m3u8"]]);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(made().loaded).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(made().loaded).toEqual(["/replay.m3u8", "/new/replay.m3u8"]);
    made().tell("LEVEL_LOADED");
    await vi.advanceTimersByTimeAsync(0);
    made().tell("FRAG_BUFFERED");
    expect([video.currentTime, trouble.at(-1)]).toEqual([3, false]);
  });

  test("mends what the browser cannot decode, and after three times begins anew", async () => {
    play();
    for (let time = 0; time < 4; time += 1) made().tell("ERROR", BROKEN);
    await vi.advanceTimersByTimeAsync(4_000);
    expect([made().recoverMediaError.mock.calls.length, made().loaded.length]).toEqual([3, 2]);
  });

  test("does nothing of what mends itself, nor for a recording that is kept no longer", async () => {
    askAgain.mockResolvedValue("");
    play();
    made().tell("ERROR", { ...DEAD, fatal: false });
    expect(trouble).toEqual([]);
    made().tell("ERROR", DEAD);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([made().loaded, askAgain.mock.calls.length]).toEqual([["/replay.m3u8"], 1]);
  });

  test("asks for nothing more once it is gone", async () => {
    const player = play();
    made().tell("ERROR", DEAD);
    player.destroy();
    made().tell("ERROR", DEAD);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([askAgain.mock.calls.length, made().destroy.mock.calls.length]).toEqual([0, 1]);
  });
});

describe("by the browser, where the library cannot run", () => {
  beforeEach(() => void (StubHls.supported = false));

  test("goes to a moment by the playlist's date", () => {
    const player = play(100_000);
    player.seekTo(104_000);
    expect([video.src, video.currentTime, player.programmeMs()]).toEqual(["/replay.m3u8", 4, 104_000]);
  });

  test("goes there later where the date is not known yet", () => {
    const player = play(NaN);
    player.seekTo(104_000);
    expect([video.currentTime, player.programmeMs()]).toEqual([0, 104_000]);
    video.getStartDate = () => new Date(100_000);
    video.dispatchEvent(new Event("loadedmetadata"));
    expect(video.currentTime).toBe(4);
  });

  test("asks for the address again when the picture breaks, and goes on where it stopped", async () => {
    play(100_000);
    video.currentTime = 5;
    video.dispatchEvent(new Event("error"));
    await vi.advanceTimersByTimeAsync(4_000);
    expect(video.src).toBe("/new/replay.m3u8");
    video.currentTime = 0;
    video.dispatchEvent(new Event("loadedmetadata"));
    expect([video.currentTime, trouble]).toEqual([5, [true, false]]);
  });

  test("is quiet once it is gone", async () => {
    play(100_000).destroy();
    video.dispatchEvent(new Event("error"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([video.src, trouble, askAgain.mock.calls.length]).toEqual(["", [], 0]);
  });
});
