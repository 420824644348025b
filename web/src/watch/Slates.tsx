/** The show when there is no show: before it, after it, and the doors that stay closed. */
import { useState } from "preact/hooks";
import { formatLocale, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { dayAndTime } from "../shared/time";
import { Button, EmptyState, Icon, toast, useNowMs, type IconName } from "../shared/ui";

/** Share the show: the phone's own way, else the address on the clipboard. */
export async function share(show: ShowFacts): Promise<void> {
  const url = location.origin + location.pathname;
  try {
    if (navigator.share) await navigator.share({ title: show.title, text: show.about || show.title, url });
    else {
      await navigator.clipboard.writeText(url);
      toast(t("share.copied"), "good");
    }
  } catch {
    // she closed the phone's dialog, or the browser keeps the clipboard shut: nothing to undo
  }
}

export function Before({ show }: { show: ShowFacts }) {
  const startMs = show.scheduled_at_ms;
  return (
    <div class="before on-video">
      <span class="before-corner">{t(`corner.${show.corner}`)}</span>
      <h2 class="before-title" dir="auto">
        {show.title}
      </h2>
      <p class="before-host" dir="auto">
        {t("entry.with", { host: show.host_name })}
      </p>
      {startMs !== null ? (
        <>
          <BigCountdown toMs={startMs} />
          <p class="before-when">{dayAndTime(startMs, formatLocale())}</p>
        </>
      ) : (
        <p class="before-when">{t("before.soon")}</p>
      )}
      <div class="before-acts">
        {startMs !== null && (
          <a class="button button-primary button-m" href={`/api/shows/${encodeURIComponent(show.show_id)}.ics`} download>
            <Icon name="calendar" size={20} /> {t("before.remind")}
          </a>
        )}
        <button type="button" class="glass-pill" onClick={() => void share(show)}>
          <Icon name="share" size={18} /> {t("share")}
        </button>
      </div>
    </div>
  );
}

const PARTS = [
  ["days", 86_400],
  ["hours", 3600],
  ["minutes", 60],
  ["seconds", 1],
] as const;

function BigCountdown({ toMs }: { toMs: number }) {
  const left = Math.max(0, Math.ceil((toMs - useNowMs()) / 1000));
  if (left === 0) return <p class="before-now">{t("before.now")}</p>;
  let rest = left;
  const parts = PARTS.map(([name, size]) => {
    const value = Math.floor(rest / size);
    rest -= value * size;
    return { name, value };
  });
  const shown = parts[0]?.value ? parts.slice(0, 3) : parts.slice(1);
  return (
    <div class="before-clock tabular" role="timer" aria-live="off">
      {shown.map(({ name, value }) => (
        <span key={name}>
          <b class="display">{String(value).padStart(2, "0")}</b>
          <small>{t(`before.${name}`)}</small>
        </span>
      ))}
    </div>
  );
}

export function After({ show, onBag }: { show: ShowFacts; onBag: () => void }) {
  const cancelled = show.status === "cancelled";
  return (
    <div class="before on-video">
      <span class="before-corner">{t(`corner.${show.corner}`)}</span>
      <h2 class="before-title">{cancelled ? t("after.cancelled") : t("after.title")}</h2>
      <p class="before-host" dir="auto">
        {cancelled ? t("after.cancelled_text") : t("after.text", { host: show.host_name })}
      </p>
      <div class="before-acts">
        <Button icon="bag" onClick={onBag}>
          {t("after.orders")}
        </Button>
        <a class="glass-pill" href="/">
          <Icon name="shop" size={18} /> {t("after.shop")}
        </a>
      </div>
    </div>
  );
}

export type DoorWord = "not_invited" | "places_taken" | "members" | "banned" | "not_found" | "offline" | "elsewhere" | "code" | "failed";

const DOOR_ICONS: Record<DoorWord, IconName> = {
  not_invited: "lock",
  places_taken: "users",
  members: "lock",
  banned: "alert",
  not_found: "search",
  offline: "wifiOff",
  elsewhere: "refresh",
  code: "link",
  failed: "alert",
};

export function ClosedDoor({ word, text }: { word: DoorWord; text?: string }) {
  const [again, setAgain] = useState(false);
  const mayRetry = word === "offline" || word === "elsewhere" || word === "failed";
  return (
    <section class="closed-door" role="alert">
      <EmptyState icon={DOOR_ICONS[word]} title={t(`door.${word}`)}>
        <p>{text || t(`door.${word}_text`)}</p>
        {mayRetry ? (
          <Button
            busy={again}
            onClick={() => {
              setAgain(true);
              location.reload();
            }}
          >
            {t("door.again")}
          </Button>
        ) : (
          <a class="button button-soft button-m" href="/">
            {t("door.shop")}
          </a>
        )}
      </EmptyState>
    </section>
  );
}
