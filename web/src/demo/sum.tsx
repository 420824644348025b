/** The sum of the round, as it grows, and the two tests anybody may run: 500 buyers at once, and a killed server. */
import type { JSX } from "preact";
import { count, t } from "../shared/i18n";
import type { Recovery } from "./server";
import { BUYERS, buyersRun, type Buyers, type Stage, type Sum } from "./stage";

export function SumBar({ stage }: { stage: Stage }): JSX.Element {
  const sum = stage.sum.value;
  const over = stage.moment.value.over;
  return (
    <section class={`sum ${over ? "sum-over" : ""}`} aria-label={t("demo.sum")}>
      {sum ? <Figures sum={sum} /> : <p class="muted">{t("demo.sum_soon")}</p>}
      <div class="sum-tests">
        <BuyersTest stage={stage} />
        <KillTest stage={stage} recovery={stage.recovery.value} />
        {stage.complaint.value && (
          <p class="sum-complaint" role="alert">
            {t(stage.complaint.value)}
          </p>
        )}
      </div>
    </section>
  );
}

function Figures({ sum }: { sum: Sum }): JSX.Element {
  const taken = sum.sold + sum.held;
  const figures: { value: string; says: string; tone?: string }[] = [
    { value: count(sum.units), says: t("demo.units", { count: sum.units }) },
    { value: count(sum.taps), says: t("demo.taps", { count: sum.taps }) },
    { value: count(taken), says: t("demo.taken", { count: taken }) },
    { value: count(sum.oversold), says: t("demo.oversold"), tone: sum.oversold === 0 ? "good" : "bad" },
    { value: `${count(Math.round(sum.slowest_answer_ms))} ms`, says: t("demo.slowest") },
  ];
  return (
    <dl class="sum-figures">
      {figures.map((figure) => (
        <div key={figure.says} class={figure.tone ?? ""}>
          <dt>{figure.says}</dt>
          <dd class="tabular">{figure.value}</dd>
        </div>
      ))}
    </dl>
  );
}

function BuyersTest({ stage }: { stage: Stage }): JSX.Element {
  const buyers = stage.sum.value?.buyers;
  const running = buyersRun(buyers);
  return (
    <div class={`test ${buyers?.phase === "over" ? "test-back" : ""}`}>
      <button
        type="button"
        class="test-button"
        disabled={running || stage.sending.value || stage.recovery.value.phase === "down"}
        onClick={() => void stage.sendBuyers()}
      >
        {t("demo.send_buyers", { count: BUYERS })}
      </button>
      <p class="test-says" role="status">
        {buyersSay(buyers)}
      </p>
      {running && <BuyersBar buyers={buyers!} />}
    </div>
  );
}

function buyersSay(buyers: Buyers | undefined): string {
  const figures = { ...buyers } as Record<string, number>;
  switch (buyers?.phase) {
    case "joining":
      return t("demo.buyers_joining", figures);
    case "tapping":
      return t("demo.buyers_tapping", figures);
    case "over":
      return t("demo.buyers_over", figures);
    case "failed":
      return t("demo.buyers_failed");
    default:
      return t("demo.buyers_why");
  }
}

/** Half of the way is coming in, half is being answered. */
function BuyersBar({ buyers }: { buyers: Buyers }): JSX.Element {
  const percent = Math.round(((buyers.joined + buyers.done) / Math.max(1, 2 * buyers.total)) * 100);
  return (
    <span
      class="test-bar"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      aria-label={t("demo.send_buyers", { count: BUYERS })}
    >
      <span style={{ inlineSize: `${percent}%` }} />
    </span>
  );
}

function KillTest({ stage, recovery }: { stage: Stage; recovery: Recovery }): JSX.Element {
  const trouble = recovery.phase === "killing" || recovery.phase === "down";
  const seconds = (ms: number): string => (Math.max(0, ms) / 1000).toFixed(1);
  return (
    <div class={`test test-${recovery.phase}`}>
      <button
        type="button"
        class="test-button danger"
        disabled={trouble}
        onClick={() => void stage.killServer()}
      >
        {t("demo.kill")}
      </button>
      <p class="test-says" role="status">
        {recovery.phase === "up" && t("demo.kill_why")}
        {recovery.phase === "killing" && t("demo.killing")}
        {recovery.phase === "down" && t("demo.down", { seconds: seconds(Date.now() - recovery.since_ms) })}
        {recovery.phase === "back" &&
          (recovery.down_ms > 0
            ? t("demo.back_after", { seconds: seconds(recovery.down_ms), count: recovery.restarts })
            : t("demo.back"))}
      </p>
      {trouble && (
        <span class="test-bar test-bar-waiting" role="progressbar" aria-label={t("demo.kill")}>
          <span />
        </span>
      )}
    </div>
  );
}
