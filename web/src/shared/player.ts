/**
 * The picture, whatever it comes from: one object that mounts into a video element, tells its programme clock and goes
 * to the live edge. Nothing on the page waits for it. The streaming library is fetched only when a show needs it.
 */
import { programmeMs } from "./programme";
import type { VideoFacts } from "./protocol";
import { serverClock } from "./time";

export interface Player {
  /** Server time of the frame on the screen; null where the picture has no clock of its own. */
  programmeMs(): number | null;
  /** Seconds behind the newest picture; null where there is no such thing. */
  behindSeconds(): number | null;
  /** Seconds behind the newest piece, what is buffered included; null where nobody knows. */
  latencySeconds?(): number | null;
  goLive(): void;
  /** The same picture with new facts: a clip that was started over goes to its new place without loading again. */
  follow?(facts: VideoFacts): void;
  destroy(): void;
}

/** `showId`: whose picture a server that films itself is asked for; `sound`: without the picture, where it can be had so. */
export function mount(video: HTMLVideoElement, facts: VideoFacts, showId: string, sound = false): Player {
  const asked = facts.kind === "own" || facts.signed;
  const player = facts.kind === "file" ? mountFile(video, facts) : mountHls(video, asked ? { showId, sound } : { url: facts.url });
  return { ...player, programmeMs: () => programmeMs(facts, player, serverClock.now()) };
}

/** Whether the sound can be fetched without its picture. */
export const hasSoundAlone = (facts: VideoFacts): boolean => facts.kind === "own";

/** Whether there is anything to mount. */
export const hasPicture = (facts: VideoFacts): boolean => facts.kind === "own" || (facts.kind !== "none" && facts.url !== "");

const FILE_LOOK_EVERY_MS = 4000;
const FILE_OFF_SECONDS_MAX = 0.7;

/** A clip that everybody sees at the same place: its zero is `started_at_ms` on the server's clock. */
function mountFile(video: HTMLVideoElement, facts: VideoFacts): Player {
  let now = facts;
  const align = (): void => {
    const target = placeInClip(now, video.duration, serverClock.now());
    if (target !== null && Math.abs(video.currentTime - target) > FILE_OFF_SECONDS_MAX) video.currentTime = target;
  };
  video.loop = facts.loop;
  const sources = [facts.url, ...facts.alternates].map(source);
  // A browser tries one container after the other and tells only the last one's failure, and only to its element.
  sources.at(-1)?.addEventListener("error", () => video.dispatchEvent(new Event("error")));
  video.replaceChildren(...sources);
  video.load();
  video.addEventListener("loadedmetadata", align);
  const timer = setInterval(align, FILE_LOOK_EVERY_MS);
  return {
    programmeMs: () => null,
    behindSeconds: () => null,
    goLive: align,
    follow: (newer) => {
      now = newer;
      align();
    },
    destroy: () => {
      clearInterval(timer);
      video.removeEventListener("loadedmetadata", align);
      empty(video);
    },
  };
}

/** Seconds into the clip at `nowMs`; null where its clock or length is not known. */
export function placeInClip(facts: VideoFacts, durationSeconds: number, nowMs: number): number | null {
  if (facts.started_at_ms === null || !Number.isFinite(durationSeconds) || durationSeconds <= 0) return null;
  const since = Math.max(0, (nowMs - facts.started_at_ms) / 1000);
  return facts.loop ? since % durationSeconds : Math.min(since, durationSeconds - 0.1);
}

const TYPES: Record<string, string> = { webm: "video/webm", mp4: "video/mp4", m4v: "video/mp4" };

function source(url: string): HTMLSourceElement {
  const element = document.createElement("source");
  element.src = url;
  const type = TYPES[url.split(/[?#]/)[0]?.split(".").at(-1)?.toLowerCase() ?? ""];
  if (type) element.type = type;
  return element;
}

function mountHls(video: HTMLVideoElement, from: { url: string } | { showId: string; sound: boolean }): Player {
  let inner: Player | null = null;
  let gone = false;
  void import("./hls")
    .then(({ playHls }) => {
      if (!gone) inner = playHls(video, from);
    })
    .catch(() => video.dispatchEvent(new Event("error")));
  return {
    programmeMs: () => inner?.programmeMs() ?? null,
    behindSeconds: () => inner?.behindSeconds() ?? null,
    latencySeconds: () => inner?.latencySeconds?.() ?? null,
    goLive: () => inner?.goLive(),
    destroy: () => {
      gone = true;
      inner?.destroy();
      empty(video);
    },
  };
}

function empty(video: HTMLVideoElement): void {
  video.removeAttribute("src");
  video.replaceChildren();
  video.load();
}
