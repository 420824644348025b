/** The show when there is no show: the countdown before it; after it thanks, her orders, and who got what. */
import { useState } from "preact/hooks";
import { formatLocale, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { dayAndTime } from "../shared/time";
import { Button, Icon, Sheet, useNowMs } from "../shared/ui";
import { share } from "./Slates";
import { TicketLists } from "./Tickets";

export function OffAir({ show, onBag }: { show: ShowFacts; onBag: () => void }) {
  const over = show.status === "ended" || show.status === "cancelled";
  return over ? <After show={show} onBag={onBag} /> : <Before show={show} />;
}

function Before({ show }: { show: ShowFacts }) {
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

function After({ show, onBag }: { show: ShowFacts; onBag: () => void }) {
  const [checking, setChecking] = useState(false);
  const cancelled = show.status === "cancelled";
  return (
    <>
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
          {!cancelled && (
            <a class="glass-pill" href={`/replay/${encodeURIComponent(show.show_id)}`}>
              <Icon name="play" size={18} /> {t("after.replay")}
            </a>
          )}
          <a class="glass-pill" href="/">
            <Icon name="shop" size={18} /> {t("after.shop")}
          </a>
          {!cancelled && (
            <button type="button" class="glass-pill" onClick={() => setChecking(true)}>
              <Icon name="check" size={18} /> {t("after.check")}
            </button>
          )}
        </div>
      </div>
      <Sheet open={checking} title={t("after.check")} onClose={() => setChecking(false)}>
        <TicketLists showId={show.show_id} />
      </Sheet>
    </>
  );
}
