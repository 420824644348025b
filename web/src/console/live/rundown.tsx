/** The left column: the cards in order, what is on the picture, what comes, and the note for each. */
import type { JSX } from "preact";
import { t } from "../../shared/i18n";
import { openDeals, type Desk } from "../desk";
import { Picture } from "../../shared/ui";
import { Code } from "../parts";
import { stateOf } from "../rundown";

export function RundownPane({ desk }: { desk: Desk }): JSX.Element {
  const cards = desk.cards.value;
  const next = desk.status.value === "ended" ? undefined : desk.next.value;
  const onAir = desk.onAir.value;
  const done = cards.filter((card) => desk.shown.value.has(card.card_id) || card.card_id === onAir).length;
  return (
    <section class="desk-rundown pane" aria-labelledby="rundown-title">
      <header class="pane-head">
        <h2 id="rundown-title">{t("console.rundown")}</h2>
        <span class="muted tabular">{t("console.rundown_progress", { done, total: cards.length })}</span>
      </header>
      {cards.length === 0 ? (
        <p class="pane-empty muted">
          {t("console.rundown_empty")}{" "}
          <a href={`/console/shows/${encodeURIComponent(desk.showId)}?edit`}>{t("console.add_cards")}</a>
        </p>
      ) : (
        <ol class="steps">
          {cards.map((card, i) => {
            const state = stateOf(card, onAir, next, desk.shown.value);
            return (
              <li key={card.card_id} class={`step step-${state}`}>
                <button
                  type="button"
                  class="step-button"
                  onClick={() => void desk.showCard(card)}
                  aria-current={state === "on_air" ? "step" : undefined}
                  aria-keyshortcuts={i < 9 ? String(i + 1) : undefined}
                >
                  <span class="step-mark tabular" aria-hidden="true">
                    {state === "on_air" ? "●" : state === "done" ? "✓" : i + 1}
                  </span>
                  <Picture src={card.image} name={card.title} class="picture-s" />
                  <span class="step-words">
                    <span class="step-title">
                      {card.title} {desk.show.value?.show.claims.on && <Code card={card} />}
                    </span>
                    <span class="step-state">
                      {state === "on_air" && t("console.now")}
                      {state === "next" && t("console.next")}
                      {state === "done" && t("console.done")}
                      {state === "planned" && t(`console.kind_${card.kind}`)}
                      <Left desk={desk} card={card} />
                    </span>
                  </span>
                </button>
                {card.notes && (state === "on_air" || state === "next") && <p class="step-note">{card.notes}</p>}
              </li>
            );
          })}
        </ol>
      )}
    </section>
  );
}

function Left({ desk, card }: { desk: Desk; card: Desk["cards"]["value"][number] }): JSX.Element | null {
  const open = openDeals(card);
  if (!open.length) return null;
  const left = open.reduce((sum, deal) => sum + desk.numbers(deal).available, 0);
  return (
    <span class={`step-left tabular ${left === 0 ? "none" : left <= 5 ? "few" : ""}`}>
      {t("console.left", { count: left })}
    </span>
  );
}
