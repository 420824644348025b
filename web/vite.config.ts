import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const pages = ["watch", "pay", "console", "login", "shop", "demo"];

/** Several pages, one build, straight into the Python package: the server hands out `/static/*` and the entries. */
export default defineConfig({
  base: "/static/",
  appType: "mpa",
  build: {
    outDir: at("../livecommerce/static"),
    emptyOutDir: true,
    manifest: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: Object.fromEntries(pages.map((page) => [page, at(`./${page}.html`)])),
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/live": { target: "ws://127.0.0.1:8080", ws: true } } },
  test: { include: ["tests/**/*.test.{ts,tsx}"], environment: "node" },
});
