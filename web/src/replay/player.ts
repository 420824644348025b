/** A recording in a video element: it tells its programme's time and goes to a programme's time, over every gap. */
import Hls from "hls.js/light";

export interface ReplayPlayer {
  /** When what is on the screen was filmed, on the server's clock; null before there is a picture. */
  programmeMs(): number | null;
  seekTo(programmeMs: number): void;
  destroy(): void;
}

interface Piece {
  start: number;
  duration: number;
  programDateTime: number | null;
}

/** Where in the recording a programme time lies: inside a piece, or at the beginning of the next one. */
export function placeIn(pieces: readonly Piece[], programmeMs: number): number | null {
  for (const { start, duration, programDateTime } of pieces) {
    if (programDateTime === null) continue;
    const into = (programmeMs - programDateTime) / 1000;
    if (into < duration) return start + Math.max(0, into);
  }
  const last = pieces.at(-1);
  return last ? last.start + Math.max(0, last.duration - 0.5) : null;
}

export function playReplay(video: HTMLVideoElement, url: string): ReplayPlayer {
  if (!Hls.isSupported()) return byBrowser(video, url);
  const hls = new Hls({ backBufferLength: 30, maxBufferLength: 20 });
  hls.loadSource(url);
  hls.attachMedia(video);
  let wanted: number | null = null;
  const pieces = (): readonly Piece[] => (hls.levels[0]?.details?.fragments ?? []) as readonly Piece[];
  const go = (): void => {
    const place = wanted === null ? null : placeIn(pieces(), wanted);
    if (place === null) return;
    video.currentTime = place;
    wanted = null;
  };
  hls.on(Hls.Events.LEVEL_LOADED, () => setTimeout(go));
  return {
    programmeMs: () => wanted ?? hls.playingDate?.getTime() ?? null,
    seekTo: (ms) => {
      wanted = ms;
      go();
    },
    destroy: () => hls.destroy(),
  };
}

function byBrowser(video: HTMLVideoElement, url: string): ReplayPlayer {
  const dated = video as HTMLVideoElement & { getStartDate?: () => Date };
  const startMs = (): number => dated.getStartDate?.().getTime() ?? NaN;
  video.src = url;
  return {
    programmeMs: () => (Number.isNaN(startMs()) ? null : startMs() + video.currentTime * 1000),
    seekTo: (ms) => {
      if (!Number.isNaN(startMs())) video.currentTime = Math.max(0, (ms - startMs()) / 1000);
    },
    destroy: () => video.removeAttribute("src"),
  };
}
