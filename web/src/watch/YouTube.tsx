/** A picture from YouTube: nothing of it is fetched before she agrees, once for this browser. */
import { useEffect, useState } from "preact/hooks";
import { t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { programmeMs } from "../shared/programme";
import { serverClock } from "../shared/time";
import { Icon } from "../shared/ui";
import { YouTubeFrame } from "../shared/youtube";

const AGREED = "lc.youtube";

function agreedBefore(): boolean {
  try {
    return localStorage.getItem(AGREED) === "yes";
  } catch {
    return false;
  }
}

interface Props {
  show: ShowFacts;
  muted: boolean;
  toggleSound: () => void;
  /** Her picture's clock while it is there, null once it is not. */
  onClock: (clock: (() => number | null) | null) => void;
}

export function YouTubePicture({ show, muted, toggleSound, onClock }: Props) {
  const [agreed, setAgreed] = useState(agreedBefore());
  const agree = (): void => {
    try {
      localStorage.setItem(AGREED, "yes");
    } catch {
      // then she is asked again the next time
    }
    setAgreed(true);
  };
  useEffect(() => {
    if (!agreed) return;
    onClock(() => programmeMs(show.video, { programmeMs: () => null }, serverClock.now()));
    return () => onClock(null);
  }, [agreed, show.video.clock, show.video.delay_ms]);
  if (!agreed)
    return (
      <div class="stage-words">
        <div class="ask-first">
          <p>{t("video.youtube_asks")}</p>
          <button type="button" class="button button-primary" onClick={agree}>
            <Icon name="play" size={18} /> {t("video.youtube_load")}
          </button>
        </div>
      </div>
    );
  return (
    <>
      <YouTubeFrame
        class="stage-video stage-frame is-wide is-seen"
        video={show.video}
        title={t("video.label", { host: show.host_name })}
        muted={muted}
      />
      {muted && (
        <div class="stage-words">
          <button type="button" class="glass-pill sound-pill" onClick={toggleSound} aria-label={t("video.tap_for_sound")}>
            <Icon name="muted" size={18} /> <span class="pill-word">{t("video.tap_for_sound")}</span>
          </button>
        </div>
      )}
    </>
  );
}
