/**
 * The replay's video element and what may be chosen of it: captions, data saver; small in a corner while she reads
 * further down. What plays in it is its caller's.
 */
import { useSignal } from "@preact/signals";
import type { JSX, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { locale, t } from "../shared/i18n";
import { IconButton } from "../shared/ui";
import { withoutPicture } from "../shared/viewing";
import { captionChoice, chooseCaptions, choosePicture } from "../shared/wishes";

/** `language` is "live" for what was typed during the show. */
export interface CaptionTrack {
  language: string;
  lines: number;
}

interface ScreenProps {
  element: RefObject<HTMLVideoElement | null>;
  poster: string;
  /** Why no picture comes, in words; "" where it does. */
  trouble: string;
  captions: readonly CaptionTrack[];
  captionsAt: string;
}

const SEEN_LEAST = 0.5;

export function Screen({ element, poster, trouble, captions, captionsAt }: ScreenProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const small = useSignal(false);
  const away = useSignal(false); // she closed the small picture: until she comes back to the large one
  const saving = withoutPicture.value;
  useEffect(() => watchPlace(place.current!, (seen) => {
    small.value = !seen && !element.current!.paused;
    if (seen) away.value = false;
  }), []);
  useEffect(() => watchKeys(element), []);
  const mini = small.value && !away.value;
  return (
    <>
      <div class="screen-place" ref={place}>
        <div class={`screen ${mini ? "is-mini" : ""} ${saving ? "is-saving" : ""}`}>
          <video ref={element} controls={!mini} playsInline preload="auto" poster={poster || undefined} aria-label={t("replay.picture")}>
            {captions.map(({ language }) => (
              <track key={language} kind="captions" src={`${captionsAt}/${language}.vtt`} label={nameOf(language)} srclang={language === "live" ? undefined : language} />
            ))}
          </video>
          {trouble && (
            <p class="screen-trouble" role="status">
              {trouble}
            </p>
          )}
          {saving && !trouble && <p class="screen-saving">{t("replay.sound_only")}</p>}
          {mini && (
            <div class="screen-acts on-video">
              <IconButton icon="up" label={t("replay.back_to_picture")} onClick={() => place.current!.scrollIntoView({ block: "center" })} />
              <IconButton icon="close" label={t("replay.close_small")} onClick={() => (away.value = true)} />
            </div>
          )}
        </div>
      </div>
      <div class="screen-choices">
        {captions.length > 0 && <CaptionMenu element={element} captions={captions} />}
        <label class="screen-switch">
          <input type="checkbox" role="switch" checked={saving} onChange={(event) => choosePicture(event.currentTarget.checked ? "sound" : "picture")} />
          {t("replay.data_saver")}
        </label>
      </div>
    </>
  );
}

/** One list for all tracks; what is chosen in the browser's own menu stands in it too. */
function CaptionMenu({ element, captions }: Pick<ScreenProps, "element" | "captions">): JSX.Element {
  const chosen = useSignal("");
  const show = (language: string): void => {
    chosen.value = language;
    [...element.current!.textTracks].forEach((track, index) => (track.mode = captions[index]?.language === language ? "showing" : "disabled"));
  };
  useEffect(() => {
    if (captionChoice.value === "on") show(nearest(captions));
    const tracks = element.current!.textTracks;
    const changed = (): void => {
      const index = [...tracks].findIndex((track) => track.mode === "showing");
      const language = captions[index]?.language ?? "";
      if (language !== chosen.value) choose(language);
    };
    tracks.addEventListener("change", changed);
    return () => tracks.removeEventListener("change", changed);
  }, []);
  const choose = (language: string): void => {
    show(language);
    chooseCaptions(language ? "on" : "off");
  };
  return (
    <label class="screen-captions">
      {t("replay.captions")}
      <select class="input" value={chosen.value} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">{t("replay.captions_off")}</option>
        {captions.map(({ language }) => (
          <option key={language} value={language}>
            {nameOf(language)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The track in the page's language, else the first. */
function nearest(captions: readonly CaptionTrack[]): string {
  const own = locale.value.split("-")[0]!;
  return (captions.find(({ language }) => language.split("-")[0] === own) ?? captions[0])?.language ?? "";
}

function nameOf(language: string): string {
  if (language === "live") return t("replay.captions_live");
  try {
    return new Intl.DisplayNames([locale.value], { type: "language" }).of(language) ?? language;
  } catch {
    return language;
  }
}

function watchPlace(place: Element, tell: (seen: boolean) => void): () => void {
  const observer = new IntersectionObserver(([entry]) => entry && tell(entry.intersectionRatio >= SEEN_LEAST), { threshold: [0, SEEN_LEAST] });
  observer.observe(place);
  return () => observer.disconnect();
}

/** `K` and `M`, as live. */
function watchKeys(element: RefObject<HTMLVideoElement | null>): () => void {
  const press = (event: KeyboardEvent): void => {
    const video = element.current;
    if (!video || event.ctrlKey || event.metaKey || event.altKey || /^(input|textarea|select)$/i.test((event.target as HTMLElement).tagName)) return;
    const key = event.key.toLowerCase();
    if (key === "k") void (video.paused ? video.play().catch(() => undefined) : video.pause());
    else if (key === "m") video.muted = !video.muted;
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}
