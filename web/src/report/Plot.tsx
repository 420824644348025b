/** One plot: lines or stacked areas over an axis, phases behind them, a readout under the finger, a table behind it.
    Drawn as SVG by us: its colours are the house's tokens, so light, dark and paper need no second drawing; percentile
    axes, stacks and shaded phases would each be a plug-in of a canvas library that no screen reader can look into. */
import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { linear, type Scale } from "./scale";
import type { Values } from "./series";

export type Tone = "rose" | "blue" | "green" | "gold" | "grey" | "red" | "ink" | "held" | "free";

export interface Series {
  name: string;
  tone: Tone;
  dashed?: boolean;
  /** Its own x, where it does not share the plot's. */
  x?: number[];
  values: Values;
}

export interface Shade {
  name: string;
  from: number;
  to: number;
}

export interface PlotProps {
  title: string;
  about: string;
  x: number[];
  xScale: Scale;
  xShown: (value: number) => string;
  xName: string;
  yShown: (value: number) => string;
  /** Made from the highest value that is drawn; a line from 0 where none is given. */
  yScale?: (low: number, high: number) => Scale;
  yTick?: (value: number) => string;
  series: Series[];
  stacked?: boolean;
  shades?: Shade[];
  wide?: boolean;
  height?: number;
}

interface Drawn extends Series {
  at: number[];
  low: Values;
  high: Values;
}

const LEFT = 52;
const RIGHT = 12;
const TOP = 22;
const BOTTOM = 26;
const ROWS_MOST = 40;
const BRIDGED = 12;

export function Plot(props: PlotProps): JSX.Element {
  const { title, about, series, xScale, shades = [], height = 240 } = props;
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [room, width] = useWidth();
  const [over, setOver] = useState<number | null>(null);
  const drawn = useMemo(() => draw(series.filter((one) => !hidden.has(one.name)), props.x, props.stacked ?? false), [series, hidden, props.x, props.stacked]);
  const yScale = scaleOf(props, drawn);
  const px = (value: number): number => LEFT + xScale.at(value) * (width - LEFT - RIGHT);
  const py = (value: number): number => height - BOTTOM - yScale.at(value) * (height - TOP - BOTTOM);

  const toggle = (name: string): void => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next.size === series.length ? new Set() : next);
  };
  const point = (event: PointerEvent): void => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const share = ((event.clientX - box.left) * (width / box.width) - LEFT) / (width - LEFT - RIGHT);
    setOver(share < -0.02 || share > 1.02 ? null : xScale.back(Math.min(1, Math.max(0, share))));
  };

  return (
    <figure class={`plot panel ${props.wide ? "plot-wide" : ""}`}>
      <figcaption>
        <h3>{title}</h3>
        <p class="muted">{about}</p>
      </figcaption>
      {series.length > 1 && <Legend series={series} hidden={hidden} toggle={toggle} />}
      <div class="plot-room" ref={room}>
        <svg
          viewBox={`0 0 ${width} ${height}`}
          height={height}
          role="img"
          aria-label={`${title}. ${about} The figures stand in the table below.`}
          onPointerMove={point}
          onPointerDown={point}
          onPointerLeave={() => setOver(null)}
        >
          {shades.map((shade, index) => (
            <Shaded key={shade.name + shade.from} shade={shade} odd={index % 2 === 1} left={px(shade.from)} right={px(shade.to)} height={height} />
          ))}
          {yScale.ticks.map((tick) => (
            <g key={tick.value} class="plot-tick">
              <line x1={LEFT} x2={width - RIGHT} y1={py(tick.value)} y2={py(tick.value)} />
              <text x={LEFT - 7} y={py(tick.value) + 3.5} text-anchor="end">
                {tick.label}
              </text>
            </g>
          ))}
          {spaced(xScale, px).map((tick) => (
            <text key={tick.value} class="plot-x" x={px(tick.value)} y={height - 8} text-anchor={anchor(px(tick.value), width)}>
              {tick.label}
            </text>
          ))}
          <line class="plot-base" x1={LEFT} x2={width - RIGHT} y1={height - BOTTOM} y2={height - BOTTOM} />
          {drawn.map((one) =>
            props.stacked ? (
              <path key={one.name} class={`plot-area tone-${one.tone}`} d={areaPath(one, px, py)} />
            ) : (
              <g key={one.name} class={`plot-line tone-${one.tone} ${one.dashed ? "is-dashed" : ""}`}>
                <path d={linePath(one, px, py)} />
                {lonely(one.high).map((index) => (
                  <circle key={index} cx={px(one.at[index] ?? 0)} cy={py(one.high[index] ?? 0)} r="1.8" />
                ))}
              </g>
            ),
          )}
          {over !== null && <Cross drawn={drawn} over={over} px={px} py={py} height={height} />}
        </svg>
        {over !== null && <Readout drawn={drawn} over={over} left={px(over)} width={width} {...props} />}
      </div>
      <Table {...props} />
    </figure>
  );
}

function Legend({ series, hidden, toggle }: { series: Series[]; hidden: ReadonlySet<string>; toggle: (name: string) => void }): JSX.Element {
  return (
    <ul class="legend">
      {series.map((one) => (
        <li key={one.name}>
          <button type="button" aria-pressed={!hidden.has(one.name)} onClick={() => toggle(one.name)}>
            <span class={`legend-mark tone-${one.tone} ${one.dashed ? "is-dashed" : ""}`} />
            {one.name}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Shaded({ shade, odd, left, right, height }: { shade: Shade; odd: boolean; left: number; right: number; height: number }): JSX.Element {
  const fits = right - left > shade.name.length * 5.8 + 8;
  return (
    <g class={`plot-shade ${odd ? "is-odd" : ""}`}>
      <rect x={left} y={TOP - 18} width={Math.max(0, right - left)} height={height - TOP - BOTTOM + 18} />
      {fits && (
        <text x={left + 5} y={TOP - 7}>
          {shade.name}
        </text>
      )}
    </g>
  );
}

function Cross({ drawn, over, px, py, height }: { drawn: Drawn[]; over: number; px: (v: number) => number; py: (v: number) => number; height: number }): JSX.Element {
  return (
    <g class="plot-cross">
      <line x1={px(over)} x2={px(over)} y1={TOP} y2={height - BOTTOM} />
      {drawn.map((one) => {
        const place = nearest(one.at, over);
        const [x, y] = [one.at[place], one.high[place]];
        return x === undefined || y === null || y === undefined ? null : <circle key={one.name} class={`tone-${one.tone}`} cx={px(x)} cy={py(y)} r="3.5" />;
      })}
    </g>
  );
}

function Readout({ drawn, over, left, width, xShown, yShown, shades = [] }: { drawn: Drawn[]; over: number; left: number; width: number } & PlotProps): JSX.Element {
  const first = drawn[0];
  const at = first ? (first.at[nearest(first.at, over)] ?? over) : over;
  const phase = shades.find((shade) => shade.from <= at && at <= shade.to);
  const side = left > width / 2 ? { right: `${width - left + 12}px` } : { left: `${left + 12}px` };
  return (
    <div class="readout" style={side} aria-hidden="true">
      <strong>
        {xShown(at)}
        {phase && ` · ${phase.name}`}
      </strong>
      {drawn.map((one) => {
        const value = one.values[nearest(one.at, over)];
        return (
          <span key={one.name}>
            <i class={`legend-mark tone-${one.tone} ${one.dashed ? "is-dashed" : ""}`} />
            {one.name}
            <b class="tabular">{value === null || value === undefined ? "–" : yShown(value)}</b>
          </span>
        );
      })}
    </div>
  );
}

function Table({ series, x, title, xName, xShown, yShown }: PlotProps): JSX.Element {
  const [open, setOpen] = useState(false);
  const own = series.some((one) => one.x);
  const all = own ? [...new Set(series.flatMap((one) => one.x ?? x))].sort((a, b) => a - b) : x;
  const each = Math.ceil(all.length / ROWS_MOST);
  const kept = all.filter((_, index) => index % each === 0 || index === all.length - 1);
  return (
    <details class="figures" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`${title}, as a table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">{xName}</th>
                {series.map((one) => (
                  <th scope="col" key={one.name}>
                    {one.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {kept.map((value) => (
                <tr key={value}>
                  <th scope="row">{xShown(value)}</th>
                  {series.map((one) => {
                    const found = one.values[nearest(one.x ?? x, value)];
                    return <td key={one.name}>{found === null || found === undefined ? "–" : yShown(found)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
          {each > 1 && <p class="muted">Every {each}th of {all.length} points; samples.ndjson has every second.</p>}
        </div>
      )}
    </details>
  );
}

/** The width that the plot has on this screen, so that its letters are as large as the page's. */
function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const room = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  useEffect(() => {
    if (!room.current) return;
    const watcher = new ResizeObserver(([entry]) => entry && setWidth(Math.max(240, Math.round(entry.contentRect.width))));
    watcher.observe(room.current);
    return () => watcher.disconnect();
  }, []);
  return [room, width];
}

function draw(series: Series[], x: number[], stacked: boolean): Drawn[] {
  let below: Values = x.map(() => 0);
  return series.map((one) => {
    const low = below;
    const high = stacked ? one.values.map((value, index) => (low[index] ?? 0) + (value ?? 0)) : one.values;
    if (stacked) below = high;
    return { ...one, at: one.x ?? x, low, high };
  });
}

function scaleOf({ yScale, yTick, yShown }: PlotProps, drawn: Drawn[]): Scale {
  const values = drawn.flatMap((one) => one.high).filter((value) => value !== null);
  const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), 0)];
  return yScale ? yScale(Number.isFinite(low) ? low : 0, high) : linear(0, high, yTick ?? yShown, 4);
}

/** A line through what was measured; where nothing was for longer than BRIDGED points, it breaks off. */
function linePath(one: Drawn, px: (v: number) => number, py: (v: number) => number): string {
  let path = "";
  let last = -Infinity;
  one.high.forEach((value, index) => {
    const x = one.at[index];
    if (value === null || x === undefined) return;
    path += `${index - last > BRIDGED ? "M" : "L"}${px(x).toFixed(1)} ${py(value).toFixed(1)}`;
    last = index;
  });
  return path;
}

/** Places of values that have no neighbour: a line alone would hide that each is a moment of its own. */
function lonely(values: Values): number[] {
  const known = (index: number): boolean => (values[index] ?? null) !== null;
  return values.flatMap((_, index) => (known(index) && !known(index - 1) && !known(index + 1) ? [index] : []));
}

/** Where nothing is known, as before a deal is there, nothing is filled. */
function areaPath(one: Drawn, px: (v: number) => number, py: (v: number) => number): string {
  const runs: number[][] = [];
  one.values.forEach((value, index) => {
    if (value === null) return;
    const run = runs.at(-1);
    if (run && run.at(-1) === index - 1) run.push(index);
    else runs.push([index]);
  });
  const point = (index: number, y: Values): string => `${px(one.at[index] ?? 0).toFixed(1)} ${py(y[index] ?? 0).toFixed(1)}`;
  return runs.map((run) => `M${run.map((index) => point(index, one.high)).join("L")}L${run.map((index) => point(index, one.low)).reverse().join("L")}Z`).join("");
}

/** Ticks that do not touch each other. */
function spaced(scale: Scale, px: (v: number) => number): { value: number; label: string }[] {
  let last = -Infinity;
  return scale.ticks.filter(({ value, label }) => {
    const free = px(value) - last > label.length * 6 + 14;
    if (free) last = px(value);
    return free;
  });
}

const anchor = (x: number, width: number): "start" | "middle" | "end" => (x < LEFT + 8 ? "start" : x > width - 28 ? "end" : "middle");

/** Place of the value nearest to `wanted` in a rising list. */
export function nearest(rising: number[], wanted: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  const before = rising[low - 1];
  return before !== undefined && wanted - before < (rising[low] ?? Infinity) - wanted ? low - 1 : low;
}
