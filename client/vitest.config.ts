import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// With HERENOW_DIST=1 the same tests run against what is published: shortened, and with its names mangled.
const dist = fileURLToPath(new URL("dist/", import.meta.url));
const alias = process.env["HERENOW_DIST"] ? [{ find: /^.*\/src\/(index|goeasy|sse)\.js$/, replacement: `${dist}$1.js` }] : [];

export default defineConfig({ test: { environment: "node", alias } });
