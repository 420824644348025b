/** The page from top to bottom: verdict, figures, plots, what the checker found, what the run was. */
import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "../shared/ui/Icon";
import { CheckPart, FindingsPart, MachinePart, ReadingPart, RunPart, ThresholdsPart } from "./parts";
import { CpuPlots, DeliveryPlots, ErrorsPart, LatencyPlots, StockPlots } from "./plots";
import { clock, count, number, share, time } from "./figures";
import { stretches, totals } from "./series";
import type { Result, SampleRow, Verdict, VerdictWord, View } from "./view";

const LOOKS: Record<VerdictWord, { tone: string; icon: IconName }> = {
  passed: { tone: "good", icon: "check" },
  breached: { tone: "bad", icon: "alert" },
  wrong_stock: { tone: "bad", icon: "alert" },
  inconclusive: { tone: "warn", icon: "question" },
  broken_off: { tone: "warn", icon: "alert" },
};

export function App({ view, rows, open }: { view: View; rows: SampleRow[]; open: boolean }): JSX.Element {
  const { result } = view;
  const over = stretches(rows);
  const drawing = { view, rows, over, phases: result?.phases ?? [] };
  const counters = result?.counters ?? totals(rows);
  return (
    <div class="report">
      <Masthead view={view} />
      <main>
        {result && view.verdict ? <VerdictCard verdict={view.verdict} result={result} /> : <Running rows={rows} open={open} />}
        <KeyFigures result={result} rows={rows} />
        <nav class="chips" aria-label="Parts of the report">
          {PARTS.filter(([, , whole]) => result || !whole).map(([id, name]) => (
            <a key={id} href={`#${id}`}>
              {name}
            </a>
          ))}
        </nav>
        {result && (
          <Part id="thresholds" title="Thresholds">
            <ThresholdsPart thresholds={result.thresholds} />
          </Part>
        )}
        {result && Object.keys(result.findings).length > 0 && (
          <Part id="findings" title="What this scenario found">
            <FindingsPart findings={result.findings} />
          </Part>
        )}
        <Part id="latency" title="Latency">
          <LatencyPlots {...drawing} />
        </Part>
        <Part id="delivery" title="Delivery">
          <DeliveryPlots {...drawing} />
        </Part>
        <Part id="stock" title="Stock">
          <StockPlots {...drawing} />
        </Part>
        {result && (
          <Part id="check" title="Does stock add up?">
            <CheckPart check={result.check} />
          </Part>
        )}
        <Part id="errors" title="Refused and failed">
          <ErrorsPart {...drawing} counters={counters} />
        </Part>
        <Part id="machine" title="Server and generators">
          <CpuPlots {...drawing} />
          {result && <MachinePart result={result} />}
        </Part>
        {result && (
          <Part id="run" title="The run">
            <RunPart result={result} />
          </Part>
        )}
        <Part id="reading" title="How to read this">
          <ReadingPart />
        </Part>
      </main>
      <footer class="muted">
        Made by the livecommerce load tester. This file holds the whole result; it opens without network and sends nothing anywhere.
      </footer>
    </div>
  );
}

/** id, name, only in the report of a whole run */
const PARTS: [string, string, boolean][] = [
  ["thresholds", "Thresholds", true],
  ["latency", "Latency", false],
  ["delivery", "Delivery", false],
  ["stock", "Stock", false],
  ["check", "Check", true],
  ["errors", "Errors", false],
  ["machine", "Machine", false],
  ["run", "The run", true],
  ["reading", "How to read", false],
];

function Part({ id, title, children }: { id: string; title: string; children: ComponentChildren }): JSX.Element {
  return (
    <section id={id} class="part" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{title}</h2>
      {children}
    </section>
  );
}

function Masthead({ view }: { view: View }): JSX.Element {
  const { result } = view;
  return (
    <header class="masthead">
      <p class="brand">
        <span class="display">livecommerce</span> <span class="tag">load test</span>
      </p>
      <p class="masthead-run">
        <strong>{view.title}</strong>
        {result && (
          <span class="muted">
            {" "}
            · {day(result.started_at)} · {clock(result.seconds)} min
          </span>
        )}
      </p>
    </header>
  );
}

/** As it was told, in UTC: a report is compared with logs. */
function day(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return `${new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" }).format(at)} UTC`;
}

function VerdictCard({ verdict, result }: { verdict: Verdict; result: Result }): JSX.Element {
  const looks = LOOKS[verdict.word];
  const evidence = result.stop.evidence.filter((line) => !result.warnings.includes(line));
  return (
    <section class={`verdict verdict-${looks.tone}`} aria-labelledby="verdict-title">
      <span class="verdict-mark">
        <Icon name={looks.icon} size={34} />
      </span>
      <div class="verdict-words">
        <h1 id="verdict-title">{verdict.headline}</h1>
        {verdict.sentences.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
        {evidence.length > 0 && (
          <ul class="evidence">
            {evidence.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        )}
        {result.warnings.map((warning) => (
          <p key={warning} class="verdict-warning">
            <Icon name="info" size={18} /> {warning}
          </p>
        ))}
      </div>
      <p class="verdict-code muted">
        exit code <b class="tabular">{verdict.exit_code}</b>
      </p>
    </section>
  );
}

function Running({ rows, open }: { rows: SampleRow[]; open: boolean }): JSX.Element {
  const seconds = (rows.at(-1)?.until_us ?? 0) / 1e6;
  return (
    <section class="verdict verdict-live" aria-labelledby="verdict-title">
      <span class="verdict-mark">
        <Icon name="play" size={34} />
      </span>
      <div class="verdict-words">
        <h1 id="verdict-title">{rows.length ? `Running, ${clock(seconds)}` : "About to begin"}</h1>
        <p role="status">
          {open ? "The figures below are of the last second; the verdict comes when the run is over." : "The line to the load tester is gone: it ended, or this machine is busy. Trying again."}
        </p>
      </div>
    </section>
  );
}

interface Figure {
  name: string;
  value: string;
  says: string;
  tone?: "good" | "bad";
}

function KeyFigures({ result, rows }: { result: Result | null; rows: SampleRow[] }): JSX.Element {
  const figures = result ? figuresOf(result) : figuresNow(rows);
  return (
    <dl class="key-figures" style={{ "--columns": String(columns(figures.length)) }}>
      {figures.map((figure) => (
        <div key={figure.name} class={`panel ${figure.tone ? `is-${figure.tone}` : ""}`}>
          <dt>{figure.name}</dt>
          <dd>
            <span class="key-value tabular">{figure.value}</span>
            <span class="key-says">{figure.says}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** As many abreast as leave rows of nearly the same length. */
const columns = (figures: number): number => Math.ceil(figures / Math.ceil(figures / 6));

const NAMES: Record<string, string> = {
  state: "Card on every screen",
  talk: "Chat on every screen",
  reserve: "Answer to a tap",
  join: "Into the room",
  catch_up: "Back after a break",
  return: "Caught up once back",
};

function figuresOf(result: Result): Figure[] {
  const made: Figure[] = [];
  const most = result.samples.reduce((high, row) => Math.max(high, row.gauges.in ?? 0), 0);
  const failed = result.facts.failed_joins_share;
  made.push({
    name: "Viewers",
    value: count(most),
    says: failed === undefined ? "in at once, at most" : failed === 0 ? "in at once; nobody failed to come in" : `in at once; ${share(failed)} could not come in`,
  });
  for (const [name, words] of Object.entries(NAMES)) {
    const one = result.latencies[name];
    if (one?.count) made.push({ name: words, value: time(one.p99), says: `p99 · half within ${time(one.p50)}` });
  }
  const { facts, check } = result;
  if (facts.frames_per_second) made.push({ name: "Frames delivered", value: count(facts.frames_per_second), says: "a second, to all viewers" });
  if (facts.accepted_per_second) made.push({ name: "Holds given", value: number(facts.accepted_per_second), says: "a second" });
  if (facts.server_cpu_us_per_frame) {
    const own = facts.generator_cpu_us_per_frame;
    made.push({ name: "Server CPU", value: `${number(facts.server_cpu_us_per_frame)} µs`, says: own ? `a frame · generator ${number(own)} µs` : "a frame" });
  }
  if (check) {
    const oversold = check.counts.oversold ?? 0;
    made.push({ name: "Oversold", value: count(oversold), says: oversold ? "units that were not there" : "units, of all that were promised", tone: oversold ? "bad" : "good" });
  }
  return made;
}

function figuresNow(rows: SampleRow[]): Figure[] {
  const row = rows.at(-1);
  const made: Figure[] = [{ name: "Viewers", value: count(row?.gauges.in ?? 0), says: "in now" }];
  if (!row) return made;
  made.push({ name: "Frames", value: count(row.counters.frames ?? 0), says: "in the last second" });
  for (const [name, words] of Object.entries(NAMES)) {
    const one = rows.findLast((past) => past.latencies[name]?.count)?.latencies[name];
    if (one) made.push({ name: words, value: time(one.p99), says: `p99 · half within ${time(one.p50)}` });
  }
  if (row.server.web_cpu !== undefined) made.push({ name: "Server CPU", value: number(row.server.web_cpu), says: "cores, web processes" });
  if (row.gauges.cpu !== undefined) made.push({ name: "Generator CPU", value: share(row.gauges.cpu), says: "of its core" });
  return made;
}
