// Writes `dist/` and, for the Rust adapters, `core/assets/client.js`.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { bundles } from "./bundles.mjs";

const dist = new URL("../dist/", import.meta.url);
const assets = new URL("../../core/assets/", import.meta.url);

const files = await bundles();
rmSync(dist, { recursive: true, force: true });
for (const folder of [dist, assets]) mkdirSync(folder, { recursive: true });
for (const [name, bytes] of Object.entries(files)) writeFileSync(new URL(name, dist), bytes);
writeFileSync(new URL("client.js", assets), files["herenow.min.js"]);
