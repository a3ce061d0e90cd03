export function bundles(): Promise<Record<"index.js" | "goeasy.js" | "sse.js" | "herenow.min.js", Uint8Array>>;
