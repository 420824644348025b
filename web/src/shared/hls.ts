/** HLS by hls.js light, natively only where that cannot run. Fetched lazily; see `player.ts` for what it promises. */
import Hls from "hls.js/light";
import type { Player } from "./player";

export function playHls(video: HTMLVideoElement, url: string): Player {
  return Hls.isSupported() ? byLibrary(video, url) : byBrowser(video, url);
}

const FATAL_TRIES_MAX = 8;

function byLibrary(video: HTMLVideoElement, url: string): Player {
  const hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.06, backBufferLength: 30 });
  let tries = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  hls.on(Hls.Events.FRAG_BUFFERED, () => (tries = 0));
  hls.on(Hls.Events.ERROR, (_name, error) => {
    if (!error.fatal || tries >= FATAL_TRIES_MAX) return;
    tries += 1;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else timer = setTimeout(() => hls.loadSource(url), Math.min(1000 * 2 ** tries, 15_000));
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    programmeMs: () => hls.playingDate?.getTime() ?? null,
    behindSeconds: () => (hls.liveSyncPosition === null ? null : Math.max(0, hls.liveSyncPosition - video.currentTime)),
    goLive: () => {
      if (hls.liveSyncPosition !== null) video.currentTime = hls.liveSyncPosition;
      void video.play().catch(() => undefined);
    },
    destroy: () => {
      clearTimeout(timer);
      hls.destroy();
    },
  };
}

function byBrowser(video: HTMLVideoElement, url: string): Player {
  const withDate = video as HTMLVideoElement & { getStartDate?: () => Date };
  video.src = url;
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
    destroy: () => video.removeAttribute("src"),
  };
}
