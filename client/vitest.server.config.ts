import { defineConfig, mergeConfig } from "vitest/config";
import shared from "./vitest.config.js";

// The client against the real server. The tests wait for the network and share no state: they run beside each other.
export default mergeConfig(shared, defineConfig({
  test: {
    dir: "test/server",
    globalSetup: "test/server/setup.ts",
    sequence: { concurrent: true },
    maxConcurrency: 12,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
}));
