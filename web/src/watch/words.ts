/** Numbers of the shop in words of the page: money, stock, places in the line. */
import { signal } from "@preact/signals";
import type { Numbers } from "../shared/fold";
import { formatLocale, locale, t } from "../shared/i18n";
import { money } from "../shared/money";
import { serverClock, timeOfDay } from "../shared/time";

/** The shop's own facts; the currency of every price on the page. */
export const shop = signal<{ name: string; currency: string }>({ name: "", currency: "EUR" });

export const price = (minor: number): string => money(minor, shop.value.currency, formatLocale());

export const at = (ms: number): string => timeOfDay(ms, formatLocale());

const LOW_UNITS = 5;

/** "24 left", "last 3", "sold out · 6 still paying": what stands on the card. */
export function stockWords(numbers: Numbers): { text: string; tone: "plain" | "low" | "out" } {
  const { available, held, paying } = numbers;
  if (available > LOW_UNITS) return { text: t("stock.left", { count: available }), tone: "plain" };
  if (available > 0) return { text: t("stock.last", { count: available }), tone: "low" };
  if (paying > 0) return { text: `${t("stock.out")} · ${t("stock.paying", { count: paying })}`, tone: "out" };
  if (held > 0) return { text: `${t("stock.out")} · ${t("stock.held", { count: held })}`, tone: "out" };
  return { text: t("stock.out"), tone: "out" };
}

/** The same, short enough to stand under a shade. */
export function shadeWords(numbers: Numbers): string {
  if (numbers.available > 0) return t("stock.left", { count: numbers.available });
  return t("stock.out");
}

/** "2nd": the place in the line as people of the language say it. */
export function place(number: number): string {
  if (locale.value !== "en") return t("place", { count: number });
  const rule = new Intl.PluralRules("en", { type: "ordinal" }).select(number);
  return `${number}${{ one: "st", two: "nd", few: "rd", other: "th", zero: "th", many: "th" }[rule]}`;
}

/** True where an instant has come on the server's clock. */
export const isPast = (ms: number | null): boolean => ms !== null && ms <= serverClock.now();
