/** Memory of a page and of its workers, read over the DevTools protocol, and of Chromium's processes, read from /proc. */
import { readdirSync, readFileSync } from "node:fs";
import type { BrowserContext, CDPSession, Page } from "@playwright/test";

export interface Memory {
  /**
   * Bytes of JavaScript objects, the page's DOM and buffers outside wasm, garbage included: of the page and the workers it started,
   * together, at the largest reading. Workers of workers (wllama's threads) are not in it.
   */
  js: number;
  /** Bytes of the WebAssembly memories. They never shrink, so the size at the end is the peak. */
  wasm: number;
  /** Peak resident bytes of the page's process, code and workers included. */
  renderer: number;
  /** Peak resident bytes of Chromium's GPU process. */
  gpu: number;
}

interface HeapUsage {
  usedSize: number;
  embedderHeapUsedSize: number;
  backingStorageSize: number;
}

/** Runs in each worker before its script: keeps the memories of the modules that are instantiated there. */
const WATCH = `(() => {
  const memories = new Set();
  const keep = (object) => {
    for (const value of Object.values(object ?? {})) {
      if (value instanceof WebAssembly.Memory) memories.add(value);
    }
  };
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (module, imports) => {
      const result = await original.call(WebAssembly, module, imports);
      Object.values(imports ?? {}).forEach(keep);
      keep((result.instance ?? result).exports);
      return result;
    };
  }
  globalThis.wasmBytes = () => [...memories].reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
})()`;
const PERIOD_MS = 250;
const PAGE = "";

/** Reads a page's memory while it works. A worker that computes without a pause is read when the pause comes. */
export class Meter {
  readonly #session: CDPSession;
  readonly #workers = new Set<string>();
  readonly #usage = new Map<string, HeapUsage>();
  readonly #pending = new Set<string>();
  readonly #answers = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>();
  #next = 0;
  #peak = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(session: CDPSession) {
    this.#session = session;
  }

  static async start(context: BrowserContext, page: Page): Promise<Meter> {
    const session = await context.newCDPSession(page);
    const meter = new Meter(session);
    session.on("Target.attachedToTarget", ({ sessionId }) => void meter.#watch(sessionId));
    session.on("Target.detachedFromTarget", ({ sessionId }) => {
      meter.#workers.delete(sessionId);
      meter.#usage.delete(sessionId);
    });
    session.on("Target.receivedMessageFromTarget", ({ message }) => meter.#receive(message));
    await session.send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: true, flatten: false });
    meter.#timer = setInterval(() => meter.#sample(), PERIOD_MS);
    return meter;
  }

  /** The last reading, then all together. `profile` tells this browser's processes from others. */
  async stop(profile: string): Promise<Memory> {
    clearInterval(this.#timer);
    const { renderer, gpu } = processPeaks(profile);
    let wasm = 0;
    for (const worker of this.#workers) {
      const { result } = (await this.#send(worker, "Runtime.evaluate", { expression: "wasmBytes()" })) as { result: { value: number } };
      wasm += result.value;
    }
    return { js: this.#peak, wasm, renderer, gpu };
  }

  /** A worker waits for this before its first line. */
  async #watch(worker: string): Promise<void> {
    this.#workers.add(worker);
    try {
      await this.#send(worker, "Runtime.evaluate", { expression: WATCH });
      await this.#send(worker, "Runtime.runIfWaitingForDebugger", {});
    } catch {
      // It was ended before it began.
      this.#workers.delete(worker);
    }
  }

  #sample(): void {
    for (const target of [PAGE, ...this.#workers]) {
      if (!this.#pending.has(target)) {
        this.#pending.add(target);
        void this.#read(target);
      }
    }
  }

  async #read(target: string): Promise<void> {
    try {
      this.#usage.set(target, (await this.#send(target, "Runtime.getHeapUsage", {})) as HeapUsage);
      let sum = 0;
      for (const usage of this.#usage.values()) {
        sum += usage.usedSize + usage.embedderHeapUsedSize + usage.backingStorageSize;
      }
      this.#peak = Math.max(this.#peak, sum);
    } catch {
      // The page or the worker has gone: its last reading counted.
      this.#usage.delete(target);
    } finally {
      this.#pending.delete(target);
    }
  }

  /** A command to the page, or to a worker through its page. */
  async #send(target: string, method: string, params: object): Promise<unknown> {
    const id = ++this.#next;
    if (target === PAGE) {
      // The protocol's types want the method's name as a literal.
      return await (this.#session.send as (method: string, params: object) => Promise<unknown>).call(this.#session, method, params);
    }
    const answer = new Promise<unknown>((resolve, reject) => this.#answers.set(id, { resolve, reject }));
    await this.#session.send("Target.sendMessageToTarget", { sessionId: target, message: JSON.stringify({ id, method, params }) });
    return await answer;
  }

  #receive(message: string): void {
    const { id, result, error } = JSON.parse(message) as { id?: number; result?: unknown; error?: { message: string } };
    const waiting = id === undefined ? undefined : this.#answers.get(id);
    if (id === undefined || !waiting) {
      return;
    }
    this.#answers.delete(id);
    if (error) {
      waiting.reject(new Error(error.message));
    } else {
      waiting.resolve(result);
    }
  }
}

/** Largest peak of the renderers, and that of the GPU process, of the browser with this profile. */
function processPeaks(profile: string): { renderer: number; gpu: number } {
  const peaks = { renderer: 0, gpu: 0 };
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const kind = /--type=(renderer|gpu)/.exec(command)?.[1] as "renderer" | "gpu" | undefined;
      if (kind && command.includes(profile)) {
        const kib = Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
        peaks[kind] = Math.max(peaks[kind], kib * 1024);
      }
    } catch {
      // The process ended meanwhile.
    }
  }
  return peaks;
}
