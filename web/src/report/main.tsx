/** The report of a load test: reads what stands in its own page, draws it, and listens while the run is on. Wires.
    In English only: it is read by those who read a server's logs, and it must fit in one small file. */
import { render } from "preact";
import "../shared/tokens.css";
import "../shared/base.css";
import "../shared/ui/ui.css";
import "./report.css";
import { App } from "./App";
import { listen } from "./live";
import type { SampleRow, View } from "./view";

const root = document.getElementById("root")!;
const told = document.getElementById("report-data")?.textContent ?? "";
const view: View = JSON.parse(told || '{"title":"Load test","result":null,"verdict":null,"spectra":{},"error_words":{},"ordinary":[],"events":""}') as View;

const draw = (now: View, rows: SampleRow[], open: boolean): void => {
  document.title = now.verdict ? `${now.verdict.headline} · ${now.title}` : `${now.title} · load test`;
  render(<App view={now} rows={rows} open={open} />, root);
};

let rows: SampleRow[] = view.result?.samples ?? [];
let open = true;
draw(view, rows, open);
if (view.events) {
  listen(view.events, {
    rows: (all) => draw(view, (rows = all), open),
    line: (now) => draw(view, rows, (open = now)),
    result: (whole) => draw(whole, (rows = whole.result?.samples ?? []), true),
  });
}
