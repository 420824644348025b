/**
 * What goes with the picture once she is in the room: captions over it, the way out of the data saver, and the word to
 * the desk how late she sees it.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { standsMs } from "../shared/captions";
import { t } from "../shared/i18n";
import { hasSoundAlone } from "../shared/player";
import type { Caption, ShowFacts } from "../shared/protocol";
import { serverClock } from "../shared/time";
import { Icon } from "../shared/ui";
import { withoutPicture } from "../shared/viewing";
import { choosePicture, wantsCaptions, watchTheLine } from "../shared/wishes";
import { tellDelay } from "./acts";
import { room } from "./room";
import { listening, muted, picture, playing } from "./seen";

const TELL_DELAY_EVERY_MS = 15_000;
/** What came with a snapshot or after a break belongs to a picture that is gone. */
const OLD_MS = 60_000;

export function Seeing({ show }: { show: ShowFacts }) {
  useEffect(tellDelays, []);
  useEffect(watchTheLine, []);
  return (
    <>
      {withoutPicture.value && <Saving show={show} />}
      <Captions />
    </>
  );
}

/** Every 15 s or so, while it plays; a crowd that came in together does not speak together. */
function tellDelays(): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const tell = (): void => {
    if (playing.value && picture.video && !picture.video.paused) tellDelay();
    timer = setTimeout(tell, TELL_DELAY_EVERY_MS * (0.9 + Math.random() / 5));
  };
  timer = setTimeout(tell, TELL_DELAY_EVERY_MS * (0.2 + Math.random() / 3));
  return () => clearTimeout(timer);
}

/** Data saver: the sound, where it can be had without the picture, or the picture after all; nothing before she asks. */
function Saving({ show }: { show: ShowFacts }): ComponentChildren {
  const alone = hasSoundAlone(show.video);
  const listen = (): void => {
    muted.value = false;
    listening.value = true;
  };
  return (
    <div class="stage-saving on-video">
      <span class="glass-pill stage-waiting" role="status">
        {t(!alone || !listening.value ? "video.saving" : playing.value ? "video.sound_only" : "video.waiting_sound")}
      </span>
      {alone && !listening.value && (
        <button type="button" class="glass-pill" onClick={listen}>
          <Icon name="sound" size={18} /> {t("video.listen")}
        </button>
      )}
      <button type="button" class="glass-pill" onClick={() => choosePicture("picture")}>
        <Icon name="play" size={18} /> {t("video.show_picture")}
      </button>
    </div>
  );
}

/** The newest line over the picture, for as long as it takes to read it. */
function Captions(): ComponentChildren {
  const newest = room.value.captions.at(-1);
  const [shown, setShown] = useState<Caption | null>(null);
  const last = useRef(-Infinity);
  useEffect(() => {
    // Where the newest was hidden, the one before it is the newest again: it was read already.
    if (!newest || newest.said_at_ms <= last.current || serverClock.now() - newest.said_at_ms > OLD_MS) {
      setShown(null);
      return;
    }
    last.current = newest.said_at_ms;
    setShown(newest);
    const timer = setTimeout(() => setShown(null), standsMs(newest.text));
    return () => clearTimeout(timer);
  }, [newest?.caption_id]);
  // Without a picture there is no sound either: then what is written is all there is.
  if (!shown || !wantsCaptions(muted.value || !playing.value)) return null;
  return (
    <p class="captions" dir="auto">
      <span>{shown.text}</span>
    </p>
  );
}
