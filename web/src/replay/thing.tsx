/** A card with its price of the evening, and what it is today, which alone can be bought; its stretch can be shown again. */
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { api } from "../shared/api";
import { formatLocale, t } from "../shared/i18n";
import { money } from "../shared/money";
import type { CardFacts } from "../shared/protocol";
import { placeText } from "../shared/time";
import { Icon, Picture } from "../shared/ui";
import { shop } from "../shop/server";
import { askedOnce, lowest, todayOf, type OfShop, type Today } from "./today";

interface ThingProps {
  card: CardFacts;
  /** It stands on the picture: with its talking line. */
  then?: boolean;
  /** Where in the recording its stretch begins, and what shows it; none where it was not filmed. */
  stretch?: { place: number; show: () => void } | undefined;
}

export function Thing({ card, then, stretch }: ThingProps): JSX.Element {
  const product = useProduct(card.product_handle);
  const today = product && product !== "gone" ? todayOf(card, product) : null;
  const minor = card.bundle_minor ?? lowest(card.deals.map((deal) => deal.price_minor));
  const price = (amount: number): string => money(amount, shop.value.currency, formatLocale());
  return (
    <article class="replay-thing">
      <Picture src={card.image} name={card.title} class="replay-thumb" />
      <div class="replay-words">
        <h3 dir="auto">{card.title}</h3>
        {then && card.line && (
          <p class="muted" dir="auto">
            {card.line}
          </p>
        )}
        <p class="replay-prices tabular">
          {minor !== null && <span class="replay-then">{t("replay.then", { price: price(minor) })}</span>}
          {today !== null && today.priceMinor !== null && <strong>{t("replay.now", { price: price(today.priceMinor) })}</strong>}
        </p>
        {today && <Now today={today} />}
        {product === "gone" && <p class="muted">{t("replay.gone")}</p>}
      </div>
      <div class="replay-acts">
        {stretch && (
          <button type="button" class="button button-m button-soft" onClick={stretch.show}>
            <Icon name="play" size={18} /> {t("replay.show_me")} <span class="sr-only">{card.title} </span>
            <span class="tabular">{placeText(stretch.place)}</span>
          </button>
        )}
        {today && (
          <a
            class={`button button-m ${today.stock.availability === "sold_out" ? "button-quiet" : "button-primary"}`}
            href={`/p/${encodeURIComponent(card.product_handle)}`}
          >
            {t("replay.buy")}
          </a>
        )}
      </div>
    </article>
  );
}

function Now({ today }: { today: Today }): JSX.Element {
  const { availability, left } = today.stock;
  return (
    <p class="replay-now">
      <span class={`replay-stock stock-${availability}`}>{t(`replay.stock_${availability}`, { count: left ?? 0 })}</span>
      {today.deal !== "none" && <span class={today.deal === "on" ? "replay-on" : "muted"}>{t(`replay.deal_${today.deal}`)}</span>}
    </p>
  );
}

const AGAIN_MS = 5_000;
const productOf = askedOnce((handle) => api.get(`/api/products/${encodeURIComponent(handle)}`));

function useProduct(handle: string): OfShop | null {
  const found = useSignal<OfShop | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let left = false;
    const ask = (): void =>
      void productOf(handle).then(
        (product) => left || (found.value = product),
        () => left || (timer = setTimeout(ask, AGAIN_MS)),
      );
    found.value = null;
    if (handle) ask();
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [handle]);
  return found.value;
}
