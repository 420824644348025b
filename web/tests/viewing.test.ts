/** How she wants to see a show: her own choice first, then what her device says, kept where a browser keeps anything. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { standsMs } from "../src/shared/captions";

const keeps = (kept: Record<string, string>) => ({ getItem: (key: string) => kept[key] ?? null, setItem: (key: string, word: string) => void (kept[key] = word) });

async function page(device: { saveData?: boolean; effectiveType?: string; reduced?: boolean } = {}, kept: Record<string, string> = {}, storage: object = keeps(kept)) {
  const line = Object.assign(new EventTarget(), { saveData: device.saveData ?? false, effectiveType: device.effectiveType ?? "4g" });
  const reduced = Object.assign(new EventTarget(), { matches: device.reduced ?? false });
  vi.stubGlobal("navigator", { connection: line });
  vi.stubGlobal("matchMedia", () => reduced);
  vi.stubGlobal("localStorage", storage);
  const viewing = await import("../src/shared/viewing");
  return { ...viewing, ...(await import("../src/shared/wishes")), line, reduced, kept };
}

beforeEach(() => void vi.resetModules());
afterEach(() => void vi.unstubAllGlobals());

test.each([
  [{}, false],
  [{ saveData: true }, true],
  [{ reduced: true }, true],
  [{ effectiveType: "2g" }, true],
  [{ effectiveType: "slow-2g" }, true],
  [{ effectiveType: "3g" }, false],
])("who chose nothing gets what her device says: %o", async (device, saves) => {
  expect((await page(device)).withoutPicture.value).toBe(saves);
});

test("what she chose stands, whatever her device says, and is kept", async () => {
  const here = await page({ saveData: true });
  here.choosePicture("picture");
  expect([here.withoutPicture.value, here.kept["lc.picture"]]).toEqual([false, "picture"]);
  here.choosePicture("sound");
  vi.resetModules();
  expect((await page({}, here.kept)).withoutPicture.value).toBe(true);
});

test("a device that begins to save data while she watches is heard, until the page leaves", async () => {
  const here = await page();
  const stop = here.watchTheLine();
  here.line.saveData = true;
  here.line.dispatchEvent(new Event("change"));
  expect(here.withoutPicture.value).toBe(true);
  stop();
  here.line.saveData = false;
  here.line.dispatchEvent(new Event("change"));
  expect(here.withoutPicture.value).toBe(true);
});

test("captions stand while there is no sound, unless she says otherwise", async () => {
  const here = await page();
  expect([here.wantsCaptions(true), here.wantsCaptions(false)]).toEqual([true, false]);
  here.chooseCaptions("on");
  expect([here.wantsCaptions(true), here.wantsCaptions(false)]).toEqual([true, true]);
  here.chooseCaptions("off");
  expect([here.wantsCaptions(true), here.wantsCaptions(false), here.kept["lc.captions"]]).toEqual([false, false, "off"]);
});

test("a browser that keeps nothing, or kept nonsense, is no trouble", async () => {
  const shut = (): never => {
    throw new DOMException("no", "SecurityError");
  };
  const here = await page({}, {}, { getItem: shut, setItem: shut });
  here.choosePicture("sound");
  expect(here.withoutPicture.value).toBe(true);
  vi.resetModules();
  expect((await page({}, { "lc.picture": "video", "lc.captions": "1" })).pictureChoice.value).toBe("auto");
});

test("a line stands as long as it takes to read it, the same as in the replay", () => {
  expect(["Hi", "x".repeat(60), "今晚的口红只有三百支大家不要错过", "x".repeat(200)].map(standsMs)).toEqual([2500, 4500, 16 * 220, 8000]);
});
