/** The picture and what stands on it when it is not there: poster, waiting, slate, "tap for sound", "go to live". */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Icon } from "../shared/ui";
import { hasPicture, mount, type Player } from "../shared/player";
import { Slate } from "./later";
import { setPictureClock } from "./room";

export const muted = signal(true);
export const playing = signal(false);

/** What keys and buttons may ask of the picture; set while a picture is mounted. */
export const picture: { video: HTMLVideoElement | null; player: Player | null } = { video: null, player: null };

const BEHIND_SECONDS_MAX = 12;
const TRY_AGAIN_MS = 8000;

/** A phone that saves data gets the poster; the picture comes on request. */
function savesData(): boolean {
  const line = (navigator as Navigator & { connection?: { saveData?: boolean; effectiveType?: string } }).connection;
  return line?.saveData === true || /(^|-)2g$/.test(line?.effectiveType ?? "");
}

export function Stage({ show }: { show: ShowFacts }) {
  const { video } = show;
  const onAir = show.status === "live" || show.status === "interrupted";
  const [wanted, setWanted] = useState(!savesData());
  const [tries, setTries] = useState(0);
  const usable = onAir && hasPicture(video);
  return (
    <div class="stage on-video" data-corner={show.corner}>
      <div class="stage-ground" style={video.poster ? { backgroundImage: `url("${encodeURI(video.poster)}")` } : undefined} />
      {usable && wanted && <Picture show={show} key={`${video.url} ${tries}`} onFailed={() => setTries(tries + 1)} />}
      {usable && !wanted && (
        <button type="button" class="glass-pill stage-centre" onClick={() => setWanted(true)}>
          <Icon name="play" size={18} /> {t("video.show_picture")}
        </button>
      )}
      {show.status === "interrupted" && <Slate show={show} />}
      <div class="stage-scrim" />
    </div>
  );
}

function Picture({ show, onFailed }: { show: ShowFacts; onFailed: () => void }) {
  const element = useRef<HTMLVideoElement>(null);
  const [shape, setShape] = useState<"portrait" | "wide">("portrait");
  const [state, setState] = useState<"waiting" | "playing" | "blocked" | "failed">("waiting");
  const [behind, setBehind] = useState(false);

  useEffect(() => {
    const video = element.current;
    if (!video) return;
    const player = mount(video, show.video, show.show_id);
    picture.video = video;
    picture.player = player;
    Object.assign(video, { programmeMs: () => player.programmeMs() }); // for whoever measures the picture's delay
    setPictureClock(() => player.programmeMs());
    void video.play().catch((error: DOMException) => error.name === "NotAllowedError" && setState("blocked"));
    const timer = setInterval(() => setBehind((player.behindSeconds() ?? 0) > BEHIND_SECONDS_MAX), 1000);
    return () => {
      clearInterval(timer);
      setPictureClock(() => null);
      picture.video = picture.player = null;
      playing.value = false;
      player.destroy();
    };
  }, []);

  useEffect(() => picture.player?.follow?.(show.video), [show.video.started_at_ms]);

  useEffect(() => {
    if (state !== "failed") return;
    const timer = setTimeout(onFailed, TRY_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [state]);

  const seen = (word: typeof state): void => {
    setState(word);
    playing.value = word === "playing";
  };
  return (
    <>
      <video
        ref={element}
        class={`stage-video is-${shape} ${state === "playing" ? "is-seen" : ""}`}
        muted={muted.value}
        autoplay
        playsInline
        preload="auto"
        poster={show.video.poster || undefined}
        aria-label={t("video.label", { host: show.host_name })}
        onLoadedMetadata={({ currentTarget: { videoWidth, videoHeight } }) =>
          setShape(videoWidth > videoHeight ? "wide" : "portrait")
        }
        onPlaying={() => seen("playing")}
        onPause={() => (playing.value = false)}
        onWaiting={() => setState("waiting")}
        onError={() => seen("failed")}
      />
      <div class="stage-words">
        {state === "waiting" && (
          <span class="glass-pill stage-waiting" role="status">
            <span class="spinner-inline" aria-hidden="true" /> {t("video.waiting")}
          </span>
        )}
        {state === "failed" && (
          <span class="glass-pill" role="status">
            {t("video.failed")}
          </span>
        )}
        {state === "blocked" && (
          <button type="button" class="glass-pill" onClick={() => void element.current?.play()}>
            <Icon name="play" size={18} /> {t("video.play")}
          </button>
        )}
        {state === "playing" && muted.value && (
          <button type="button" class="glass-pill sound-pill" onClick={toggleSound} aria-label={t("video.tap_for_sound")}>
            <Icon name="muted" size={18} /> <span class="pill-word">{t("video.tap_for_sound")}</span>
          </button>
        )}
        {behind && (
          <button type="button" class="glass-pill" onClick={() => picture.player?.goLive()}>
            <span class="live-dot" aria-hidden="true" /> {t("video.go_live")}
          </button>
        )}
      </div>
    </>
  );
}

export function toggleSound(): void {
  muted.value = !muted.value;
  if (picture.video) {
    picture.video.muted = muted.value;
    if (!muted.value) void picture.video.play().catch(() => (muted.value = true));
  }
}

export function togglePlay(): void {
  const video = picture.video;
  if (!video) return;
  if (video.paused) void video.play().catch(() => undefined);
  else video.pause();
}
