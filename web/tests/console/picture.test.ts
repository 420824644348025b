/** What a host chooses as the picture of her show, as the server is told. */
import { describe, expect, test } from "vitest";
import { kindOf, pictureOf, videoOf, wrongWith, type PictureDraft } from "../../src/console/editor/picture";
import type { VideoFacts } from "../../src/shared/protocol";

const draft = (change: Partial<PictureDraft>): PictureDraft => ({ ...pictureOf(undefined), ...change });
const facts: VideoFacts = {
  kind: "none", url: "", alternates: [], poster: "", loop: false, started_at_ms: null,
  source: "", clock: "pdt", delay_ms: 0, signed: false, by_hand: false,
};

describe("what the server is handed", () => {
  test.each([
    [draft({}), { source: "own", url: "" }],
    [draft({ from: "film", byHand: true, loop: true }), { source: "film", by_hand: true, loop: true, url: "" }],
    [draft({ from: "url", url: " media.example.com/live.m3u8 ", seconds: "2,5" }), { source: "hls", kind: "hls", url: "https://media.example.com/live.m3u8", delay_ms: 2500 }],
    [draft({ from: "url", url: "https://a.example/x.mp4?k=1" }), { source: "file", kind: "file", url: "https://a.example/x.mp4?k=1" }],
    [draft({ from: "url", url: "/clip.mp4" }), { source: "file", url: "/clip.mp4" }],
    [draft({ from: "youtube", url: "dQw4w9WgXcQ", seconds: "8" }), { source: "youtube", url: "https://youtu.be/dQw4w9WgXcQ", delay_ms: 8000 }],
    [draft({ from: "youtube", url: "youtu.be/dQw4w9WgXcQ" }), { source: "youtube", url: "https://youtu.be/dQw4w9WgXcQ" }],
    [draft({ from: "mediamtx", seconds: "1" }), { source: "mediamtx", url: "", delay_ms: 1000 }],
    [draft({ from: "none", seconds: "9", url: "x" }), { source: "", kind: "none", url: "", delay_ms: 0 }],
    [draft({ from: "studio", url: "stage-one.example" }), { source: "studio", url: "https://stage-one.example" }],
  ])("%o", (picture, handed) => {
    expect(videoOf(picture, undefined)).toMatchObject(handed);
  });

  test("a clip keeps its other containers with its address, and loses them with another", () => {
    const before = { ...facts, kind: "file", source: "file", url: "/clip.mp4", alternates: ["/clip.webm"], poster: "/p.webp" } as const;
    const same = { ...before, alternates: ["/clip.webm"] };
    expect(videoOf(pictureOf(same), same)).toMatchObject({ alternates: ["/clip.webm"], poster: "/p.webp" });
    expect(videoOf({ ...pictureOf(same), url: "/other.mp4" }, same).alternates).toEqual([]);
  });
});

describe("what the fields hold", () => {
  test("is what the show has", () => {
    expect(pictureOf({ ...facts, kind: "hls", source: "hls", url: "https://a.example/x.m3u8", delay_ms: 2500 })).toMatchObject({ from: "url", url: "https://a.example/x.m3u8", seconds: "2.5" });
    expect(pictureOf({ ...facts, kind: "own", source: "film", by_hand: true })).toMatchObject({ from: "film", byHand: true });
    expect(pictureOf({ ...facts, kind: "hls", source: "mediamtx", signed: true, url: "https://m.example" })).toMatchObject({ from: "mediamtx", url: "" });
    expect(pictureOf({ ...facts, kind: "file", url: "/clip.mp4" })).toMatchObject({ from: "url", url: "/clip.mp4" });
    expect(pictureOf(facts)).toMatchObject({ from: "none" });
  });

  test("is looked at before it is sent", () => {
    expect(wrongWith(draft({}))).toBe("");
    expect(wrongWith(draft({ from: "url", url: " " }))).toBe("source.address_missing");
    expect(wrongWith(draft({ from: "youtube" }))).toBe("source.address_missing");
    for (const seconds of ["x", "-1", "31"]) expect(wrongWith(draft({ from: "mediamtx", seconds }))).toBe("source.wrong_delay");
    expect(wrongWith(draft({ from: "mediamtx", seconds: "30" }))).toBe("");
  });
});

test("a playlist is a stream, anything else with an address a file", () => {
  expect([kindOf(""), kindOf("https://a/x.M3U8?t=1"), kindOf("https://a/x.mp4")]).toEqual(["none", "hls", "file"]);
});
