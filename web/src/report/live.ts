/** The rows of a run that is still on, and the whole report once it is over. The browser reconnects by itself; then all
    rows come again from the first, so what was there is replaced. */
import type { SampleRow, View } from "./view";

export interface Told {
  rows(all: SampleRow[]): void;
  result(view: View): void;
  line(open: boolean): void;
}

export function listen(address: string, told: Told): () => void {
  const source = new EventSource(address);
  let rows: SampleRow[] = [];
  source.addEventListener("open", () => {
    rows = [];
    told.line(true);
  });
  source.addEventListener("error", () => told.line(false));
  source.addEventListener("rows", (event) => {
    rows = [...rows, ...(JSON.parse((event as MessageEvent<string>).data) as SampleRow[])];
    told.rows(rows);
  });
  source.addEventListener("result", (event) => {
    source.close();
    told.result(JSON.parse((event as MessageEvent<string>).data) as View);
  });
  return () => source.close();
}
