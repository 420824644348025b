/** HLS by hls.js light, natively only where that cannot run. Fetched lazily; see `player.ts` for what it promises. */
import Hls from "hls.js/light";
import { api } from "./api";
import type { Player } from "./player";

/** From an address, or from a show that this server films: then its address is asked for, again and again until there
 *  is a picture, since viewers come before the camera does. */
export type From = { url: string } | { showId: string; sound: boolean };

export function playHls(video: HTMLVideoElement, from: From): Player {
  return Hls.isSupported() ? byLibrary(video, from) : byBrowser(video, from);
}

const FATAL_TRIES_MAX = 8;
const OWN_AGAIN_MS = 2000;

async function addressOf(from: From): Promise<string> {
  if ("url" in from) return from.url;
  const at = await api.get<{ live: string; sound: string }>(`/api/shows/${encodeURIComponent(from.showId)}/picture`);
  return from.sound ? at.sound : at.live;
}

function byLibrary(video: HTMLVideoElement, from: From): Player {
  const own = "showId" in from;
  const hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.06, backBufferLength: 30 });
  let tries = 0;
  let gone = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const again = (): void => {
    if (gone) return;
    clearTimeout(timer);
    timer = setTimeout(load, own ? OWN_AGAIN_MS * (0.75 + Math.random() / 2) : Math.min(1000 * 2 ** tries, 15_000));
  };
  const load = (): void => void addressOf(from).then((url) => gone || hls.loadSource(url), again);
  hls.on(Hls.Events.FRAG_BUFFERED, () => (tries = 0));
  hls.on(Hls.Events.ERROR, (_name, error) => {
    if (!error.fatal || (tries >= FATAL_TRIES_MAX && !own)) return;
    tries += 1;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else again();
  });
  load();
  hls.attachMedia(video);
  return {
    programmeMs: () => hls.playingDate?.getTime() ?? null,
    behindSeconds: () => (hls.liveSyncPosition === null ? null : Math.max(0, hls.liveSyncPosition - video.currentTime)),
    latencySeconds: () => (hls.latency > 0 ? hls.latency : null),
    goLive: () => {
      if (hls.liveSyncPosition !== null) video.currentTime = hls.liveSyncPosition;
      void video.play().catch(() => undefined);
    },
    destroy: () => {
      gone = true;
      clearTimeout(timer);
      hls.destroy();
    },
  };
}

function byBrowser(video: HTMLVideoElement, from: From): Player {
  const withDate = video as HTMLVideoElement & { getStartDate?: () => Date };
  let gone = false;
  void addressOf(from).then(
    (url) => gone || (video.src = url),
    () => gone || video.dispatchEvent(new Event("error")),
  );
  return {
    programmeMs: () => {
      const startMs = withDate.getStartDate?.().getTime();
      return startMs === undefined || Number.isNaN(startMs) ? null : startMs + video.currentTime * 1000;
    },
    behindSeconds: () => (video.seekable.length ? video.seekable.end(video.seekable.length - 1) - video.currentTime : null),
    goLive: () => {
      if (video.seekable.length) video.currentTime = video.seekable.end(video.seekable.length - 1) - 1;
      void video.play().catch(() => undefined);
    },
    destroy: () => {
      gone = true;
      video.removeAttribute("src");
    },
  };
}
