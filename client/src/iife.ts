/**
 * Everything in one script: `globalThis.herenow`.
 *
 * @module
 */

import { GoEasy } from "./goeasy.js";
import * as core from "./index.js";
import { EventStream, sse } from "./sse.js";

Object.assign(globalThis, { herenow: { ...core, GoEasy, EventStream, sse } });
