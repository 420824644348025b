/**
 * A recording in a video element: it tells its programme's time and goes to a programme's time, over every gap.
 *
 * What arrives: an element, an address, and how to ask for a new one (a signed address ends, a server restarts). What
 * leaves: the picture, and whether it is in trouble. However long it was away, it goes on where it stopped.
 */
import Hls from "hls.js/light";

export interface ReplayPlayer {
  /** When what is on the screen was filmed, on the server's clock; null before there is a picture. */
  programmeMs(): number | null;
  seekTo(programmeMs: number): void;
  destroy(): void;
}

export interface Source {
  url: string;
  /** The address as it is now; "" where the recording is kept no longer. */
  askAgain(): Promise<string>;
  /** Tells when the picture does not come, and when it does again. */
  onTrouble(is: boolean): void;
}

interface Piece {
  start: number;
  duration: number;
  programDateTime: number | null;
}

const AGAIN_MS = 3_000;
const MENDS_MAX = 3;

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

export function playReplay(video: HTMLVideoElement, source: Source): ReplayPlayer {
  return Hls.isSupported() ? byLibrary(video, source) : byBrowser(video, source);
}

function byLibrary(video: HTMLVideoElement, source: Source): ReplayPlayer {
  const hls = new Hls({ backBufferLength: 30, maxBufferLength: 20 });
  const fetching = asking(source, (url) => hls.loadSource(url));
  let wanted: number | null = null;
  let mends = 0;
  const pieces = (): readonly Piece[] => (hls.levels[0]?.details?.fragments ?? []) as readonly Piece[];
  const programmeMs = (): number | null => wanted ?? hls.playingDate?.getTime() ?? null;
  const go = (): void => {
    const place = wanted === null ? null : placeIn(pieces(), wanted);
    if (place === null) return;
    video.currentTime = place;
    wanted = null;
  };
  hls.on(Hls.Events.LEVEL_LOADED, () => setTimeout(go));
  hls.on(Hls.Events.FRAG_BUFFERED, () => {
    mends = 0;
    source.onTrouble(false);
  });
  hls.on(Hls.Events.ERROR, (_name, error) => {
    if (!error.fatal) return;
    if (error.type === Hls.ErrorTypes.MEDIA_ERROR && mends < MENDS_MAX) {
      mends += 1;
      hls.recoverMediaError();
      return;
    }
    wanted = programmeMs();
    fetching.again();
  });
  hls.loadSource(source.url);
  hls.attachMedia(video);
  return {
    programmeMs,
    seekTo: (ms) => {
      wanted = ms;
      go();
    },
    destroy: () => {
      fetching.stop();
      hls.destroy();
    },
  };
}

function byBrowser(video: HTMLVideoElement, source: Source): ReplayPlayer {
  const dated = video as HTMLVideoElement & { getStartDate?: () => Date };
  const fetching = asking(source, (url) => (video.src = url));
  const startMs = (): number => dated.getStartDate?.().getTime() ?? NaN;
  let wanted: number | null = null;
  const programmeMs = (): number | null => wanted ?? (Number.isNaN(startMs()) ? null : startMs() + video.currentTime * 1000);
  const go = (): void => {
    if (wanted === null || Number.isNaN(startMs())) return;
    video.currentTime = Math.max(0, (wanted - startMs()) / 1000);
    wanted = null;
  };
  const failed = (): void => {
    wanted = programmeMs();
    fetching.again();
  };
  const came = (): void => {
    source.onTrouble(false);
    go();
  };
  video.addEventListener("loadedmetadata", came);
  video.addEventListener("error", failed);
  video.src = source.url;
  return {
    programmeMs,
    seekTo: (ms) => {
      wanted = ms;
      go();
    },
    destroy: () => {
      fetching.stop();
      video.removeEventListener("loadedmetadata", came);
      video.removeEventListener("error", failed);
      video.removeAttribute("src");
    },
  };
}

/** Asks for the address again, a while later and as often as it takes, and hands it on. */
function asking({ askAgain, onTrouble }: Source, play: (url: string) => void): { again(): void; stop(): void } {
  let gone = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ask = (): void =>
    void askAgain().then((url) => {
      if (!gone && url) play(url);
    }, again);
  const again = (): void => {
    if (gone) return;
    onTrouble(true);
    clearTimeout(timer);
    timer = setTimeout(ask, AGAIN_MS * (0.75 + Math.random() / 2));
  };
  const stop = (): void => {
    gone = true;
    clearTimeout(timer);
  };
  return { again, stop };
}
