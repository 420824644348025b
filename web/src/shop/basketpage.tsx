/** What an advisor put together for somebody, opened by its link: look, take, then it is a bag like any other. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatLocale, t } from "../shared/i18n";
import { money } from "../shared/money";
import { Button, EmptyState, Picture } from "../shared/ui";
import { loadBasket, takeBasket, type Basket } from "./bag";
import { words } from "./bagpage";

export function BasketPage({ word }: { word: string }): JSX.Element {
  const [basket, setBasket] = useState<Basket | null>(null);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    loadBasket(word).then(setBasket, (error: unknown) => setTrouble(words(error)));
  }, [word]);
  const take = async (): Promise<void> => {
    setBusy(true);
    try {
      await takeBasket(word);
      location.assign("/bag");
    } catch (error) {
      setTrouble(words(error));
      setBusy(false);
    }
  };
  if (!basket || basket.state === "gone")
    return (
      <section class="bag-page">
        {basket || trouble ? (
          <EmptyState icon="bag" title={t("shop.basket_gone")}>
            <p>{trouble || t("shop.basket_gone_text")}</p>
            <a class="button button-soft" href="/#products">
              {t("shop.to_products")}
            </a>
          </EmptyState>
        ) : (
          <p aria-busy="true">{t("shop.bag_loading")}</p>
        )}
      </section>
    );
  return (
    <section class="bag-page">
      <h1>{t("shop.basket_title", { name: basket.advisor_name })}</h1>
      {basket.note && <p dir="auto">{basket.note}</p>}
      <article class="bag" aria-label={t("shop.bag")}>
        <ul class="bag-lines">
          {basket.lines.map((line) => (
            <li key={line.variant_id}>
              <Picture src={line.image} name={line.title} class="bag-image" />
              <span dir="auto">
                {line.title}
                {line.label && <span class="muted">{line.label}</span>}
              </span>
              <span class="tabular">× {line.qty}</span>
              <strong class="tabular">{money(line.qty * line.unit_minor, basket.currency, formatLocale())}</strong>
            </li>
          ))}
        </ul>
        <p class="bag-sum tabular">
          <span>{t("shop.subtotal")}</span> <strong>{money(basket.subtotal_minor, basket.currency, formatLocale())}</strong>
        </p>
        <p class="field-error" role="alert">
          {trouble}
        </p>
        {basket.state === "taken" ? (
          <a class="button button-primary" href="/bag">
            {t("shop.to_bag")}
          </a>
        ) : (
          <>
            <Button wide size="l" busy={busy} onClick={() => void take()}>
              {t("shop.basket_take")}
            </Button>
            <p class="field-hint">{t("shop.basket_hint", { count: Math.round(basket.hold_minutes / 60) || 1 })}</p>
          </>
        )}
      </article>
    </section>
  );
}
