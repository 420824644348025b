/** The live player over a stub of its library: what it asks for, again and no longer, and what it tells of the picture. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { api } from "../src/shared/api";
import { playHls } from "../src/shared/hls";
import { DEAD, made, StubHls, StubVideo } from "./hls_stub";

vi.mock("hls.js/light", async () => ({ default: (await import("./hls_stub")).StubHls }));

const OWN = { showId: "shw_1", sound: false };
const addresses = vi.spyOn(api, "get");
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  StubHls.supported = true;
  addresses.mockReset().mockResolvedValue({ live: "/live.m3u8", sound: "/sound/live.m3u8" });
});
afterEach(() => vi.useRealTimers());

describe("by the library", () => {
  test("catches up at most six in a hundred faster", () => {
    playHls(new StubVideo().element, { url: "/a.m3u8" });
    expect(made().config).toMatchObject({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.06 });
  });

  test("tells the programme's time, how far behind the edge it is, and goes there", () => {
    const video = new StubVideo();
    const player = playHls(video.element, { url: "/a.m3u8" });
    expect([player.programmeMs(), player.behindSeconds(), player.latencySeconds!()]).toEqual([null, null, null]);
    Object.assign(made(), { playingDate: new Date(5000), liveSyncPosition: 30, latency: 2.5 });
    video.currentTime = 28;
    expect([player.programmeMs(), player.behindSeconds(), player.latencySeconds!()]).toEqual([5000, 2, 2.5]);
    player.goLive();
    expect([video.currentTime, video.play.mock.calls.length]).toEqual([30, 1]);
  });

  test("fetches the sound alone where that is wished", async () => {
    playHls(new StubVideo().element, { ...OWN, sound: true });
    await settled();
    expect(made().loaded).toEqual(["/sound/live.m3u8"]);
  });

  test("asks until there is a picture, and again when it broke, once for all that failed together", async () => {
    addresses.mockRejectedValueOnce(new Error("not yet"));
    playHls(new StubVideo().element, OWN);
    await settled();
    expect(made().loaded).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_500);
    expect(made().loaded).toEqual(["/live.m3u8"]);
    made().tell("ERROR", DEAD);
    made().tell("ERROR", DEAD);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(made().loaded).toHaveLength(2);
  });

  test.each(["comes", "fails"])("asks for nothing more once it is gone, whether the answer that was on its way %s", async (how) => {
    let answer = (): void => undefined;
    addresses.mockImplementationOnce(() => new Promise((come, fail) => (answer = () => (how === "comes" ? come({ live: "/late" }) : fail(new Error())))));
    const player = playHls(new StubVideo().element, OWN);
    player.destroy();
    answer();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([made().loaded, addresses.mock.calls.length, made().destroy.mock.calls.length]).toEqual([[], 1, 1]);
  });
});

describe("by the browser, where the library cannot run", () => {
  beforeEach(() => void (StubHls.supported = false));

  test("plays the address, tells the time from the playlist's date, and goes to the edge", async () => {
    const [video, before] = [new StubVideo(100_000), StubHls.made.length];
    const player = playHls(video.element, OWN);
    await settled();
    video.currentTime = 4;
    expect([video.src, player.programmeMs(), player.behindSeconds()]).toEqual(["/live.m3u8", 104_000, 56]);
    player.goLive();
    expect([video.currentTime, StubHls.made.length]).toEqual([59, before]);
  });

  test.each([undefined, NaN])("knows no time where the playlist has none (%s)", (startMs) => {
    expect(playHls(new StubVideo(startMs).element, { url: "/a.m3u8" }).programmeMs()).toBeNull();
  });

  test("an address that comes too late is not played", async () => {
    const video = new StubVideo();
    playHls(video.element, OWN).destroy();
    await settled();
    expect(video.src).toBe("");
  });
});
