// One server per adapter for all tests that need no other settings.
import type { TestProject } from "vitest/node";
import { ADAPTERS, Server, type Adapter } from "./conformance.js";

declare module "vitest" {
  interface ProvidedContext {
    /** Where each adapter's server listens. */
    servers: Record<Adapter, string>;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = await Promise.all(ADAPTERS.map(async (adapter) => [adapter, await Server.start(adapter)] as const));
  project.provide("servers", Object.fromEntries(servers.map(([adapter, { host }]) => [adapter, host])) as Record<Adapter, string>);
  return async () => {
    await Promise.all(servers.map(([, server]) => server.stop()));
  };
}
