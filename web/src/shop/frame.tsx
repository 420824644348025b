/** What stands above and below every page of the shop: name, ways, language. */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { changeLocale, LOCALES, locale, t, type Locale } from "../shared/i18n";
import { Countdown, Icon } from "../shared/ui";
import { bags, loadBags } from "./bag";
import { shop } from "./server";

const LANGUAGE_NAMES: Record<Locale, string> = { en: "English", fr: "Français", "zh-Hans": "简体中文" };

export function Header(): JSX.Element {
  return (
    <header class="shop-header">
      <a class="shop-brand" href="/">
        <img src="/static/mark.svg" alt="" width="28" height="28" />
        <span class="display">{shop.value.name || "livecommerce"}</span>
      </a>
      <nav aria-label={t("shop.pages")}>
        <a href="/#shows">{t("shop.shows")}</a>
        <a href="/#products">{t("shop.products")}</a>
      </nav>
      <BagLink />
      <label class="shop-language">
        <span class="sr-only">{t("language")}</span>
        <select value={locale.value} onChange={(event) => void changeLocale(event.currentTarget.value as Locale)}>
          {LOCALES.map((one) => (
            <option key={one} value={one}>
              {LANGUAGE_NAMES[one]}
            </option>
          ))}
        </select>
      </label>
    </header>
  );
}

/** How much is set aside, and until when: on every page, so that nobody forgets a bag while she looks on. */
function BagLink(): JSX.Element {
  useEffect(() => void loadBags().catch(() => undefined), []);
  const held = (bags.value ?? []).filter((bag) => bag.state === "held");
  const pieces = held.flatMap((bag) => bag.lines).reduce((sum, line) => sum + line.qty, 0);
  const dueAtMs = Math.min(...held.map((bag) => bag.due_at_ms ?? Infinity));
  return (
    <a class="shop-bag" href="/bag">
      <Icon name="bag" size={19} />
      {pieces > 0 ? t("shop.bag_pieces", { count: pieces }) : t("shop.bag")}
      {Number.isFinite(dueAtMs) && <Countdown toMs={dueAtMs} />}
    </a>
  );
}

export function Footer(): JSX.Element {
  return (
    <footer class="shop-footer">
      <p class="display">{shop.value.name || "livecommerce"}</p>
      <p>{t("shop.footer")}</p>
      <p>
        <a href="/console">{t("shop.for_staff")}</a>
        {shop.value.demo && (
          <>
            {" · "}
            <a href="/demo">{t("shop.to_demo")}</a>
          </>
        )}
      </p>
    </footer>
  );
}
