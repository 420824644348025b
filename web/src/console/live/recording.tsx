/** The recording of a show that is over: how long, how big, until when it stays, and whether it is kept. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, refusalText, t } from "../../shared/i18n";
import { dayAndTime, placeText, timeOfDay } from "../../shared/time";
import { Icon, Sheet } from "../../shared/ui";
import { Complaint } from "../parts";
import { keepRecording, recordingOf, type RecordingFacts } from "../server";

const GIB = 2 ** 30;

const sizeText = (bytes: number): string =>
  bytes < GIB ? `${Math.max(1, Math.round(bytes / 2 ** 20))} MiB` : `${(bytes / GIB).toFixed(1)} GiB`;

const minutes = (ms: number): number => Math.max(1, Math.round(ms / 60_000));

export function RecordingButton({ showId }: { showId: string }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="button button-quiet button-small" onClick={() => setOpen(true)}>
        <Icon name="video" size={18} /> <span>{t("filming.recording")}</span>
      </button>
      <Sheet open={open} title={t("filming.recording")} shape="centre" onClose={() => setOpen(false)}>
        <Recording showId={showId} />
      </Sheet>
    </>
  );
}

function Recording({ showId }: { showId: string }): JSX.Element {
  const [facts, setFacts] = useState<RecordingFacts | null>(null);
  const [complaint, setComplaint] = useState("");
  const failed = (error: unknown): void => setComplaint(error instanceof Refusal ? refusalText(error) : String(error));
  useEffect(() => void recordingOf(showId).then(setFacts, failed), [showId]);
  if (!facts) return complaint ? <Complaint text={complaint} /> : <div class="bone" aria-busy="true" />;
  if (facts.state === "removed") return <p>{t("filming.removed")}</p>;
  if (!facts.bytes) return <p>{t("filming.none")}</p>;
  return (
    <div class="recording">
      <p class="tabular">
        {t("filming.size", { minutes: minutes(facts.length_ms), size: sizeText(facts.bytes) })}
      </p>
      <p class="muted">
        {facts.until_ms === null ? t("filming.for_ever") : t("filming.until", { day: dayAndTime(facts.until_ms, formatLocale()) })}
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={facts.state === "kept"}
          onChange={(event) => void keepRecording(showId, event.currentTarget.checked).then(setFacts, failed)}
        />
        <span>{t("filming.keep")}</span>
      </label>
      <Complaint text={complaint} />
      <Files pieces={facts.pieces} />
      <Clips clips={facts.clips} />
    </div>
  );
}

/** One file where nothing broke, else all of them in their order: a new camera, a turned phone or a restart begins anew. */
function Files({ pieces }: Pick<RecordingFacts, "pieces">): JSX.Element | null {
  const [only] = pieces;
  if (!only) return null;
  if (pieces.length === 1)
    return (
      <a class="button button-soft button-m" href={only.file} download>
        {t("filming.file")}
      </a>
    );
  return (
    <>
      <p class="muted">{t("filming.pieces", { count: pieces.length })}</p>
      <ol class="recording-pieces">
        {pieces.map((piece, place) => (
          <li key={piece.file}>
            <span class="tabular">
              {t("filming.piece", { number: place + 1, time: timeOfDay(piece.begins_at_ms, formatLocale()), length: placeText(piece.length_ms) })}
            </span>
            <a class="button button-soft button-small" href={piece.file} download aria-label={t("filming.file_of_piece", { number: place + 1 })}>
              {t("filming.file")}
            </a>
          </li>
        ))}
      </ol>
    </>
  );
}

/** A file for each card's stretch, ready to be passed on. */
function Clips({ clips }: Pick<RecordingFacts, "clips">): JSX.Element | null {
  if (!clips.length) return null;
  return (
    <section class="recording-clips">
      <h3>{t("filming.clips")}</h3>
      <p class="muted">{t("filming.clips_note")}</p>
      <ol class="recording-pieces">
        {clips.map((clip) => (
          <li key={clip.file}>
            <span>
              <bdi>{clip.title}</bdi>
              <span class="muted tabular">
                {t("filming.clip", { time: timeOfDay(clip.begins_at_ms, formatLocale()), length: placeText(clip.length_ms) })}
              </span>
            </span>
            <a class="button button-soft button-small" href={clip.file} download aria-label={t("filming.file_of_clip", { title: clip.title })}>
              {t("filming.file")}
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}
