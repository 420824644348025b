/** Captions at the desk: written line by line while the host speaks, or files for the recording afterwards. */
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Refusal } from "../../shared/api";
import { formatLocale, locale, LOCALES, refusalText, t } from "../../shared/i18n";
import { serverClock, timeOfDay } from "../../shared/time";
import { EmptyState, IconButton } from "../../shared/ui";
import type { Desk } from "../desk";
import { captionsAt, captionsOf, dropCaptions, putCaptions, type CaptionTrack } from "../server";

/** Between a word that is heard and the first key. */
const REACTION_MS = 700;
/** Older than a minute is taken by nobody. */
const LATE_MS_MAX = 55_000;
const LETTERS_MAX = 200;

/** One line at a time: it belongs to the moment at which its writer began to type. */
export function CaptionDesk({ desk }: { desk: Desk }): JSX.Element {
  const text = useSignal("");
  const byPicture = useSignal(false);
  const began = useRef(0);
  const list = useRef<HTMLUListElement>(null);
  const captions = desk.room.value.captions;
  const running = desk.status.value === "live" || desk.status.value === "interrupted";
  useLayoutEffect(() => {
    if (list.current) list.current.scrollTop = list.current.scrollHeight;
  }, [captions]);
  const typed = (words: string): void => {
    if (!text.value) began.current = momentOf(desk, byPicture.value);
    text.value = words;
  };
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    const words = text.value.trim();
    if (!words) return;
    text.value = "";
    const saidAtMs = Math.round(Math.max(began.current, serverClock.now() - LATE_MS_MAX));
    const done = await desk.command({ do: "caption", text: words, said_at_ms: saidAtMs });
    if (!done && !text.value) text.value = words;
  };
  return (
    <>
      <label class="caption-source">
        {t("caption.hear")}
        <select class="input" value={byPicture.value ? "picture" : "room"} onChange={(event) => (byPicture.value = event.currentTarget.value === "picture")}>
          <option value="room">{t("caption.hear_room")}</option>
          <option value="picture">{t("caption.hear_picture")}</option>
        </select>
      </label>
      {captions.length === 0 ? (
        <EmptyState icon="chat" title={t("caption.empty")}>
          <p>{t("caption.empty_text")}</p>
        </EmptyState>
      ) : (
        <ul class="lines" ref={list} tabIndex={0} aria-label={t("caption.tab")}>
          {captions.map((caption) => (
            <li key={caption.caption_id} class="caption-line">
              <time class="tabular">{timeOfDay(caption.said_at_ms, formatLocale())}</time>
              <span dir="auto">{caption.text}</span>
              <IconButton
                icon="trash"
                label={t("caption.hide")}
                onClick={() => void desk.command({ do: "hide_caption", caption_id: caption.caption_id })}
              />
            </li>
          ))}
        </ul>
      )}
      <form class="say" onSubmit={(event) => void send(event)}>
        <label class="sr-only" for="say-caption">
          {t("caption.write")}
        </label>
        <input
          id="say-caption"
          class="input"
          maxLength={LETTERS_MAX}
          autocomplete="off"
          disabled={!running}
          placeholder={t(running ? "caption.write" : "caption.not_live")}
          value={text.value}
          onInput={(event) => typed(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        />
        <IconButton icon="send" label={t("console.send")} type="submit" disabled={!running} />
      </form>
    </>
  );
}

/** When what the writer hears now was said: in the host's room just now; by the picture, when that was filmed. */
function momentOf(desk: Desk, byPicture: boolean): number {
  const now = serverClock.now();
  if (!byPicture) return now - REACTION_MS;
  return (desk.pictureMs() ?? now - (desk.delay.value?.median_ms ?? 0)) - REACTION_MS;
}

// --- files for the recording ----------------------------------------------------------------------------------------

const LANGUAGES = [...LOCALES, "zh-Hant", "ar", "de", "es", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "vi"];

/** What the recording has, and a place for another file. Nothing where nothing was filmed. */
export function CaptionFiles({ showId }: { showId: string }): JSX.Element | null {
  const tracks = useSignal<readonly CaptionTrack[] | null>(null);
  const language = useSignal<string>(locale.value);
  const said = useSignal<{ bad: boolean; words: string } | null>(null);
  const load = async (): Promise<void> => {
    const came = await captionsOf(showId).catch(() => null);
    if (came?.recorded) tracks.value = came.tracks;
  };
  useEffect(() => void load(), [showId]);
  if (!tracks.value) return null;
  const change = async (work: () => Promise<string>): Promise<void> => {
    try {
      said.value = { bad: false, words: await work() };
      await load();
    } catch (error) {
      said.value = { bad: true, words: error instanceof Refusal ? refusalText(error) : String(error) };
    }
  };
  const upload = (input: HTMLInputElement): void => {
    const file = input.files?.[0];
    if (!file) return;
    void change(async () => {
      const kept = new Blob([await file.arrayBuffer()], { type: "text/vtt" }); // read first: it may go with the choice
      input.value = ""; // so that the same file, mended, can be chosen again
      return t("caption.kept", { count: (await putCaptions(showId, language.value, kept)).lines });
    });
  };
  return (
    <section class="caption-files" aria-labelledby="caption-files">
      <h3 id="caption-files">{t("caption.files")}</h3>
      <p class="muted">{t("caption.files_are")}</p>
      <ul>
        {tracks.value.map((track) => (
          <li key={track.language}>
            <span>{nameOf(track.language)}</span>
            <span class="muted tabular">{t("caption.lines", { count: track.lines })}</span>
            <a href={captionsAt(showId, track.language)} download={`${showId}.${track.language}.vtt`}>
              {t("caption.download")}
            </a>
            {track.language !== "live" && (
              <IconButton
                icon="trash"
                label={t("caption.remove", { language: nameOf(track.language) })}
                onClick={() => void change(async () => (await dropCaptions(showId, track.language), ""))}
              />
            )}
          </li>
        ))}
      </ul>
      <div class="row">
        <label class="sr-only" for="caption-language">
          {t("language")}
        </label>
        <select id="caption-language" class="input" value={language.value} onChange={(event) => (language.value = event.currentTarget.value)}>
          {LANGUAGES.map((one) => (
            <option key={one} value={one}>
              {nameOf(one)}
            </option>
          ))}
        </select>
        <label class="button button-quiet caption-upload">
          {t("caption.upload")}
          <input class="sr-only" type="file" accept=".vtt,text/vtt" onChange={(event) => upload(event.currentTarget)} />
        </label>
      </div>
      <p class={said.value?.bad ? "caption-bad" : "muted"} role={said.value?.bad ? "alert" : "status"}>
        {said.value?.words}
      </p>
    </section>
  );
}

function nameOf(language: string): string {
  return language === "live" ? t("caption.live") : (new Intl.DisplayNames([locale.value], { type: "language" }).of(language) ?? language);
}
