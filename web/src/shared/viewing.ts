/**
 * Whether she sees a show with its picture or saves data: chosen once, kept on this device, the same live and in a
 * replay. What arrives: what is kept, and what the device says of its line. What leaves: signals. How she chooses is in
 * `wishes.ts`, which a page fetches later.
 */
import { computed, signal } from "@preact/signals";

/** `auto` follows the device: one that saves data gets no picture before she asks for it. */
export type PictureChoice = "auto" | "picture" | "sound";

interface Line extends EventTarget {
  saveData?: boolean;
  effectiveType?: string;
}
export const lineOf = (): Line | undefined => (globalThis.navigator as (Navigator & { connection?: Line }) | undefined)?.connection;
export const REDUCED = "(prefers-reduced-data: reduce)";

export const PICTURE_KEY = "lc.picture";
export const pictureChoice = signal(kept<PictureChoice>(PICTURE_KEY, ["auto", "picture", "sound"]));
export const deviceSaves = signal(savesData());

/** True where the picture stays away: sound, cards and a still are all that is fetched. */
export const withoutPicture = computed(() => pictureChoice.value === "sound" || (pictureChoice.value === "auto" && deviceSaves.value));

export function savesData(): boolean {
  const line = lineOf();
  return line?.saveData === true || /(^|-)2g$/.test(line?.effectiveType ?? "") || !!globalThis.matchMedia?.(REDUCED).matches;
}

/** The word that is kept under a key; the first of the list where none is, or the browser keeps nothing. */
export function kept<T extends string>(key: string, words: readonly T[]): T {
  try {
    return words.find((word) => word === localStorage.getItem(key)) ?? words[0]!;
  } catch {
    return words[0]!;
  }
}
