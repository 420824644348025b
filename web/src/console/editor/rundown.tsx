/** The cards of a show in order, with what each sells; moved and taken out by buttons that keyboards reach too. */
import type { JSX } from "preact";
import { formatLocale, t } from "../../shared/i18n";
import { money } from "../../shared/money";
import { EmptyState, Button, IconButton, Picture } from "../../shared/ui";
import { Code, TwoStep } from "../parts";
import { currency, type StaffCard } from "../server";

interface Props {
  cards: readonly StaffCard[];
  onMove: (index: number, by: number) => void;
  onRemove: (card: StaffCard) => void;
  onAdd: () => void;
}

export function RundownEditor({ cards, onMove, onRemove, onAdd }: Props): JSX.Element {
  if (cards.length === 0)
    return (
      <EmptyState icon="card" title={t("console.rundown_empty")}>
        <p>{t("console.rundown_empty_text")}</p>
        <Button kind="soft" onClick={onAdd}>
          {t("console.first_card")}
        </Button>
      </EmptyState>
    );
  return (
    <ol class="edit-cards">
      {cards.map((card, i) => (
        <li key={card.card_id} class="edit-card">
          <span class="edit-number tabular" aria-hidden="true">
            {i + 1}
          </span>
          <Picture src={card.image} name={card.title} class="picture-m" />
          <div class="edit-words">
            <p class="show-corner">
              {t(`console.kind_${card.kind}`)} <Code card={card} />
            </p>
            <h3>{card.title}</h3>
            {card.line && <p class="muted">{card.line}</p>}
            <Deals card={card} />
            {card.notes && <p class="edit-notes">{card.notes}</p>}
          </div>
          <div class="edit-ways">
            <IconButton
              icon="up"
              label={t("console.move_up", { name: card.title })}
              disabled={i === 0}
              onClick={() => onMove(i, -1)}
            />
            <IconButton
              icon="down"
              label={t("console.move_down", { name: card.title })}
              disabled={i === cards.length - 1}
              onClick={() => onMove(i, 1)}
            />
            <TwoStep
              class="button-quiet button-small"
              label={t("console.remove")}
              sure={t("console.remove_sure")}
              onSure={() => onRemove(card)}
            />
          </div>
        </li>
      ))}
    </ol>
  );
}

function Deals({ card }: { card: StaffCard }): JSX.Element | null {
  if (!card.deals.length) return null;
  return (
    <ul class="edit-deals">
      {card.bundle_minor !== null && (
        <li class="tabular">
          <strong>{t("console.bundle_for", { price: money(card.bundle_minor, currency.value, formatLocale()) })}</strong>
        </li>
      )}
      {card.deals.map((deal) => (
        <li key={deal.deal_id} class="tabular">
          {deal.swatch && <span class="shade-dot" style={{ background: deal.swatch }} aria-hidden="true" />}
          {deal.label && <span>{deal.label}</span>}
          <strong>{money(deal.price_minor, currency.value, formatLocale())}</strong>
          {deal.was_minor !== null && <s class="muted">{money(deal.was_minor, currency.value, formatLocale())}</s>}
          <span class="muted">{t("console.deal_line", { count: deal.quota, limit: deal.limit_per_viewer })}</span>
        </li>
      ))}
    </ul>
  );
}
