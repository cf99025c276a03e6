/** The engine of this worker: the build that fits, loaded once. */
import * as alone from "./engine/chord_web.js";
import * as threaded from "./engine/chord_web_threads.js";
import { startThreads } from "./threads.js";
import { engineUrl } from "./vectors.js";

/** What both builds have. */
export type Glue = Pick<typeof alone, "Cancel" | "Model" | "plan">;

export interface Engine {
  glue: Glue;
  memory: WebAssembly.Memory;
  /** Of the processor; this worker is one of them. */
  threads: number;
}

let single: Promise<Engine> | undefined;
let shared: Promise<Engine> | undefined;

/** The engine for so many threads. Where they cannot be had it has one. */
export async function startEngine(threads: number, trouble: string | undefined): Promise<Engine> {
  if (threads > 1) {
    try {
      return await (shared ??= withThreads(threads, trouble));
    } catch (error) {
      console.warn("wasm-chord: computing on one thread:", error);
    }
  }
  return (single ??= withoutThreads());
}

async function withoutThreads(): Promise<Engine> {
  const { memory } = await alone.default({ module_or_path: engineUrl(false) });
  return { glue: alone, memory, threads: 1 };
}

async function withThreads(threads: number, trouble: string | undefined): Promise<Engine> {
  const { memory } = await threaded.default({ module_or_path: engineUrl(true) });
  // The worker of the engine is one of them.
  await startThreads(threads - 1, { module: threaded.engineModule() as WebAssembly.Module, memory, trouble });
  return { glue: threaded, memory, threads };
}
