/**
 * Words in the reader's language: one JSON per area and locale (`i18n/<area>.<locale>.json`), loaded when needed.
 * A message is a text with {blanks}, or its plural forms by `Intl.PluralRules` over {count}.
 */
import { signal } from "@preact/signals";

export const LOCALES = ["en", "fr", "zh-Hans"] as const;
export type Locale = (typeof LOCALES)[number];
export type Message = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Blanks = Record<string, string | number>;

const files = import.meta.glob<Record<string, Message>>("./i18n/*.json", { import: "default" });
const areas = new Set<string>();
const messages = signal<Record<string, Message>>({});

export const locale = signal<Locale>("en");

/** The locale of the first wish that we speak: "zh-CN" → "zh-Hans", "fr-CA" → "fr". */
export function nearestLocale(wishes: readonly string[]): Locale | null {
  for (const wish of wishes) {
    const language = wish.toLowerCase().split("-")[0];
    const found = LOCALES.find((one) => one.split("-")[0] === language);
    if (found) return found;
  }
  return null;
}

function wishes(): string[] {
  const asked = new URLSearchParams(location.search).get("lang");
  let kept: string | null = null;
  try {
    kept = localStorage.getItem("lc.lang");
  } catch {
    // storage may be closed; the browser's own wish counts then
  }
  return [asked, kept, ...navigator.languages].filter((one): one is string => !!one);
}

async function load(wanted: Locale): Promise<void> {
  const parts = await Promise.all(
    ["shared", ...areas].map((area) => files[`./i18n/${area}.${wanted}.json`]?.() ?? Promise.resolve({})),
  );
  messages.value = Object.assign({}, ...parts) as Record<string, Message>;
  locale.value = wanted;
  document.documentElement.lang = wanted;
}

/** A further area whose words a page needs; to be named before `startI18n`. */
export function withArea(area: string): void {
  areas.add(area);
}

/** Load the words of a page's area in the reader's language, else in the shop's. Call once, before the first paint. */
export async function startI18n(area: string, shopLocale: string | Promise<string> = ""): Promise<void> {
  areas.add(area);
  await load(nearestLocale(wishes()) ?? nearestLocale([await shopLocale]) ?? "en");
}

export async function changeLocale(wanted: Locale): Promise<void> {
  try {
    localStorage.setItem("lc.lang", wanted);
  } catch {
    // the choice then lasts as long as the page
  }
  await load(wanted);
}

export function fill(message: Message, blanks: Blanks, inLocale: string): string {
  let text = message;
  if (typeof text !== "string") {
    const rule = new Intl.PluralRules(inLocale).select(Number(blanks["count"] ?? 0));
    text = text[rule] ?? text.other ?? "";
  }
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in blanks ? String(blanks[name]) : whole));
}

/** The words for `key`. A key nobody wrote shows as itself; a test finds it first. */
export function t(key: string, blanks: Blanks = {}): string {
  const message = messages.value[key];
  return message === undefined ? key : fill(message, blanks, locale.value);
}

/** The reader's own region for dates, times and numbers, as long as it speaks the page's language: en-GB, fr-CA. */
export function formatLocale(): string {
  const own = navigator.languages.find((one) => nearestLocale([one]) === locale.value && one.includes("-"));
  return own ?? (locale.value === "en" ? "en-GB" : locale.value);
}

/** A number as people of the locale write it; large ones short ("1.2K", "1,2 k", "1.2万"). */
export function count(value: number): string {
  return new Intl.NumberFormat(formatLocale(), {
    notation: value >= 10_000 ? "compact" : "standard",
    maximumFractionDigits: 1,
  }).format(value);
}

/** A refusal in the reader's language, falling back to the server's own sentence. */
export function refusalText(refusal: {
  number: number;
  word?: string;
  message?: string;
  text?: string;
  facts?: Readonly<Record<string, unknown>>;
}): string {
  // A limit says whose it is: of the deal, of the show, of the address.
  const own = messages.value[`refusal.${refusal.number}.${refusal.facts?.["of"]}`] ?? messages.value[`refusal.${refusal.number}`];
  if (own !== undefined) return fill(own, {}, locale.value);
  return refusal.message || refusal.text || t("refusal.0");
}
