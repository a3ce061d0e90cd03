// The published files may not outgrow these, in bytes after gzip.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMITS = { "index.js": 5120, "goeasy.js": 1536, "sse.js": 1536, "herenow.min.js": 8192 };

let isOver = false;
for (const [name, limit] of Object.entries(LIMITS)) {
  const bytes = readFileSync(new URL(`../dist/${name}`, import.meta.url));
  const size = gzipSync(bytes, { level: 9 }).length;
  console.log(`${name.padEnd(16)} ${String(bytes.length).padStart(6)} bytes, ${size} of ${limit} after gzip`);
  isOver ||= size > limit;
}
if (isOver) {
  console.error("over the limit: see client/scripts/size.mjs");
  process.exit(1);
}
