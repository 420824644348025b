/** The picture, or its sound alone, and what stands on it when it is not there: poster, waiting, slate, "tap for sound", "go to live". */
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Icon } from "../shared/ui";
import { useMoved } from "../shared/moved";
import { hasPicture, hasSoundAlone, mount } from "../shared/player";
import { withoutPicture } from "../shared/viewing";
import { Slate, YouTubePicture } from "./later";
import { setPictureClock } from "./room";
import { listening, muted, picture, playing } from "./seen";

const BEHIND_SECONDS_MAX = 12;
const TRY_AGAIN_MS = 8000;

export function Stage({ show }: { show: ShowFacts }) {
  const { video } = show;
  const onAir = show.status === "live" || show.status === "interrupted";
  const [tries, setTries] = useState(0);
  const usable = onAir && hasPicture(video);
  const saving = withoutPicture.value;
  const moved = useMoved(video.url);
  const framed = video.kind === "youtube";
  return (
    <div class={`stage on-video ${saving ? "is-saving" : ""}`} data-corner={show.corner}>
      <div class="stage-ground" style={posterOf(video.poster)} />
      {usable && saving && <div class="stage-poster" style={posterOf(video.poster)} />}
      {usable && !saving && framed && (
        <YouTubePicture key={video.url} show={show} muted={muted.value} toggleSound={toggleSound} onClock={elsewhereClock} />
      )}
      {moved && (
        <div class="stage-words">
          <button type="button" class="glass-pill" onClick={() => location.reload()}>
            <Icon name="video" size={18} /> {t("video.moved")}
          </button>
        </div>
      )}
      {usable && !moved && !framed && (!saving || (listening.value && hasSoundAlone(video))) && (
        <Picture show={show} sound={saving} key={`${saving} ${video.kind} ${video.url} ${tries}`} onFailed={() => setTries(tries + 1)} />
      )}
      {show.status === "interrupted" && <Slate show={show} />}
      <div class="stage-scrim" />
    </div>
  );
}

/** The clock of a picture that somebody else's player shows; null once it is gone. */
function elsewhereClock(clock: (() => number | null) | null): void {
  playing.value = clock !== null;
  setPictureClock(clock ?? (() => null));
}

const posterOf = (poster: string) => (poster ? { backgroundImage: `url("${encodeURI(poster)}")` } : undefined);

function Picture({ show, sound, onFailed }: { show: ShowFacts; sound: boolean; onFailed: () => void }) {
  const element = useRef<HTMLVideoElement>(null);
  const [shape, setShape] = useState<"portrait" | "wide">("portrait");
  const [state, setState] = useState<"waiting" | "playing" | "blocked" | "failed">("waiting");
  const [behind, setBehind] = useState(false);

  useEffect(() => {
    const video = element.current;
    if (!video) return;
    const player = mount(video, show.video, show.show_id, sound);
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

  /** Also in mid-play: a phone that is turned sends a picture of another shape to the same player. */
  const shaped = ({ currentTarget: { videoWidth, videoHeight } }: { currentTarget: HTMLVideoElement }): void =>
    setShape(videoWidth > videoHeight ? "wide" : "portrait");
  const seen = (word: typeof state): void => {
    setState(word);
    playing.value = word === "playing";
  };
  return (
    <>
      <video
        ref={element}
        class={`stage-video is-${shape} ${state === "playing" ? "is-seen" : ""} ${sound ? "is-sound" : ""}`}
        muted={muted.value}
        autoplay
        playsInline
        preload="auto"
        poster={show.video.poster || undefined}
        aria-label={t("video.label", { host: show.host_name })}
        onLoadedMetadata={shaped}
        onResize={shaped}
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
  listening.value ||= !muted.value;
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
