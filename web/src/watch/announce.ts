/**
 * What a screen reader hears of the room. Host's and moderators' lines and answers to her own doings at once; all the
 * rest as a digest every ten seconds, so that a busy room can be listened to. The visible chat itself stays silent.
 */
import { signal } from "@preact/signals";
import { t } from "../shared/i18n";
import type { CardFacts, ToViewer } from "../shared/protocol";

const DIGEST_MS = 10_000;

/** The hidden live region's words. */
export const spoken = signal("");

let unheard = 0;

export function heard(message: ToViewer): void {
  if (message.t === "talk") {
    for (const line of message.lines) {
      if (line.role === "viewer") unheard += 1;
      else speak(`${line.name}: ${line.text}`);
    }
  }
  if (message.t === "state") {
    for (const { event } of message.events) {
      if (event.kind === "card_shown") speak(cardWords(event.card));
      if (event.kind === "line_pinned") speak(`${t("chat.pinned")}: ${event.line.text}`);
      if (event.kind === "note") speak(event.text);
    }
  }
}

function cardWords(card: CardFacts): string {
  return t("card.now_showing", { title: card.title });
}

function speak(text: string): void {
  spoken.value = text;
}

export function startDigest(): void {
  setInterval(() => {
    if (unheard > 0) speak(t("chat.digest", { count: unheard }));
    unheard = 0;
  }, DIGEST_MS);
}
