/** Hearts that rise over the picture: some for the room's, one for each of hers. Still where motion is unwelcome. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { count, t } from "../shared/i18n";
import { Icon } from "../shared/ui";
import { sendHeart } from "./acts";
import { onEveryMessage, room } from "./room";

interface Heart {
  id: number;
  left: number;
  tone: number;
}

const HEARTS_MAX = 12;
const RISE_MS = 2600;
const floating = signal<readonly Heart[]>([]);
let lastId = 0;

const still = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

function rise(howMany: number): void {
  if (still() || document.visibilityState === "hidden") return;
  const fresh = Array.from({ length: Math.min(howMany, 3) }, () => ({ id: ++lastId, left: Math.random(), tone: lastId % 3 }));
  floating.value = [...floating.value, ...fresh].slice(-HEARTS_MAX);
  setTimeout(() => {
    const gone = new Set(fresh.map((one) => one.id));
    floating.value = floating.value.filter((one) => !gone.has(one.id));
  }, RISE_MS);
}

export function Hearts() {
  useEffect(() => {
    let before = room.value.hearts;
    return onEveryMessage(() => {
      const now = room.value.hearts;
      if (now > before && before > 0) rise(now - before);
      before = now;
    });
  }, []);
  return (
    <div class="hearts" aria-hidden="true">
      {floating.value.map((one) => (
        <span key={one.id} class={`heart tone-${one.tone}`} style={{ insetInlineStart: `${one.left * 70}%` }}>
          <Icon name="heart" size={26} />
        </span>
      ))}
    </div>
  );
}

export function HeartButton() {
  const hearts = room.value.hearts;
  return (
    <button
      type="button"
      class="icon-button heart-button"
      aria-label={t("heart")}
      title={t("heart")}
      onClick={() => {
        sendHeart();
        rise(1);
      }}
    >
      <Icon name="heart" />
      {hearts > 0 && <span class="heart-count tabular">{count(hearts)}</span>}
    </button>
  );
}
