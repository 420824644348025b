/** One deal's stock as a bar and as numbers: free, held, paying, sold, and who waits. Colours never speak alone. */
import type { JSX } from "preact";
import type { Numbers } from "../../shared/fold";
import { money } from "../../shared/money";
import { formatLocale, t } from "../../shared/i18n";
import type { DealFacts } from "../../shared/protocol";
import { clockText, nowMs } from "../../shared/time";

const PARTS = ["sold", "paying", "held", "available"] as const;

export function Meter({
  deal,
  numbers,
  currency,
}: {
  deal: DealFacts;
  numbers: Numbers;
  currency: string;
}): JSX.Element {
  const quota = Math.max(1, deal.quota);
  const said = PARTS.map((part) => `${t(`console.${part}`)} ${numbers[part]}`).join(", ");
  return (
    <li class={`meter ${numbers.available === 0 ? "meter-out" : numbers.available <= 5 ? "meter-few" : ""}`}>
      <div class="meter-head">
        {deal.swatch && <span class="shade-dot" style={{ background: deal.swatch }} aria-hidden="true" />}
        <span class="meter-label">{deal.label || t("console.all_units")}</span>
        <span class="meter-price tabular">
          {money(deal.price_minor, currency, formatLocale())}
          {deal.was_minor !== null && <s>{money(deal.was_minor, currency, formatLocale())}</s>}
        </span>
        <DealState deal={deal} />
      </div>
      <div class="meter-bar" role="img" aria-label={t("console.meter_says", { total: deal.quota, said })}>
        {PARTS.filter((part) => numbers[part] > 0).map((part) => (
          <span key={part} class={`part-${part}`} style={{ inlineSize: `${(numbers[part] / quota) * 100}%` }} />
        ))}
      </div>
      <dl class="meter-numbers">
        {[...PARTS].reverse().map((part) => (
          <div key={part} class={`number-${part}`}>
            <dt>{t(`console.${part}`)}</dt>
            <dd class="tabular">{numbers[part]}</dd>
          </div>
        ))}
        <div class={`number-waiting ${numbers.waiting > 0 ? "some" : ""}`}>
          <dt>{t(deal.status === "open" && deal.draw?.drawn_at_ms === null ? "console.in_draw" : "console.waiting")}</dt>
          <dd class="tabular">{numbers.waiting}</dd>
        </div>
      </dl>
    </li>
  );
}

function DealState({ deal }: { deal: DealFacts }): JSX.Element {
  const opensIn = deal.status === "announced" && deal.opens_at_ms ? deal.opens_at_ms - nowMs.value : 0;
  const closesIn = deal.status === "open" && deal.closes_at_ms ? deal.closes_at_ms - nowMs.value : 0;
  const drawsIn = deal.status === "open" && deal.draw?.draws_at_ms ? deal.draw.draws_at_ms - nowMs.value : 0;
  const isDrawn = deal.status === "open" && deal.draw?.drawn_at_ms === null;
  return (
    <span class={`deal-state deal-${deal.status}`}>
      {isDrawn
        ? drawsIn > 0
          ? t("console.draws_in", { clock: clockText(drawsIn) })
          : t("console.drawing")
        : opensIn > 0
        ? t("console.opens_in", { clock: clockText(opensIn) })
        : closesIn > 0
          ? t("console.closes_in", { clock: clockText(closesIn) })
          : t(`console.deal_${deal.status}`)}
    </span>
  );
}
