/** The plots of a run, each with what it shows in a sentence, or with why there is nothing to show. */
import type { JSX } from "preact";
import { EmptyState } from "../shared/ui/EmptyState";
import { clock, count, errorNumber, errorWords, number, plain, share, short, time, timeTick } from "./figures";
import { Plot, type Series, type Shade, type Tone } from "./Plot";
import { linear, logarithmic, percentiles, seconds } from "./scale";
import { dealsOf, errorsOf, gauge, namesOf, rate, server, spectrum, stock, worst, type Stretch } from "./series";
import type { Phase, SampleRow, View } from "./view";

interface Drawing {
  view: View;
  rows: SampleRow[];
  over: Stretch[];
  phases: Phase[];
}

const TONES: Record<string, { tone: Tone; dashed?: boolean }> = {
  state: { tone: "rose" },
  talk: { tone: "blue" },
  reserve: { tone: "green" },
  join: { tone: "gold" },
  pay: { tone: "ink" },
  checkout: { tone: "ink", dashed: true },
  said: { tone: "blue", dashed: true },
  release: { tone: "green", dashed: true },
  accept: { tone: "gold", dashed: true },
  catch_up: { tone: "red" },
  return: { tone: "red", dashed: true },
  late: { tone: "grey" },
  loop_lag: { tone: "grey", dashed: true },
};
const ORDER = Object.keys(TONES);
const OTHER_TONES: Tone[] = ["rose", "blue", "green", "gold", "red", "ink", "grey"];
const DEALS_SHOWN = 8;
const ERRORS_SHOWN = 7;
const TAKEN = [1, 2, 3]; // places of held, paying and sold in a row's stock

/** What every plot over time shares. */
function timed({ over, phases }: Drawing) {
  const end = (over.at(-1)?.at ?? 0) + (over.at(-1)?.seconds ?? 0) / 2;
  const shades: Shade[] = phases.map((phase) => ({ name: phase.name, from: phase.from_us / 1e6, to: Math.min(end, phase.to_us / 1e6) }));
  return { x: over.map((one) => one.at), xScale: seconds(end, clock), xShown: clock, xName: "time", shades };
}

/** "Each point is a second", or of how many it is. */
function pointSays(over: Stretch[]): string {
  const each = Math.max(...over.map((one) => one.rows.length));
  return each > 1 ? ` Each point is the worst of ${each} seconds.` : "";
}

const measured = (one: Series): boolean => one.values.some((value) => value !== null && value > 0);
const byOrder = (a: string, b: string): number => ORDER.indexOf(a) - ORDER.indexOf(b);

export function LatencyPlots(drawing: Drawing): JSX.Element {
  const { view, over, rows } = drawing;
  const spectra = Object.entries(view.spectra).sort(([a], [b]) => byOrder(a, b));
  const own = new Set(["late", "loop_lag"]);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.latencies)))].filter((name) => !own.has(name)).sort(byOrder);
  const common = timed(drawing);
  return (
    <div class="plots">
      {spectra.length > 0 ? (
        <Plot
          wide
          height={340}
          title="Latency spectrum"
          about="How many of all waited how long, from the moment it was planned: each further nine of the axis is a tenth of the viewers before it."
          x={[]}
          xScale={percentiles(Math.max(...spectra.map(([, points]) => points.at(-1)?.[2] ?? 1)))}
          xShown={(value) => `${Number(value.toPrecision(7))}%`}
          xName="percentile"
          yShown={time}
          yScale={(low, high) => logarithmic(Math.max(low, 100), high, timeTick)}
          series={spectra.map(([name, points]) => ({ name: plain(name), ...look(name, 0), ...spectrum(points) }))}
        />
      ) : (
        view.result && names.length > 0 && <Nothing title="No spectrum">This result carries no histograms.</Nothing>
      )}
      {names
        .filter((name) => ["state", "talk", "reserve", "join", "catch_up", "return"].includes(name))
        .map((name) => (
          <Plot
            key={name}
            title={HEADS[name] ?? plain(name)}
            about={`${SAYS[name] ?? ""}${pointSays(over)}`}
            {...common}
            yShown={time}
            yScale={(low, high) => logarithmic(Math.max(low, 100), high, timeTick)}
            series={[
              { name: "p99", tone: look(name, 0).tone, values: worst(over, name, "p99") },
              { name: "p50", tone: look(name, 0).tone, dashed: true, values: worst(over, name, "p50") },
            ]}
          />
        ))}
      {names.length === 0 && <Nothing title="No latencies">{view.result ? "Nothing was timed in this run." : "Nothing was timed yet."}</Nothing>}
    </div>
  );
}

const HEADS: Record<string, string> = {
  state: "Card to screen, over time",
  talk: "Chat to screen, over time",
  reserve: "Tap to answer, over time",
  join: "Into the room, over time",
  catch_up: "Back after a break, over time",
  return: "Caught up once back, over time",
};
const SAYS: Record<string, string> = {
  state: "From the planned moment of a card until each viewer has read it.",
  talk: "From the planned moment of a line of chat until each viewer has read it.",
  reserve: "From the planned tap until the answer or the refusal is read.",
  join: "From the planned arrival until the room's welcome is read.",
  catch_up: "From the broken line until everything missed has been read.",
  return: "From the moment the return was planned for until everything missed has been read.",
};

function look(name: string, place: number): { tone: Tone; dashed?: boolean } {
  return TONES[name] ?? { tone: OTHER_TONES[place % OTHER_TONES.length] ?? "grey" };
}

export function DeliveryPlots(drawing: Drawing): JSX.Element {
  const { over } = drawing;
  const common = timed(drawing);
  const frames: Series[] = [
    { name: "state frames", tone: "rose" as const, values: rate(over, "state_frames") },
    { name: "talk frames", tone: "blue" as const, values: rate(over, "talk_frames") },
    { name: "levels (stock, head-count)", tone: "gold" as const, values: rate(over, "levels_frames") },
  ].filter(measured);
  const asked: Series[] = [
    { name: "taps", tone: "gold" as const, values: rate(over, "taps_sent") },
    { name: "answers", tone: "green" as const, values: rate(over, "answers") },
    { name: "refused", tone: "red" as const, values: rate(over, "refused") },
    { name: "orders", tone: "ink" as const, values: rate(over, "orders_confirmed") },
    { name: "chat", tone: "blue" as const, dashed: true, values: rate(over, "chat_sent") },
  ].filter(measured);
  return (
    <div class="plots">
      {frames.length > 0 ? (
        <Plot title="Frames delivered" about="Messages read a second, all viewers together." {...common} yShown={(value) => `${count(value)}/s`} yTick={short} series={frames} />
      ) : (
        <Nothing title="No frames">Nothing was sent to the room in this run.</Nothing>
      )}
      <Plot title="Viewers in the room" about="Welcomed and still there." {...common} yShown={count} yScale={(_, high) => linear(0, high, short, 4, 1)} series={[{ name: "viewers", tone: "gold", values: gauge(over, "in") }]} />
      {asked.length > 0 && (
        <Plot wide title="Asked and answered" about="What viewers did, a second: taps, what came of them, lines of chat." {...common} yShown={(value) => `${number(value)}/s`} yTick={short} series={asked} />
      )}
    </div>
  );
}

export function StockPlots(drawing: Drawing): JSX.Element {
  const { rows, over } = drawing;
  const deals = dealsOf(rows);
  const moved = deals.filter((deal) => rows.some((row) => TAKEN.some((place) => (row.stock[deal]?.[place] ?? 0) > 0)));
  const drawn = [...(moved.length > 2 ? [null] : []), ...moved.slice(0, DEALS_SHOWN)];
  const left = deals.length - Math.min(moved.length, DEALS_SHOWN);
  if (!deals.length) return <Nothing title="No deal in this run">Nothing was reserved, so there is no stock to draw.</Nothing>;
  if (!moved.length) return <Nothing title="Nobody took anything">{`${count(deals.length)} ${deals.length === 1 ? "deal was" : "deals were"} open, and not a unit was reserved.`}</Nothing>;
  return (
    <>
      <div class="plots">
        {drawn.map((deal) => (
          <Plot
            key={deal ?? ""}
            wide={drawn.length === 1 || deal === null}
            title={deal ?? "All deals together"}
            about="Each unit is in one place: free, held by somebody, being paid, or sold. While a deal is open its height does not change."
            {...timed(drawing)}
            stacked
            yShown={count}
            yTick={short}
            yScale={(_, high) => linear(0, high, short, 4, 1)}
            series={[
              { name: "sold", tone: "ink", values: stock(over, deal, "sold") },
              { name: "paying", tone: "rose", values: stock(over, deal, "paying") },
              { name: "held", tone: "held", values: stock(over, deal, "held") },
              { name: "free", tone: "free", values: stock(over, deal, "available") },
            ]}
          />
        ))}
      </div>
      {left > 0 && (
        <p class="muted">
          {left} more {left === 1 ? "deal is" : "deals are"} not drawn: {moved.length > DEALS_SHOWN ? "samples.ndjson has them." : "nobody took anything from them."}
        </p>
      )}
    </>
  );
}

export function ErrorsPart(drawing: Drawing & { counters: Record<string, number> }): JSX.Element {
  const { view, over, counters } = drawing;
  const errors = errorsOf(counters, view.error_words);
  if (!errors.length) return <Nothing title="Nothing was refused, nothing failed" />;
  const ordinary = new Set(view.ordinary);
  const groups: [string, string, string[]][] = [
    ["Worth a look", "What should not happen, a second.", errors.map(([name]) => name).filter((name) => !ordinary.has(name))],
    ["Part of the trade", "Refusals of every good evening, a second.", errors.map(([name]) => name).filter((name) => ordinary.has(name))],
  ];
  const told = groups.filter(([title, , names]) => names.length > 0 || title === "Worth a look");
  return (
    <div class="plots">
      {told.map(([title, about, names]) =>
        names.length > 0 ? (
          <Plot
            key={title}
            wide={told.length === 1}
            title={title}
            about={names.length > ERRORS_SHOWN ? `${about} The ${ERRORS_SHOWN} most frequent of ${names.length}.` : about}
            {...timed(drawing)}
            stacked
            yShown={(value) => `${number(value)}/s`}
            yTick={short}
            series={names.slice(0, ERRORS_SHOWN).map((name, place) => ({ name: legendOf(name, view.error_words), tone: OTHER_TONES[place] ?? "grey", values: rate(over, name) }))}
          />
        ) : (
          <div key={title} class="panel nothing">
            <EmptyState icon="check" title={title}>
              Nothing of this kind happened.
            </EmptyState>
          </div>
        ),
      )}
      <div class="panel table-panel plot-wide">
        <table>
          <caption class="sr-only">All refusals and failures of the run</caption>
          <thead>
            <tr>
              <th scope="col">Number</th>
              <th scope="col">What it means</th>
              <th scope="col" class="num">
                Times
              </th>
            </tr>
          </thead>
          <tbody>
            {errors.map(([name, times]) => (
              <tr key={name}>
                <td class="tabular">{errorNumber(name) || "–"}</td>
                <td>
                  {errorWords(name, view.error_words)}
                  {ordinary.has(name) && <span class="tag">part of the trade</span>}
                </td>
                <td class="num">{count(times)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function legendOf(name: string, words: Record<string, string>): string {
  const all = errorWords(name, words);
  const first = all.split(/[.;]/)[0] ?? all;
  return [errorNumber(name), first.length > 34 ? `${first.slice(0, 32)}…` : first].filter(Boolean).join(" ");
}

const PARTS: [string, string, Tone][] = [
  ["web_cpu", "web", "rose"],
  ["worker_cpu", "worker", "gold"],
  ["redis_cpu", "Redis", "red"],
];

export function CpuPlots(drawing: Drawing): JSX.Element {
  const { rows, over } = drawing;
  const common = timed(drawing);
  const busy: Series[] = PARTS.map(([name, words, tone]) => ({ name: words, tone, values: server(over, name) })).filter((one) => one.values.some((value) => value !== null));
  const each = namesOf(rows, "gauges", (name) => name.startsWith("cpu."));
  const generators: Series[] = (each.length > 1 && each.length <= OTHER_TONES.length ? each : ["cpu"]).map((name, place) => ({
    name: name === "cpu" ? "busiest generator" : `generator ${Number(name.slice(4)) + 1}`,
    tone: OTHER_TONES[(place + 1) % OTHER_TONES.length] ?? "grey",
    values: gauge(over, name),
  }));
  const lags: Series[] = [
    { name: "loop lag p99", tone: "grey" as const, dashed: true, values: worst(over, "loop_lag", "p99") },
    { name: "late p99", tone: "blue" as const, values: worst(over, "late", "p99") },
  ].filter(measured);
  return (
    <div class="plots">
      {busy.length > 0 ? (
        <Plot title="Server" about="Cores in use by each part." {...common} yShown={number} yTick={short} series={busy} />
      ) : (
        <Nothing title="The server could not be looked into">Its processes are on another machine and it told no metrics.</Nothing>
      )}
      {generators.some(measured) && <Plot title="Generators" about="Share of a core each used. Over 95% for long, a run concludes nothing." {...common} yShown={share} yTick={share} yScale={(_, high) => linear(0, Math.max(high, 1), share, 4)} series={generators} />}
      {lags.length > 0 && (
        <Plot wide height={180} title="The generators' own lateness" about="How much later than planned they sent, and how long their own loop kept others waiting." {...common} yShown={time} yScale={(low, high) => logarithmic(Math.max(low, 10), high, timeTick)} series={lags} />
      )}
    </div>
  );
}

function Nothing({ title, children }: { title: string; children?: string }): JSX.Element {
  return (
    <div class="panel plot-wide nothing">
      <EmptyState icon="info" title={title}>
        {children}
      </EmptyState>
    </div>
  );
}
