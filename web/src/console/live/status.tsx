/** The bar on top: is it live, since when, who watches, is the line well, and the two-step end. */
import type { JSX } from "preact";
import { count, t } from "../../shared/i18n";
import { clockText, nowMs } from "../../shared/time";
import type { Desk } from "../desk";
import { Status, TwoStep } from "../parts";
import { CameraButton } from "./camera";
import { RecordingButton } from "./recording";

export function StatusBar({ desk, ending, onHelp }: { desk: Desk; ending: number; onHelp: () => void }): JSX.Element {
  const show = desk.room.value.show ?? desk.show.value!.show;
  const status = desk.status.value;
  const running = status === "live" || status === "interrupted";
  return (
    <header class="desk-status">
      <a class="desk-home" href="/console" aria-label={t("console.all_shows")}>
        <img src="/static/mark.svg" alt="" width="22" height="22" />
      </a>
      <Status status={status} />
      {running && show.started_at_ms !== null && (
        <span class="desk-clock tabular" role="timer" aria-label={t("console.on_air_for")}>
          {clockText(Math.max(0, nowMs.value - show.started_at_ms))}
        </span>
      )}
      <h1 class="desk-title">{show.title}</h1>
      <span class="desk-fact tabular">
        <strong>{count(desk.room.value.viewers)}</strong> {t("console.viewers", { count: desk.room.value.viewers })}
      </span>
      {running && <Delay desk={desk} />}
      <Line desk={desk} />
      <button type="button" class="button button-quiet button-small desk-help" onClick={onHelp} aria-keyshortcuts="?">
        <kbd>?</kbd> <span>{t("console.keys")}</span>
      </button>
      {show.video.kind !== "none" && status !== "ended" && <CameraButton show={show} />}
      {show.video.kind === "own" && status === "ended" && <RecordingButton showId={desk.showId} />}
      <a
        class="button button-quiet button-small desk-edit"
        href={`/console/shows/${encodeURIComponent(desk.showId)}?edit`}
      >
        {t("console.edit")}
      </a>
      {running && (
        <TwoStep
          key={ending}
          armed={ending > 0}
          class="button-danger button-small"
          label={t("console.end")}
          sure={t("console.end_sure")}
          onSure={() => void desk.command({ do: "end" })}
        />
      )}
    </header>
  );
}

/** The median of what the viewers' own pages say. */
export function Delay({ desk }: { desk: Desk }): JSX.Element | null {
  const delay = desk.delay.value;
  if (!delay) return null;
  const seconds = Math.max(1, Math.round(delay.median_ms / 1000));
  return <span class="desk-fact desk-delay tabular">{t("console.delay", { seconds })}</span>;
}

function Line({ desk }: { desk: Desk }): JSX.Element {
  const line = desk.line.value;
  const relayUp = desk.room.value.relayUp;
  const tone = line.word === "open" ? (relayUp ? "good" : "warn") : line.word === "closed" ? "bad" : "warn";
  const says =
    line.word === "open"
      ? t(relayUp ? "console.line_open" : "console.line_relay")
      : line.word === "returning"
        ? t("console.line_returning", { seconds: Math.max(0, Math.ceil((line.nextTryAtMs - Date.now()) / 1000)) })
        : line.word === "closed"
          ? line.text || t("console.line_closed")
          : t("console.line_connecting");
  return (
    <span class={`desk-fact line line-${tone}`} role="status">
      <span class="line-dot" aria-hidden="true" />
      <span class="line-says">{says}</span>
    </span>
  );
}
