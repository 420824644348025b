/**
 * Prices as people type them ⇄ minor units. What arrives: text such as "12", "12.50" or "12,5". What leaves: whole
 * minor units, or null where the text is no price or is finer than the currency's smallest coin.
 */

/** Decimal places of a currency: 2 for EUR, 0 for JPY. */
export function decimalsOf(currency: string): number {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

export function minorOf(text: string, currency: string): number | null {
  const decimals = decimalsOf(currency);
  const match = /^\s*(\d{1,9})(?:[.,](\d{0,6}))?\s*$/.exec(text);
  if (!match) return null;
  const fraction = (match[2] ?? "").replace(/0+$/, "");
  if (fraction.length > decimals) return null;
  return Number(match[1]) * 10 ** decimals + Number(fraction.padEnd(decimals, "0") || 0);
}

/** Minor units as the same kind of text, for a text box. */
export function textOf(minor: number | null, currency: string): string {
  if (minor === null) return "";
  return (minor / 10 ** decimalsOf(currency)).toFixed(decimalsOf(currency));
}
