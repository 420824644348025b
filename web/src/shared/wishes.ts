/** What she may choose of how she sees a show, and its keeping. See `viewing.ts`. */
import { signal } from "@preact/signals";
import { deviceSaves, kept, lineOf, PICTURE_KEY, pictureChoice, REDUCED, savesData, type PictureChoice } from "./viewing";

/** `auto` shows captions for as long as there is no sound to hear. */
export type CaptionChoice = "auto" | "on" | "off";

const CAPTIONS_KEY = "lc.captions";
export const PICTURES: readonly PictureChoice[] = ["auto", "picture", "sound"];
export const CAPTIONS: readonly CaptionChoice[] = ["auto", "on", "off"];

export const captionChoice = signal(kept(CAPTIONS_KEY, CAPTIONS));
export const wantsCaptions = (muted: boolean): boolean => captionChoice.value === "on" || (captionChoice.value === "auto" && muted);

export function choosePicture(choice: PictureChoice): void {
  pictureChoice.value = choice;
  keep(PICTURE_KEY, choice);
}

export function chooseCaptions(choice: CaptionChoice): void {
  captionChoice.value = choice;
  keep(CAPTIONS_KEY, choice);
}

/** The device may begin or cease to save data while she watches. Returns the way to stop. */
export function watchTheLine(): () => void {
  const look = (): void => void (deviceSaves.value = savesData());
  const reduced = matchMedia(REDUCED);
  lineOf()?.addEventListener?.("change", look);
  reduced.addEventListener("change", look);
  return () => {
    lineOf()?.removeEventListener?.("change", look);
    reduced.removeEventListener("change", look);
  };
}

function keep(key: string, word: string): void {
  try {
    localStorage.setItem(key, word);
  } catch {
    // a browser that keeps nothing: the choice lasts as long as the page
  }
}
