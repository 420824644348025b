/** Figures as people read them: times in their unit, counts with separators, shares in percent. Pure. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value: number): string => whole.format(value);

/** A number with about three digits that say something. */
export function number(value: number): string {
  const size = Math.abs(value);
  const digits = Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits }).format(value);
}

/** Microseconds, in µs, ms or s. */
export function time(us: number): string {
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${trimmed(us / 1_000)} ms`;
  return `${trimmed(us / 1_000_000)} s`;
}

/** The same, for an axis: without a fraction that says nothing. */
export const timeTick = (us: number): string => time(us).replace(/\.0+ /, " ");

function trimmed(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function share(value: number): string {
  const percent = value * 100;
  return percent === 0 || percent === 100 ? `${percent}%` : `${number(percent)}%`;
}

/** Seconds of the run's clock: 0:58, 1:02:07. */
export function clock(seconds: number): string {
  const all = Math.round(seconds);
  const two = (part: number): string => String(part).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor((all % 3600) / 60), all % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** 12,400 → 12.4k: for an axis. */
export function short(value: number): string {
  const size = Math.abs(value);
  for (const [from, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (size >= from) return `${Number((value / from).toPrecision(3))}${letter}`;
  }
  return String(Number(value.toPrecision(3)));
}

/** A name as it is counted, as words. */
export const plain = (name: string): string => name.replaceAll("_", " ");

/** The words of a counter of the kind that can go wrong. */
export function errorWords(name: string, words: Record<string, string>): string {
  const [family, why = ""] = name.split(/\.(.*)/, 2);
  if (words[name]) return words[name];
  return family === "join_failed" && why ? `could not come in: ${plain(why)}` : plain(why || name);
}

/** 400 of refused.400; nothing where a counter has no number. */
export function errorNumber(name: string): string {
  const why = name.split(/\.(.*)/, 2)[1] ?? "";
  return /^\d+$/.test(why) ? why : "";
}
