/** Threads of the engine: workers that share its memory, where the page may do that. */
import { initSync, lendThread } from "./engine/chord_web_threads.js";

/** The name of a worker that is a thread. */
const THREAD = "wasm-chord thread";
/** More wait for the same memory, and each costs a browser some megabytes. */
const MOST = 8;
const START_MS = 20_000;

/** What a thread starts from. */
interface Start {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** A `BroadcastChannel` for what stops it: the engine, which waits for it, cannot hear. */
  trouble: string | undefined;
}

/** Threads of the processor for so many asked for: one where workers may not share memory. */
export function threadsFor(asked: number | undefined): number {
  // The engine's futures wake by `waitAsync`.
  if (!globalThis.crossOriginIsolated || !("waitAsync" in Atomics)) {
    return 1;
  }
  return asked ?? Math.min(navigator.hardwareConcurrency || 1, MOST);
}

/** Starts workers with this one's script; resolves when all of them have what they need. */
export async function startThreads(count: number, start: Start): Promise<void> {
  const workers = Array.from({ length: count }, () => new Worker(globalThis.location.href, { type: "module", name: THREAD }));
  try {
    await Promise.all(workers.map((worker) => started(worker, start)));
  } catch (error) {
    workers.forEach((worker) => worker.terminate());
    throw error;
  }
}

async function started(worker: Worker, start: Start): Promise<void> {
  let late: ReturnType<typeof setTimeout> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      late = setTimeout(() => reject(new Error("a thread's worker did not start in time")), START_MS);
      worker.addEventListener("message", () => resolve());
      worker.addEventListener("error", (event) => {
        // Or it would be an error of this worker as well, and end it.
        event.preventDefault();
        reject(new Error(event.message || "a thread's worker could not be loaded"));
      });
      worker.postMessage(start);
    });
  } finally {
    clearTimeout(late);
  }
}

/** Whether this worker was started as a thread. */
export function isThread(): boolean {
  return self.name === THREAD;
}

/** Makes this worker a thread for as long as it lives. */
export function beThread(): void {
  const begin = ({ data }: MessageEvent<Start>) => {
    initSync({ module: data.module, memory: data.memory });
    postMessage(null);
    try {
      lendThread();
    } catch (error) {
      if (data.trouble) {
        new BroadcastChannel(data.trouble).postMessage(String(error));
      }
    }
  };
  addEventListener("message", begin, { once: true });
}
