/** The film of a show: choose one, see it go up, start it. What it is worth as a picture the server says. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refusal } from "../shared/api";
import { formatLocale, refusalText, t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { clockText } from "../shared/time";
import { Button, toast } from "../shared/ui";
import { Complaint, TwoStep } from "./parts";
import { changeShow, filmOf, removeFilm, uploadFilm, type FilmFacts } from "./server";
import type { Upload } from "./upload";

const LOOK_EVERY_MS = 3000;

export function FilmPanel({ show, megabytesMax }: { show: ShowFacts; megabytesMax: number }): JSX.Element {
  const [film, setFilm] = useState<FilmFacts | null | undefined>(undefined);
  const [complaint, setComplaint] = useState("");
  const [share, setShare] = useState<number | null>(null);
  const going = useRef<Upload<FilmFacts> | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const load = (): Promise<void> =>
    filmOf(show.show_id).then(setFilm, (error: unknown) => {
      if (error instanceof Refusal && error.number === 103) setFilm(null);
      else setComplaint(said(error));
    });
  useEffect(() => {
    void load();
    const timer = setInterval(() => void load(), LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [show.show_id]);
  useEffect(() => () => going.current?.stop(), []);

  const send = async (file: File): Promise<void> => {
    if (file.size > megabytesMax * 1_000_000) return setComplaint(t("source.film_too_large", { most: megabytesMax }));
    setComplaint("");
    setShare(0);
    try {
      await load(); // a pass that ran out is renewed before the long way, not after it
      going.current = uploadFilm(show.show_id, file, setShare);
      setFilm(await going.current.done);
      toast(t("source.film_there"), "good");
    } catch (error) {
      if (!(error instanceof Refusal && error.word === "stopped")) setComplaint(said(error));
    } finally {
      going.current = null;
      setShare(null);
    }
  };
  const start = async (): Promise<void> => {
    try {
      await changeShow(show.show_id, { video: { ...wishOf(show.video), restart: true } });
      toast(t("source.film_starts"), "good");
    } catch (error) {
      setComplaint(said(error));
    }
  };
  const remove = (): void =>
    void removeFilm(show.show_id).then(
      () => setFilm(null),
      (error: unknown) => setComplaint(said(error)),
    );

  const onAir = show.status === "live" || show.status === "interrupted";
  const began = show.video.started_at_ms !== null;
  return (
    <div class="film">
      <input
        ref={picker}
        class="sr-only"
        type="file"
        tabIndex={-1}
        accept="video/mp4,video/quicktime,video/webm,video/x-matroska,.mkv,.mov,.mp4,.webm"
        aria-label={t("source.film_choose")}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = ""; // the same file may be chosen again
          if (file) void send(file);
        }}
      />
      {film === undefined && <div class="bone film-bone" aria-busy="true" />}
      {film === null && share === null && <p class="muted">{t("source.film_none", { most: megabytesMax })}</p>}
      {film && (
        <p class="film-facts">
          <strong>{film.name || t("source.film")}</strong>
          <span class="muted tabular">
            {clockText(film.duration_ms)} · {film.width}×{film.height} · {megabytes(film.bytes)}
          </span>
        </p>
      )}
      {film?.made_anew && <p class="notice">{t("source.film_made_anew")}</p>}
      {film && !film.sound && <p class="notice">{t("source.film_silent")}</p>}
      {film?.trouble && (
        <p class="complaint" role="alert">
          {t("source.film_trouble", { said: film.trouble })}
        </p>
      )}
      <Complaint text={complaint} />
      {share !== null && (
        <div class="film-going" role="status">
          <progress max={1} value={share} aria-label={t("source.film_going")} />
          <span class="tabular">{share < 1 ? `${Math.floor(share * 100)} %` : t("source.film_looked_at")}</span>
          <Button kind="quiet" onClick={() => going.current?.stop()}>
            {t("source.film_stop")}
          </Button>
        </div>
      )}
      {share === null && film !== undefined && (
        <div class="row">
          <Button kind={film ? "quiet" : "primary"} onClick={() => picker.current?.click()}>
            {t(film ? "source.film_other" : "source.film_choose")}
          </Button>
          {film && onAir && show.video.source === "film" && (
            <TwoStep
              class={began ? "button-quiet" : "button-primary"}
              label={t(began ? "source.film_again" : "source.film_start")}
              sure={t(began ? "source.film_again_sure" : "source.film_start_sure")}
              onSure={() => void start()}
            />
          )}
          {film && <TwoStep label={t("source.film_remove")} sure={t("source.film_remove_sure")} onSure={remove} />}
        </div>
      )}
    </div>
  );
}

/** What the server is handed to keep a picture as it is. */
export function wishOf(video: ShowFacts["video"]): Omit<ShowFacts["video"], "started_at_ms"> {
  const { started_at_ms: _began, ...wish } = video;
  return wish;
}

const said = (error: unknown): string => (error instanceof Refusal ? refusalText(error) : String(error));

const megabytes = (bytes: number): string =>
  new Intl.NumberFormat(formatLocale(), { style: "unit", unit: "megabyte", maximumFractionDigits: 1 }).format(bytes / 1e6);
