/** What stands over the picture while the show is interrupted: the poster, and kind words. The host's own, where she has some. */
import { t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Icon } from "../shared/ui";
import { room } from "./room";

export function Slate({ show }: { show: ShowFacts }) {
  const camera = show.interruption?.by === "camera";
  const poster = show.video.poster;
  return (
    <div class="slate" role="status" style={poster ? { "--poster": `url("${encodeURI(poster)}")` } : undefined}>
      <span class="slate-mark" aria-hidden="true">
        <Icon name={camera ? "video" : "pause"} size={26} />
      </span>
      <h2>{t(camera ? "slate.camera_title" : "slate.title")}</h2>
      <p dir="auto">{room.value.note || t(camera ? "slate.camera_text" : "slate.text")}</p>
    </div>
  );
}
