/** The parts that are words and tables: thresholds, the checker, findings, machine, the run, and how to read it all. */
import type { JSX } from "preact";
import { EmptyState } from "../shared/ui/EmptyState";
import { Icon } from "../shared/ui/Icon";
import { count, number, plain, share, time } from "./figures";
import type { Breach, CheckResult, Result, ThresholdVerdict } from "./view";

export function ThresholdsPart({ thresholds }: { thresholds: ThresholdVerdict[] }): JSX.Element {
  if (!thresholds.length) {
    return (
      <div class="panel">
        <EmptyState icon="info" title="No threshold was set">
          Give one with --threshold 'state_p99&lt;100ms' and the run ends with code 99 where it does not hold.
        </EmptyState>
      </div>
    );
  }
  return (
    <div class="panel table-panel">
      <table>
        <caption class="sr-only">What had to hold, and whether it did</caption>
        <thead>
          <tr>
            <th scope="col">Threshold</th>
            <th scope="col" class="num">
              Measured
            </th>
            <th scope="col">Verdict</th>
          </tr>
        </thead>
        <tbody>
          {thresholds.map((one) => (
            <tr key={one.text}>
              <th scope="row">
                <code class="whole">{one.text}</code>
              </th>
              <td class="num">{one.value === null ? "nothing" : `${number(one.value)}${unitOf(one.text)}`}</td>
              <td>
                <span class={`tag ${one.ok ? "tag-good" : "tag-bad"}`}>
                  <Icon name={one.ok ? "check" : "close"} size={13} />
                  {one.ok ? "held" : "breached"}
                </span>{" "}
                {!one.ok && one.value === null && <span class="muted">{one.why}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function unitOf(text: string): string {
  const unit = /(us|ms|s|%)$/.exec(text.replace(/^[^<>=]*/, ""))?.[1] ?? "";
  return unit === "%" || !unit ? unit : ` ${unit === "us" ? "µs" : unit}`;
}

const KINDS: Record<string, string> = {
  oversold: "More units promised at once than there were",
  lost_holds: "A viewer was told she holds a unit; the books do not know it",
  early_ends: "A unit went back before the time that its viewer was told",
  double_effects: "One request had its effect twice",
  lost_state_events: "A viewer who was there never got an event of the show",
  reordered_state_events: "Events came in another order than the show's log has them",
  wrong_state_events: "An event read otherwise than the log has it",
  unanswered: "A request that nobody ever answered",
  late_answers: "An answer that came after the viewer's patience",
  contradicted_answers: "Two answers to one request that cannot both be true",
  unpaid_confirmed: "An order confirmed for which nobody paid",
  paid_for_nothing: "An order that was paid, and is neither confirmed nor refunded",
  books: "The books of the show contradict themselves",
};

export function CheckPart({ check }: { check: CheckResult | null }): JSX.Element {
  if (!check) {
    return (
      <div class="panel">
        <EmptyState icon="info" title="Not checked">
          The checker did not run: without it nothing is known about whether stock adds up.
        </EmptyState>
      </div>
    );
  }
  const wrong = Object.values(check.counts).reduce((sum, found) => sum + found, 0);
  return (
    <>
      <p class="lead">
        {wrong ? `${count(wrong)} of what viewers heard cannot be true.` : check.complete ? "Yes." : "Not proven: not everything could be read."} Every answer that every viewer got was replayed
        against the show's log and the ledger.
        {check.note && ` ${check.note}`}
      </p>
      {Object.keys(check.checked).length > 0 && (
        <dl class="checked">
          {Object.entries(check.checked).map(([name, found]) => (
            <div key={name}>
              <dt>{plain(name)}</dt>
              <dd class="tabular">{count(found)}</dd>
            </div>
          ))}
        </dl>
      )}
      <div class="panel table-panel">
        <table>
          <caption class="sr-only">What the checker looked for, and how often it found it</caption>
          <thead>
            <tr>
              <th scope="col">Looked for</th>
              <th scope="col" class="num">
                Found
              </th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(check.counts).map(([kind, found]) => (
              <tr key={kind} class={found ? "is-bad" : ""}>
                <th scope="row">
                  {KINDS[kind] ?? plain(kind)} <code class="kind">{kind}</code>
                </th>
                <td class="num">
                  <span class={`tag ${found ? "tag-bad" : "tag-good"}`}>{count(found)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {firstOfEach(check.breaches).map((breach) => (
        <article key={breach.kind} class="panel breach">
          <h3>
            First counter-example: <code>{breach.kind}</code>
          </h3>
          <p>{breach.sentence}</p>
          {breach.history.length > 0 && (
            <ol class="history">
              {breach.history.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ol>
          )}
        </article>
      ))}
    </>
  );
}

function firstOfEach(breaches: Breach[]): Breach[] {
  return breaches.filter((breach, place) => breaches.findIndex((other) => other.kind === breach.kind) === place);
}

/** What a scenario says of its own: lists of records as tables, everything else as name and value. */
export function FindingsPart({ findings }: { findings: Record<string, unknown> }): JSX.Element {
  return (
    <div class="panel table-panel findings">
      {Object.entries(findings).map(([name, found]) => (
        <div key={name}>
          <h3>{plain(name)}</h3>
          {isTable(found) ? <Records rows={found} name={plain(name)} /> : <p>{shown(found)}</p>}
        </div>
      ))}
    </div>
  );
}

const isTable = (found: unknown): found is Record<string, unknown>[] =>
  Array.isArray(found) && found.length > 0 && found.every((one) => typeof one === "object" && one !== null && !Array.isArray(one));

function Records({ rows, name }: { rows: Record<string, unknown>[]; name: string }): JSX.Element {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={name}>
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th scope="col" key={column} class={typeof rows[0]?.[column] === "number" ? "num" : ""}>
                {plain(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, place) => (
            <tr key={place}>
              {columns.map((column) => (
                <td key={column} class={typeof row[column] === "number" ? "num" : ""}>
                  {shown(row[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shown(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? count(value) : number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value)) return value.map(shown).join(", ");
  return typeof value === "object" ? Object.entries(value).map(([name, one]) => `${plain(name)} ${shown(one)}`).join(", ") : String(value);
}

export function MachinePart({ result }: { result: Result }): JSX.Element {
  return (
    <>
      {result.generators.length > 0 && (
        <div class="panel table-panel">
          <div class="scroll" tabIndex={0} role="region" aria-label="Generators">
            <table>
              <caption>Generators</caption>
              <thead>
                <tr>
                  <th scope="col">Host</th>
                  <th scope="col">Receiver</th>
                  <th scope="col" class="num">Frames read</th>
                  <th scope="col" class="num">CPU, most</th>
                  <th scope="col" class="num">CPU a frame</th>
                  <th scope="col" class="num">Loop lag p99</th>
                  <th scope="col" class="num">Late sends</th>
                  <th scope="col" class="num">Clock offset</th>
                  <th scope="col" class="num">Descriptors</th>
                </tr>
              </thead>
              <tbody>
                {result.generators.map((one) => (
                  <tr key={`${one.host} ${one.pid}`}>
                    <th scope="row">
                      {one.host} <span class="muted">· {one.pid}</span>
                    </th>
                    <td>{one.receiver}</td>
                    <td class="num">{count(one.frames)}</td>
                    <td class="num">{share(one.cpu_share_max)}</td>
                    <td class="num">{one.frames ? `${number((one.cpu_seconds * 1e6) / one.frames)} µs` : "–"}</td>
                    <td class="num">{time(one.loop_lag_p99_us)}</td>
                    <td class="num">{count(one.late_sends)}</td>
                    <td class="num">{one.clock_offset_us || one.clock_error_us ? `${offset(one.clock_offset_us)} ± ${time(one.clock_error_us)}` : "same clock"}</td>
                    <td class="num">
                      {count(one.descriptors_used)} of {count(one.descriptors_max)}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </div>
      )}
      <ul class="machine">
        {result.machine.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  );
}

const offset = (us: number): string => `${us < 0 ? "−" : "+"}${time(Math.abs(us))}`;

export function RunPart({ result }: { result: Result }): JSX.Element {
  return (
    <>
      <p class="lead">{result.about}</p>
      <div class="two">
        <div class="panel table-panel">
          <table>
            <caption>Load</caption>
            <tbody>
              {Object.entries(result.load).map(([name, model]) => (
                <tr key={name}>
                  <th scope="row">{plain(name)}</th>
                  <td>
                    <span class="tag">{model}</span> <span class="muted">{MODELS[model] ?? ""}</span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <div class="panel table-panel">
          <table>
            <caption>Parameters</caption>
            <tbody>
              {Object.entries(result.parameters).map(([name, value]) => (
                <tr key={name}>
                  <th scope="row">{plain(name)}</th>
                  <td class="num">{shown(value)}</td>
                </tr>
              ))}
              <tr>
                <th scope="row">server</th>
                <td class="num">
                  {result.own_server ? "started for this run" : result.target} · {result.server_version}
                </td>
              </tr>
              <tr>
                <th scope="row">started</th>
                <td class="num">{result.started_at}</td>
              </tr>
            </tbody>
          </table>
        </div>
      </div>
      <AllFigures result={result} />
    </>
  );
}

const MODELS: Record<string, string> = {
  open: "at a rate, whatever the server does",
  closed: "each waits for the server",
};

function AllFigures({ result }: { result: Result }): JSX.Element {
  return (
    <>
      <details class="panel table-panel all-figures">
        <summary>All latencies</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="All latencies">
          <table>
            <thead>
              <tr>
                <th scope="col">What</th>
                {["how many", "p50", "p90", "p95", "p99", "p99.9", "most"].map((column) => (
                  <th scope="col" class="num" key={column}>
                    {column}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {Object.entries(result.latencies).map(([name, one]) => (
                <tr key={name}>
                  <th scope="row">{plain(name)}</th>
                  <td class="num">{count(one.count)}</td>
                  {[one.p50, one.p90, one.p95, one.p99, one.p999, one.max].map((us, place) => (
                    <td class="num" key={place}>
                      {time(us)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
      <details class="panel table-panel all-figures">
        <summary>All counters and derived figures</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">Name, as a threshold may use it</th>
              <th scope="col" class="num">Value</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries({ ...result.counters, ...result.facts })
              .sort(([a], [b]) => a.localeCompare(b))
              .map(([name, value]) => (
                <tr key={name}>
                  <th scope="row">
                    <code>{name}</code>
                  </th>
                  <td class="num">{shown(value)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </details>
    </>
  );
}

const READING: [string, string][] = [
  ["From the planned moment", "Every latency counts from when something was planned to happen, not from when it was really sent. A server that stalls for a second is charged for everybody who had to wait in that second."],
  ["Open and closed", "Open arrivals come at their rate whatever the server does, as people do who do not know each other. Closed ones wait for the server, as a viewer does who taps once. An open evening tested with a closed crowd looks better than it is."],
  ["Percentiles are merged, not averaged", "p99 is what 99 of 100 waited at most. Generators send their raw histograms; the counts are added, then read. No average of percentiles stands anywhere here."],
  ["The spectrum", "Flat is good. A curve that turns up early is a server at its limit; one that turns up only at the far right is a few hiccups. Three nines of a card for 10,000 viewers are still ten people."],
  ["Failed joins stay in", "Who could not come in stays in the count of those who wanted to. A server that turns half the room away is not twice as quick."],
  ["Refused is not failed", "Sold out is an answer, and a quick one is a good one. What is marked “part of the trade” happens every evening; the rest is worth a look."],
  ["The generator is watched too", "Its own CPU, loop lag and late sends are measured beside the server's. Where it was the slower of the two, the verdict is “no conclusion”, and no figure of the run is to be quoted."],
  ["Does stock add up", "Every answer is kept and replayed against the log and the ledger after the run. Zero means: looked for in all of them, and not there."],
  ["Exit codes", "0 passed, 1 broken off, 2 called wrongly, 97 no conclusion, 98 stock does not add up, 99 a threshold was breached. Where several are true: 98, then 1, 97, 99."],
];

export function ReadingPart(): JSX.Element {
  return (
    <dl class="reading">
      {READING.map(([head, words]) => (
        <div key={head}>
          <dt>{head}</dt>
          <dd>{words}</dd>
        </div>
      ))}
    </dl>
  );
}
