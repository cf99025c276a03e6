/** A worker for which SwiftShader passes for a GPU that is not in software, so that what is for those alone runs in these tests. */
import type { TestServer } from "../server/index.ts";

const HARDWARE = `Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", { get: () => false });`;

/** Serves it, with `change` run before the engine as well: its address. */
export function hardwareWorker(server: TestServer, change = ""): string {
  // A script's imports come first: what is changed must be changed in a module of its own before them.
  server.serve("/changed.js", { body: HARDWARE + change, type: "text/javascript" });
  server.serve("/worker.js", { body: `import "/changed.js"; import "/pkg/worker.js";`, type: "text/javascript" });
  return "/worker.js";
}
