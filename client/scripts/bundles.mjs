// What is published, made in memory: the same sources give the same bytes.
import { build } from "esbuild";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { internalNames } from "./internal.mjs";

const root = new URL("../", import.meta.url);
const { version, license } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"));

/** Each file of `dist/` by its name, as bytes. */
export async function bundles() {
  return {
    "index.js": await bundle("index", { format: "esm" }),
    // The core stays outside of the other entries: an application has it once.
    "goeasy.js": await bundle("goeasy", { format: "esm", external: ["./index.js"] }),
    "sse.js": await bundle("sse", { format: "esm", external: ["./index.js"] }),
    "herenow.min.js": await bundle("iife", { format: "iife", banner: { js: `/* herenow ${version}, ${license} */` } }),
  };
}

async function bundle(entry, options) {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(root),
    entryPoints: [`src/${entry}.ts`],
    bundle: true,
    minify: true,
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    mangleProps: internalNames(new URL("src/", root)),
    logLevel: "warning",
    write: false,
    ...options,
  });
  return outputFiles[0].contents;
}
