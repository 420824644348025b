/** The show when there is no show: before it, after it, and the doors that stay closed. */
import { useEffect, useState } from "preact/hooks";
import { t } from "../shared/i18n";
import type { ShowFacts } from "../shared/protocol";
import { Button, EmptyState, toast, type IconName } from "../shared/ui";
import type { OffAir as OffAirSlate } from "./OffAir";

/** Share the show: the phone's own way, else the address on the clipboard. */
export async function share(show: ShowFacts): Promise<void> {
  const url = location.origin + location.pathname;
  try {
    if (navigator.share) await navigator.share({ title: show.title, text: show.about || show.title, url });
    else {
      await navigator.clipboard.writeText(url);
      toast(t("share.copied"), "good");
    }
  } catch {
    // she closed the phone's dialog, or the browser keeps the clipboard shut: nothing to undo
  }
}

/** The show before and after it is on. Fetched only then: the way from the door to a tap stays light. */
export function OffAir({ show, onBag }: { show: ShowFacts; onBag: () => void }) {
  const [Slate, setSlate] = useState<typeof OffAirSlate | null>(null);
  useEffect(() => {
    import("./OffAir").then(
      (loaded) => setSlate(() => loaded.OffAir),
      () => toast(t("refusal.0"), "bad"),
    );
  }, []);
  return Slate && <Slate show={show} onBag={onBag} />;
}

export type DoorWord = "not_invited" | "places_taken" | "members" | "banned" | "not_found" | "offline" | "elsewhere" | "code" | "failed";

const DOOR_ICONS: Record<DoorWord, IconName> = {
  not_invited: "lock",
  places_taken: "users",
  members: "lock",
  banned: "alert",
  not_found: "search",
  offline: "wifiOff",
  elsewhere: "refresh",
  code: "link",
  failed: "alert",
};

export function ClosedDoor({ word, text }: { word: DoorWord; text?: string }) {
  const [again, setAgain] = useState(false);
  const mayRetry = word === "offline" || word === "elsewhere" || word === "failed";
  return (
    <section class="closed-door" role="alert">
      <EmptyState icon={DOOR_ICONS[word]} title={t(`door.${word}`)}>
        <p>{text || t(`door.${word}_text`)}</p>
        {mayRetry ? (
          <Button
            busy={again}
            onClick={() => {
              setAgain(true);
              location.reload();
            }}
          >
            {t("door.again")}
          </Button>
        ) : (
          <a class="button button-soft button-m" href="/">
            {t("door.shop")}
          </a>
        )}
      </EmptyState>
    </section>
  );
}
