/** Where the picture comes from: the choice, and what each choice asks for. It does not save by itself. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t } from "../../shared/i18n";
import type { ShowFacts } from "../../shared/protocol";
import { FilmPanel } from "../film";
import { Field } from "../parts";
import { videoSources, type ShowDraft, type Sources } from "../server";

const KNOWN = ["own", "film", "url", "youtube", "mediamtx", "none"];
const DELAY_SECONDS_MAX = 30;

/** What the fields hold. `from`: a source's name, "url" for an address of HLS or of a clip, "none". */
export interface PictureDraft {
  from: string;
  url: string;
  seconds: string;
  loop: boolean;
  byHand: boolean;
}

export function pictureOf(video: ShowFacts["video"] | undefined): PictureDraft {
  const source = video ? video.source || video.kind : "own";
  return {
    from: source === "hls" || source === "file" ? "url" : source,
    url: video && video.kind !== "own" && !video.signed ? video.url : "",
    seconds: video?.delay_ms ? String(video.delay_ms / 1000) : "",
    loop: video?.loop ?? false,
    byHand: video?.by_hand ?? false,
  };
}

/** What is handed to the server. */
export function videoOf(picture: PictureDraft, before: ShowFacts["video"] | undefined): ShowDraft["video"] {
  const asks = picture.from === "url" || picture.from === "youtube" || !KNOWN.includes(picture.from);
  const url = asks ? addressOf(picture.url, picture.from) : "";
  const kind = picture.from === "url" ? kindOf(url) : "none";
  return {
    kind,
    source: picture.from === "none" ? "" : picture.from === "url" ? (kind === "none" ? "" : kind) : picture.from,
    url,
    // The other containers of a clip belong to its address: with a new address they are gone.
    alternates: picture.from === "url" && url === before?.url ? before.alternates : [],
    poster: before?.poster ?? "",
    loop: picture.loop,
    by_hand: picture.byHand,
    delay_ms: asks || picture.from === "mediamtx" ? Math.round(secondsOf(picture.seconds) * 1000) : 0,
  };
}

/** What is wrong with the fields, as a key of words; "" where nothing is. */
export function wrongWith(picture: PictureDraft): string {
  const seconds = secondsOf(picture.seconds);
  if (Number.isNaN(seconds) || seconds < 0 || seconds > DELAY_SECONDS_MAX) return "source.wrong_delay";
  if ((picture.from === "url" || picture.from === "youtube") && !picture.url.trim()) return "source.address_missing";
  return "";
}

/** A playlist is a stream; anything else with an address is a file. */
export function kindOf(url: string): "none" | "hls" | "file" {
  const path = url.trim().split(/[?#]/)[0]!.toLowerCase();
  if (!path) return "none";
  return path.endsWith(".m3u8") ? "hls" : "file";
}

/** People leave out what they do not say aloud. */
function addressOf(typed: string, from: string): string {
  const text = typed.trim();
  if (from === "youtube" && /^[\w-]{11}$/.test(text)) return `https://youtu.be/${text}`;
  return !text || text.startsWith("/") || /^[a-z][a-z0-9+.-]*:/i.test(text) ? text : `https://${text}`;
}

const secondsOf = (text: string): number => (text.trim() ? Number(text.trim().replace(",", ".")) : 0);

interface Props {
  show: ShowFacts | undefined;
  picture: PictureDraft;
  onChange: (picture: PictureDraft) => void;
}

export function PictureFields({ show, picture, onChange }: Props): JSX.Element {
  const [sources, setSources] = useState<Sources | null>(null);
  useEffect(() => void videoSources().then(setSources, () => undefined), []);
  const names = sources?.sources.map((one) => one.name) ?? ["own", "film", "youtube"];
  const choices = ["own", "film", "url", "youtube", ...names.filter((name) => !["own", "film", "hls", "file", "youtube"].includes(name)), "none"];
  const set = (change: Partial<PictureDraft>): void => onChange({ ...picture, ...change });
  const known = KNOWN.includes(picture.from);
  const here = picture.from === "own" || picture.from === "film";
  const asks = picture.from === "url" || picture.from === "youtube" || (!known && sources?.sources.find((one) => one.name === picture.from)?.asks === "address");
  return (
    <>
      <fieldset class="choice-row">
        <legend class="labelled-name">{t("console.video")}</legend>
        {choices.map((one) => (
          <label key={one} class={`chip ${picture.from === one ? "chosen" : ""}`}>
            <input type="radio" name="picture" class="sr-only" checked={picture.from === one} onChange={() => set({ from: one, url: "" })} />
            {KNOWN.includes(one) ? t(`source.${one}`) : one}
          </label>
        ))}
        <p class="labelled-help">{known ? t(`source.${picture.from}_is`) : t("source.added_is")}</p>
      </fieldset>
      {here && sources && !sources.films && <p class="notice">{t("console.cam_no_ffmpeg")}</p>}
      {asks && (
        <Field label={t(picture.from === "youtube" ? "source.youtube_link" : "source.address")} help={t(picture.from === "youtube" ? "source.youtube_help" : "source.url_help")}>
          <input
            class="input"
            id="show-picture"
            inputMode="url"
            autocomplete="off"
            value={picture.url}
            placeholder={picture.from === "youtube" ? "https://youtu.be/…" : "https://…/live.m3u8"}
            onInput={(event) => set({ url: event.currentTarget.value })}
          />
        </Field>
      )}
      {(asks || picture.from === "mediamtx") && !(picture.from === "url" && kindOf(picture.url) === "file") && (
        <Field label={t("source.delay")} help={t(picture.from === "youtube" ? "source.delay_youtube" : "source.delay_help")}>
          <input
            class="input input-short"
            inputMode="decimal"
            placeholder="0"
            value={picture.seconds}
            onInput={(event) => set({ seconds: event.currentTarget.value })}
          />
        </Field>
      )}
      {picture.from === "film" && (
        <>
          <label class="tick">
            <input type="checkbox" checked={picture.byHand} onChange={(event) => set({ byHand: event.currentTarget.checked })} />
            {t("source.film_by_hand")}
          </label>
          {show ? <FilmPanel show={show} megabytesMax={sources?.film_mb_max ?? 2048} /> : <p class="notice">{t("source.film_later")}</p>}
        </>
      )}
      {(picture.from === "film" || (picture.from === "url" && kindOf(picture.url) === "file")) && (
        <label class="tick">
          <input type="checkbox" checked={picture.loop} onChange={(event) => set({ loop: event.currentTarget.checked })} />
          {t("console.video_loop")}
        </label>
      )}
    </>
  );
}
