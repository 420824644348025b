/** What is set aside for her, with its clock; one tap to check out. It stays while cards come and go. */
import { liveHolds } from "../shared/fold";
import { t } from "../shared/i18n";
import type { Hold } from "../shared/protocol";
import { CountdownRing, Icon } from "../shared/ui";
import { openCheckout } from "./checkout";
import { nameOf } from "./offer";
import { room } from "./room";

const SHOWN: ReadonlySet<Hold["state"]> = new Set(["held", "paying"]);

/** Holds with a clock, the most urgent first. */
export function urgentHolds(): Hold[] {
  return liveHolds(room.value)
    .filter((hold) => SHOWN.has(hold.state))
    .sort((a, b) => (a.due_at_ms ?? Infinity) - (b.due_at_ms ?? Infinity));
}

export function HoldBar({ hiddenFor }: { hiddenFor: readonly string[] }) {
  const holds = urgentHolds().filter((hold) => !hold.lines.every((line) => hiddenFor.includes(line.deal_id)));
  const hold = holds[0];
  if (!hold) return null;
  const name = nameOf(room.value, hold);
  const wholeMs = hold.state === "held" ? holdMs(hold) : 600_000;
  return (
    <button type="button" class="hold-bar" onClick={() => openCheckout(hold.rid)}>
      {hold.due_at_ms !== null && <CountdownRing toMs={hold.due_at_ms} wholeMs={wholeMs} size={40} />}
      <span class="hold-words">
        <b>{holds.length > 1 ? t("hold.several", { count: holds.length }) : t("hold.one")}</b>
        <span dir="auto">{[name.title, name.label].filter(Boolean).join(" · ")}</span>
      </span>
      <span class="hold-go">
        {hold.state === "held" ? t("act.checkout") : t("act.pay")}
        <Icon name="next" size={16} />
      </span>
    </button>
  );
}

function holdMs(hold: Hold): number {
  const deals = room.value.cards.flatMap((card) => card.deals);
  const seconds = hold.lines.map((line) => deals.find((deal) => deal.deal_id === line.deal_id)?.hold_seconds ?? 300);
  return Math.min(...seconds) * 1000;
}
