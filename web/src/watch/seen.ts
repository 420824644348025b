/** What the page knows of its picture: set by the stage, read by keys, buttons and captions. */
import { signal } from "@preact/signals";
import type { Player } from "../shared/player";

export const muted = signal(true);
export const playing = signal(false);
/** She asked for the sound without its picture. */
export const listening = signal(false);
/** What may be asked of the picture; set while one is mounted. */
export const picture: { video: HTMLVideoElement | null; player: Player | null } = { video: null, player: null };
