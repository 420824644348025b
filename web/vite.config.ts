import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";
import { defineConfig } from "vitest/config";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const pages = ["watch", "pay", "console", "camera", "replay", "login", "shop", "demo"];

const common = {
  base: "/static/",
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
  },
};

/** The load test's report is put into one file by Python, so its script must share no piece with other pages: it is built
    by itself, into the same folder, once they are there. */
function reportAlone(): Plugin {
  let folder = "";
  return {
    name: "report-alone",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle(failed) {
      if (failed) return;
      await build({
        ...common,
        configFile: false,
        root: at("."),
        publicDir: false,
        logLevel: "warn",
        build: { ...common.build, outDir: folder, emptyOutDir: false, rolldownOptions: { input: at("./report.html") } },
      });
    },
  };
}

/** Several pages, one build, straight into the Python package: the server hands out `/static/*` and the entries. */
export default defineConfig({
  ...common,
  appType: "mpa",
  plugins: [reportAlone()],
  build: {
    ...common.build,
    outDir: at("../livecommerce/static"),
    emptyOutDir: true,
    manifest: true,
    rolldownOptions: {
      input: Object.fromEntries(pages.map((page) => [page, at(`./${page}.html`)])),
      checks: { pluginTimings: false }, // it would count the whole build of the report as a slow plug-in
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/live": { target: "ws://127.0.0.1:8080", ws: true } } },
  // Machines that run tests are shared: a limit is for what hangs, not for what is slow.
  test: { include: ["tests/**/*.test.{ts,tsx}"], environment: "node", testTimeout: 60_000 },
});
