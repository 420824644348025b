/** Who is on, how many watch, in which language; and the way out. */
import { count, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Avatar, Icon, IconButton } from "../shared/ui";
import { awaySinceMs, room } from "./room";

interface Acts {
  onShare: () => void;
  onViewing: () => void;
  onLanguage: () => void;
}

export function Header({ show, onShare, onViewing, onLanguage }: { show: ShowFacts } & Acts) {
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
        {live && <IconButton icon="tune" label={t("viewing.title")} onClick={onViewing} />}
        <IconButton icon="globe" label={t("language")} onClick={onLanguage} />
        <IconButton icon="close" label={t("leave")} onClick={leave} />
      </div>
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
