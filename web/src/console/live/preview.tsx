/**
 * What viewers see, small: the picture with the card on it. The sound is off; nothing here commands anything.
 */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { formatLocale, t } from "../../shared/i18n";
import { money, percentOff } from "../../shared/money";
import type { VideoFacts } from "../../shared/protocol";
import { Picture } from "../../shared/ui";
import { YouTubeFrame } from "../../shared/youtube";
import type { Desk } from "../desk";
import { useMoved } from "../../shared/moved";
import { hasPicture, mount } from "../../shared/player";
import { currency } from "../server";

export function Preview({ desk }: { desk: Desk }): JSX.Element {
  const show = desk.room.value.show ?? desk.show.value!.show;
  const interrupted = desk.status.value === "interrupted";
  const pinned = desk.room.value.pinned.at(-1);
  return (
    <figure class="preview">
      <figcaption>{t("console.preview")}</figcaption>
      <div class="preview-screen on-video">
        <Moving video={show.video} desk={desk} />
        {interrupted && (
          <div class="preview-slate">
            <p class="display">{desk.room.value.note || t("console.back_soon")}</p>
          </div>
        )}
        {pinned && (
          <p class="preview-pinned" dir="auto">
            {pinned.text}
          </p>
        )}
        <OnAir desk={desk} />
      </div>
    </figure>
  );
}

/** Before the show: what a camera or an encoder sends already. Of a picture of ours it is seen by staff alone. */
export function PictureBefore({ desk }: { desk: Desk }): JSX.Element | null {
  const { video } = desk.show.value!.show;
  const [seen, setSeen] = useState(false);
  // A film and a clip begin with the show; YouTube's own player shows itself.
  if ((video.kind !== "own" && video.kind !== "hls") || video.source === "film") return null;
  return (
    <figure class="preview preview-before" onPlayingCapture={() => setSeen(true)}>
      <figcaption>{t(video.kind === "own" ? "console.preview_before" : "source.picture")}</figcaption>
      <div class="preview-screen on-video">
        <Moving video={video} desk={desk} />
        {!seen && <p class="preview-moving preview-none">{t("console.preview_waits")}</p>}
      </div>
    </figure>
  );
}

function OnAir({ desk }: { desk: Desk }): JSX.Element | null {
  const card = desk.now.value;
  if (!card) return null;
  const deal = card.deals.find((one) => one.status === "open") ?? card.deals[0];
  const price = card.bundle_minor ?? deal?.price_minor ?? null;
  const left = card.deals.reduce((sum, one) => sum + desk.numbers(one).available, 0);
  const off = deal ? percentOff(deal.price_minor, deal.was_minor) : 0;
  return (
    <div class="preview-card">
      <Picture src={card.image} name={card.title} class="picture-s" />
      <div>
        <p class="preview-title">{card.title}</p>
        {price !== null && (
          <p class="tabular">
            <strong>{money(price, currency.value, formatLocale())}</strong>
            {off > 0 && <span class="preview-off"> −{off}%</span>}
          </p>
        )}
        {card.deals.length > 0 && (
          <p class={`preview-left tabular ${left === 0 ? "none" : ""}`}>{left > 0 ? t("console.left", { count: left }) : t("console.sold_out")}</p>
        )}
      </div>
    </div>
  );
}

/** The picture with its sound off; the player keeps it in time with everyone's. */
function Moving({ video, desk }: { video: VideoFacts; desk: Desk }): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  const moves = hasPicture(video);
  const moved = useMoved(video.url);
  useEffect(() => {
    if (!moves || !element.current) return; // YouTube's own player has no element of ours
    const player = mount(element.current, video, desk.showId);
    desk.pictureMs = () => player.programmeMs();
    return () => {
      desk.pictureMs = () => null;
      player.destroy();
    };
  }, [moves, video.kind, video.url, video.source, video.started_at_ms]);
  if (moved)
    return (
      <div class="preview-moving preview-none">
        <button type="button" class="button button-quiet button-small" onClick={() => location.reload()}>
          {t("source.moved")}
        </button>
      </div>
    );
  if (video.kind === "youtube") return <YouTubeFrame class="preview-moving" video={video} title={t("console.preview")} muted />;
  if (moves)
    return (
      <video
        class="preview-moving"
        ref={element}
        muted
        autoplay
        playsInline
        poster={video.poster || undefined}
        aria-label={t("console.preview")}
      />
    );
  return video.poster ? (
    <img class="preview-moving" src={video.poster} alt="" />
  ) : (
    <div class="preview-moving preview-none">{t("console.no_picture")}</div>
  );
}
