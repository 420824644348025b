/** What a phone has to fetch before it can tap: read from a build of its own, so that the figures are of this tree. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { build, type Manifest } from "vite";

const KB = 1024;
const out = mkdtempSync(join(tmpdir(), "web-budget-"));
let manifest: Manifest;

beforeAll(async () => {
  // As it is shipped: under the tests' own NODE_ENV every element would carry its file and line.
  vi.stubEnv("NODE_ENV", "production");
  const root = fileURLToPath(new URL("..", import.meta.url));
  await build({ root, configFile: join(root, "vite.config.ts"), logLevel: "error", build: { outDir: out, emptyOutDir: true } });
  manifest = JSON.parse(readFileSync(join(out, ".vite/manifest.json"), "utf8")) as Manifest;
}, 60_000);

afterAll(() => vi.unstubAllEnvs());
afterAll(() => rmSync(out, { recursive: true, force: true }));

/** An entry's own files and those it imports at once; not what it fetches later. */
function firstLoad(entry: string, seen = new Set<string>()): Set<string> {
  const chunk = manifest[entry];
  if (!chunk || seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  chunk.css?.forEach((file) => seen.add(file));
  chunk.imports?.forEach((one) => firstLoad(one, seen));
  return seen;
}

function gzipped(files: Iterable<string>, ending: string): number {
  return [...files].filter((file) => file.endsWith(ending)).reduce((sum, file) => sum + gzipSync(readFileSync(join(out, file))).length, 0);
}

describe.each([
  { page: "watch.html", js: 45, css: 12 },
  { page: "pay.html", js: 30, css: 12 },
  { page: "console.html", js: 90, css: 24 },
])("$page", ({ page, js, css }) => {
  test(`loads at most ${js} KB of script and ${css} KB of styles at first`, () => {
    const files = firstLoad(page);
    expect(gzipped(files, ".js")).toBeGreaterThan(0);
    expect(gzipped(files, ".js")).toBeLessThan(js * KB);
    expect(gzipped(files, ".css")).toBeLessThan(css * KB);
  });
});

test("the player comes later, and within its own budget", () => {
  const player = manifest["src/shared/hls.ts"];
  expect(player?.isDynamicEntry).toBe(true);
  expect([...firstLoad("watch.html")]).not.toContain(player?.file);
  expect(gzipped([player?.file ?? ""], ".js")).toBeLessThan(120 * KB);
});

test("every sheet tells the order of layers itself: which of them a page links first must not matter", () => {
  const sheets = [...new Set(Object.values(manifest).flatMap((chunk) => [...(chunk.css ?? []), ...(chunk.file.endsWith(".css") ? [chunk.file] : [])]))];
  expect(sheets.length).toBeGreaterThan(3);
  for (const sheet of sheets) {
    const layers = readFileSync(join(out, sheet), "utf8").match(/@layer [^{;]+/g) ?? [];
    const named = [...new Set(layers.flatMap((layer) => layer.slice("@layer ".length).split(",").map((name) => name.trim())))];
    // In this order, and none left out before one that is used.
    expect([sheet, ...named]).toEqual([sheet, ...["tokens", "base", "ui", "page"].slice(0, named.length)]);
  }
});

test("no built page asks another host for anything", () => {
  for (const page of ["watch", "pay", "console", "login", "shop", "demo"]) {
    expect(readFileSync(join(out, `${page}.html`), "utf8")).not.toMatch(/(src|href)="(https?:)?\/\//);
  }
});
