/** What interrupted the show, in a sentence, and the one tap that keeps what is reserved longer. Never a dialog. */
import type { JSX } from "preact";
import { t } from "../shared/i18n";
import { nowMs } from "../shared/time";
import type { Desk } from "./desk";
import { interruptionOf } from "./interruption";

export function InterruptionNote({ desk, class: look = "" }: { desk: Desk; class?: string }): JSX.Element | null {
  const words = interruptionOf(
    desk.room.value.show ?? desk.show.value?.show ?? null,
    desk.picture.value,
    desk.lengthened.value,
    desk.heldUnits.value,
    nowMs.value,
  );
  if (!words) return null;
  const number = words.lengthen;
  return (
    <section class={`interruption tone-${words.tone} ${look}`} role={words.tone === "danger" ? "alert" : "status"}>
      <p>
        {t(words.says, words.params)}
        {words.then.map((one) => (
          <span key={one.says}> {t(one.says, one.params)}</span>
        ))}
      </p>
      <div class="interruption-do">
        {number !== null && (
          <button
            type="button"
            class="button button-soft button-small"
            disabled={desk.busy.value === "lengthen_holds"}
            onClick={() => void desk.command({ do: "lengthen_holds", number })}
          >
            {t("filming.lengthen", { seconds: words.seconds })}
          </button>
        )}
        {words.waivable && (
          <button type="button" class="button button-quiet button-small" onClick={() => void desk.command({ do: "go_live" })}>
            {t("filming.go_on")}
          </button>
        )}
      </div>
    </section>
  );
}
