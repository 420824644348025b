/** Instants ⇄ the text of a date field, in the time zone of the person who types. */

/** "2026-11-24T20:00" for an instant; "" for none. */
export function localText(atMs: number | null): string {
  if (atMs === null) return "";
  const at = new Date(atMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** UTC milliseconds of such a text; null where it is empty or no date. */
export function instantOf(text: string): number | null {
  const ms = text ? new Date(text).getTime() : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
