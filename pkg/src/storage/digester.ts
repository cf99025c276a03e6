/**
 * SHA-256 of pieces by a worker beside this one: Chromium computes `crypto.subtle.digest` on the thread that asks, which for a gigabyte is
 * 1.4 s in which this one could do nothing else. That worker does not read them too: reading would have to wait for each digest.
 */
import { digestOf } from "./hash.js";
import type { Bytes } from "./options.js";

/** The name of a worker that does nothing else. */
const NAME = "wasm-chord digester";
/** Bytes of a file from which a worker is worth starting. */
const WORTH = 32 << 20;

export interface Digested {
  bytes: Bytes;
  digest: string;
}

export class Digester {
  private worker: Worker | null = null;
  /** Nothing is handed over to a worker that has not said that it is there. */
  private ready = false;
  private readonly waiting: ((digested: Digested | null) => void)[] = [];

  /** For so many bytes. Where no worker can be started, digests are computed here. */
  start(size: number): void {
    if (this.worker || size < WORTH || typeof Worker === "undefined") {
      return;
    }
    try {
      this.worker = new Worker(globalThis.location.href, { type: "module", name: NAME });
    } catch {
      return;
    }
    this.worker.addEventListener("message", ({ data }: MessageEvent<"ready" | Digested>) => {
      if (data === "ready") {
        this.ready = true;
      } else {
        this.waiting.shift()?.(data);
      }
    });
    this.worker.addEventListener("error", (event) => {
      // Or it would be an error of this worker as well, and end it.
      event.preventDefault();
      this.stop();
    });
  }

  /** `bytes` are handed over, and come back in other memory; null where they were lost with the worker. */
  async digest(bytes: Bytes): Promise<Digested | null> {
    const { worker } = this;
    if (!worker || !this.ready || bytes.byteLength !== bytes.buffer.byteLength) {
      return { bytes, digest: await digestOf(bytes) };
    }
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      worker.postMessage(bytes, [bytes.buffer]);
    });
  }

  stop(): void {
    this.worker?.terminate();
    this.worker = null;
    this.ready = false;
    this.waiting.splice(0).forEach((resolve) => resolve(null));
  }
}

/** Whether this worker was started for digests. */
export function isDigester(): boolean {
  return self.name === NAME;
}

/** Answers with digests, in the order of the pieces, for as long as this worker lives. */
export function beDigester(): void {
  let last: Promise<void> = Promise.resolve();
  addEventListener("message", ({ data: bytes }: MessageEvent<Bytes>) => {
    const digest = digestOf(bytes);
    last = last.then(async () => postMessage({ bytes, digest: await digest } satisfies Digested, { transfer: [bytes.buffer] }));
  });
  postMessage("ready");
}
