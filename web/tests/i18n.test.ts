import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { fill, LOCALES, nearestLocale, type Message } from "../src/shared/i18n";

const folder = new URL("../src/shared/i18n/", import.meta.url);
const sources = new URL("../src/", import.meta.url);
const read = (file: string): Record<string, Message> => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Record<string, Message>;
const areas = [...new Set(readdirSync(folder).map((file) => file.split(".")[0] ?? ""))];
const blanksOf = (message: Message): string[] => [...new Set(JSON.stringify(message).match(/\{\w+\}/g) ?? [])].sort();

/** The areas whose words a folder of pages may use; demo and console pages may bring their own. */
const words = new Set(areas.flatMap((area) => Object.keys(read(`${area}.en.json`))));

describe.each(areas)("the words of '%s'", (area) => {
  const english = read(`${area}.en.json`);

  test.each(LOCALES)("are complete in %s, with the same blanks and the plural forms of the language", (locale) => {
    const own = read(`${area}.${locale}.json`);
    expect(Object.keys(own).sort()).toEqual(Object.keys(english).sort());
    for (const [key, message] of Object.entries(own)) {
      expect([key, ...blanksOf(message)]).toEqual([key, ...blanksOf(english[key] as Message)]);
      if (typeof message === "string") continue;
      // "many" (French: from a million on) may be left to "other".
      const rules = new Intl.PluralRules(locale).resolvedOptions().pluralCategories.filter((rule) => rule !== "many");
      expect([key, ...Object.keys(message).filter((rule) => rule !== "many").sort()]).toEqual([key, ...rules.sort()]);
    }
  });

  test.each(LOCALES)("weigh at most 8 KB in %s", (locale) => {
    expect(gzipSync(readFileSync(new URL(`${area}.${locale}.json`, folder))).length).toBeLessThan(8 * 1024);
  });
});

function files(under: URL): URL[] {
  return readdirSync(under, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(new URL(`${entry.name}/`, under)) : /\.tsx?$/.test(entry.name) ? [new URL(entry.name, under)] : [],
  );
}

test("every key that a page names has its words", () => {
  const missing = files(sources).flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/\bt\("([^"]+)"/g)].map((found) => found[1] ?? "").filter((key) => !words.has(key)),
  );
  expect([...new Set(missing)]).toEqual([]);
});

test("the reader's wish is met by the nearest language we speak", () => {
  expect(nearestLocale(["zh-CN"])).toBe("zh-Hans");
  expect(nearestLocale(["de-AT", "fr-CA", "en"])).toBe("fr");
  expect(nearestLocale(["de"])).toBeNull();
});

test("blanks are filled, unknown ones left, plural forms chosen by the language", () => {
  expect(fill("with {host}", { host: "Inès" }, "en")).toBe("with Inès");
  expect(fill("with {host}", {}, "en")).toBe("with {host}");
  expect(fill({ one: "{count} line", other: "{count} lines" }, { count: 1 }, "en")).toBe("1 line");
  expect(fill({ one: "{count} ligne", many: "{count} lignes", other: "{count} lignes" }, { count: 0 }, "fr")).toBe("0 ligne");
});

test("markup in a blank stays text", () => {
  expect(fill("with {host}", { host: "<b>{host}</b>" }, "en")).toBe("with <b>{host}</b>");
});
