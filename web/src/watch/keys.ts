/** The keyboard of the viewer page; off inside text boxes. Escape belongs to the open sheet. */
import { picture } from "./seen";
import { togglePlay, toggleSound } from "./Stage";

export interface KeyActs {
  bag: () => void;
  chat: () => void;
}

export function watchKeys(acts: KeyActs): () => void {
  const press = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || isText(event.target)) return;
    const act = actOf(event.key.toLowerCase(), acts);
    if (!act) return;
    event.preventDefault();
    act();
  };
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}

function actOf(key: string, acts: KeyActs): (() => void) | undefined {
  switch (key) {
    case "k":
      return togglePlay;
    case "m":
      return toggleSound;
    case "l":
      return () => picture.player?.goLive();
    case "c":
      return acts.chat;
    case "b":
      return acts.bag;
    default:
      return undefined;
  }
}

function isText(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName));
}
