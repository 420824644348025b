/** What the page is given: the same records as `loadtest/result.py` and `loadtest/report/view.py` write. */

/** Percentiles of one histogram, microseconds. */
export interface Percentiles {
  count: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  p999: number;
  max: number;
}

/** available, held, paying, sold, waiting */
export type Stock = [number, number, number, number, number];

export interface SampleRow {
  until_us: number;
  counters: Record<string, number>;
  gauges: Record<string, number>;
  latencies: Record<string, Percentiles>;
  server: Record<string, number>;
  stock: Record<string, Stock>;
}

export interface Phase {
  name: string;
  from_us: number;
  to_us: number;
}

export interface ThresholdVerdict {
  text: string;
  value: number | null;
  ok: boolean;
  why: string;
}

export interface Breach {
  kind: string;
  sentence: string;
  history: string[];
}

export interface CheckResult {
  checked: Record<string, number>;
  counts: Record<string, number>;
  breaches: Breach[];
  complete: boolean;
  note: string;
}

export interface GeneratorHealth {
  host: string;
  pid: number;
  receiver: string;
  clock_offset_us: number;
  clock_error_us: number;
  cpu_share_max: number;
  cpu_seconds: number;
  loop_lag_p99_us: number;
  late_sends: number;
  frames: number;
  descriptors_used: number;
  descriptors_max: number;
}

export interface Result {
  scenario: string;
  about: string;
  load: Record<string, string>;
  parameters: Record<string, unknown>;
  target: string;
  own_server: boolean;
  server_version: string;
  machine: string[];
  started_at: string;
  seconds: number;
  phases: Phase[];
  samples: SampleRow[];
  histograms: Record<string, string>;
  latencies: Record<string, Percentiles>;
  counters: Record<string, number>;
  facts: Record<string, number>;
  thresholds: ThresholdVerdict[];
  check: CheckResult | null;
  stop: { part: string; sentence: string; evidence: string[] };
  generators: GeneratorHealth[];
  warnings: string[];
  conclusive: boolean;
  complete: boolean;
  findings: Record<string, unknown>;
}

export type VerdictWord = "wrong_stock" | "broken_off" | "inconclusive" | "breached" | "passed";

export interface Verdict {
  word: VerdictWord;
  headline: string;
  sentences: string[];
  exit_code: number;
}

/** percentile 0…100, microseconds, how many up to there */
export type SpectrumPoint = [number, number, number];

export interface View {
  title: string;
  result: Result | null;
  verdict: Verdict | null;
  spectra: Record<string, SpectrumPoint[]>;
  error_words: Record<string, string>;
  ordinary: string[];
  /** Where the rows of a run that is still on come from; empty in a report. */
  events: string;
}
