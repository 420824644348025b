/** Who is on, how many watch, in which language; and the way out. */
import { useState } from "preact/hooks";
import { changeLocale, count, locale, LOCALES, t, type Locale } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Avatar, Icon, IconButton, Sheet } from "../shared/ui";
import { awaySinceMs, room } from "./room";

const NAMES: Record<Locale, string> = { en: "English", fr: "Français", "zh-Hans": "简体中文" };

export function Header({ show, onShare }: { show: ShowFacts; onShare: () => void }) {
  const [choosing, setChoosing] = useState(false);
  const live = show.status === "live" || show.status === "interrupted";
  return (
    <header class="watch-head on-video">
      <div class="watch-host">
        <Avatar name={show.host_name} size={38} />
        <div class="watch-host-words">
          <strong dir="auto">{show.host_name}</strong>
          <h1 dir="auto">{show.title}</h1>
        </div>
      </div>
      <div class="watch-figures">
        {live && <span class="tag tag-live">{t("live")}</span>}
        {live && (
          <span class="watch-viewers tabular">
            <Icon name="eye" size={15} />
            <span aria-hidden="true">{count(room.value.viewers)}</span>
            <span class="sr-only">{t("viewers", { count: room.value.viewers })}</span>
          </span>
        )}
      </div>
      <div class="watch-tools">
        <IconButton icon="share" label={t("share")} onClick={onShare} class="only-desk" />
        <IconButton icon="globe" label={t("language")} onClick={() => setChoosing(true)} />
        <IconButton icon="close" label={t("leave")} onClick={leave} />
      </div>
      <Sheet open={choosing} title={t("language")} onClose={() => setChoosing(false)} shape="centre">
        <div class="choices" role="radiogroup" aria-label={t("language")}>
          {LOCALES.map((one) => (
            <button
              key={one}
              type="button"
              role="radio"
              aria-checked={locale.value === one}
              class="choice"
              lang={one}
              onClick={() => void changeLocale(one).then(() => setChoosing(false))}
            >
              {NAMES[one]}
              {locale.value === one && <Icon name="check" size={18} />}
            </button>
          ))}
        </div>
      </Sheet>
    </header>
  );
}

function leave(): void {
  location.assign("/");
}

/** Says that the line is away, until it is welcomed again, and that what matters goes on. */
export function LineBanner() {
  const away = awaySinceMs.value !== null;
  const counting = room.value.counting;
  if (!away && !counting && room.value.relayUp) return null;
  return (
    <div class="line-banner" role="status">
      <Icon name={away ? "wifiOff" : "refresh"} size={17} />
      <span>{away ? t("line.returning") : counting ? t("line.counting") : t("line.relay_down")}</span>
    </div>
  );
}
