import { defineConfig, mergeConfig } from "vitest/config";
import server from "./vitest.server.config.js";

// What the adapters serve, in headless Chromium. All tests of a file share one browser.
export default mergeConfig(server, defineConfig({ test: { dir: "test/browser", maxConcurrency: 4 } }));
