/** Where a value lies on an axis (0 … 1), and which values are written beside it. Pure. */

export interface Tick {
  value: number;
  label: string;
}

export interface Scale {
  at(value: number): number;
  back(share: number): number;
  ticks: Tick[];
}

type Shown = (value: number) => string;

/** Even, from `low` to a round number at or above `high`; ticks at least `least` apart: of people there is no half. */
export function linear(low: number, high: number, shown: Shown, want = 5, least = 0): Scale {
  const step = Math.max(least, roundStep((high - low || 1) / want));
  const top = Math.max(low + step, Math.ceil(high / step - 1e-9) * step);
  return between(low, top, step, shown);
}

/** Seconds along a run: ends where the run ends, ticks at round times. */
export function seconds(end: number, shown: Shown, want = 6): Scale {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
  const step = steps.find((one) => end / one <= want) ?? 14_400;
  return between(0, Math.max(end, 1), step, shown);
}

function between(low: number, high: number, step: number, shown: Shown): Scale {
  const ticks: Tick[] = [];
  for (let value = low; value <= high + step * 1e-6; value += step) ticks.push({ value, label: shown(value) });
  const at = (value: number): number => (value - low) / (high - low);
  return { at, back: (part) => low + part * (high - low), ticks };
}

/** Each factor of ten takes the same room. Ends are powers of ten, halved where the room would stay empty. */
export function logarithmic(low: number, high: number, shown: Shown): Scale {
  const from = Math.max(low, 1);
  const to = Math.max(high, from * 1.01);
  const ladder: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(from)); power <= to * 10; power *= 10) ladder.push(power, power * 2, power * 5);
  const first = ladder.findLast((value) => value <= from) ?? from;
  const last = ladder.find((value) => value >= to) ?? to;
  const inside = ladder.filter((value) => value >= first && value <= last);
  const decades = Math.log10(last / first);
  const kept = decades > 2.4 ? inside.filter((value) => Number.isInteger(Math.log10(value))) : inside;
  const span = Math.log(last / first);
  return {
    at: (value) => Math.log(Math.max(value, first) / first) / span,
    back: (part) => first * Math.exp(part * span),
    ticks: (kept.length > 1 ? kept : inside).map((value) => ({ value, label: shown(value) })),
  };
}

/** Percentiles, each further nine as wide as the last: 0, 90, 99, 99.9 … up to the last one of `count` values. */
export function percentiles(count: number): Scale {
  const nines = Math.max(2, Math.log10(Math.max(count, 1)));
  const at = (percent: number): number => Math.min(1, Math.log10(1 / Math.max(1 - percent / 100, 10 ** -nines)) / nines);
  const ticks = [{ value: 0, label: "0%" }, { value: 50, label: "50%" }];
  for (let nine = 1; nine <= nines; nine += 1) {
    const value = 100 - 10 ** (2 - nine);
    ticks.push({ value, label: `${value.toFixed(Math.max(0, nine - 2))}%` });
  }
  return { at, back: (part) => 100 * (1 - 10 ** (-part * nines)), ticks };
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 2.5, 5, 10].find((one) => one * power >= rough * 0.999) ?? 10;
  return factor * power;
}
