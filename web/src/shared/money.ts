/** Money from minor units, in words of the reader's language. No sums are done here: the server does them. */

const formats = new Map<string, { format: Intl.NumberFormat; digits: number }>();

function formatOf(currency: string, locale: string): { format: Intl.NumberFormat; digits: number } {
  const key = `${locale} ${currency}`;
  let found = formats.get(key);
  if (!found) {
    const format = new Intl.NumberFormat(locale, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
    found = { format, digits: format.resolvedOptions().maximumFractionDigits ?? 2 };
    formats.set(key, found);
  }
  return found;
}

/** `money(2990, "EUR", "fr")` → "29,90 €". All digits of the currency always show, so that pages agree to the cent. */
export function money(minor: number, currency: string, locale: string): string {
  const { format, digits } = formatOf(currency, locale);
  return format.format(minor / 10 ** digits);
}

/** How much less than `was`, in whole percent, rounded down so that no page promises more than there is. */
export function percentOff(priceMinor: number, wasMinor: number | null): number {
  if (!wasMinor || wasMinor <= priceMinor) return 0;
  return Math.floor(((wasMinor - priceMinor) / wasMinor) * 100);
}
