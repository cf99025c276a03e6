/**
 * Reading a file of the cache before its turn, in a worker beside this one that throws the bytes away: what counts is that the system then has
 * them in memory, and that this thread repacks weights while the disk works. Sending them over would take longer than reading them again.
 */
import { folder, openReading, type Reading } from "./disk.js";
import { PIECE, type Bytes } from "./options.js";

/** The name of a worker that does nothing else. */
const NAME = "wasm-chord reader";
/** Bytes of a file from which a worker is worth starting. */
const WORTH = 64 << 20;
/** How far before this thread the worker may be: as far as a disk gets while an engine makes itself ready, little for the memory of a phone. */
const AHEAD = 512 << 20;
/** How often this thread says where it is. */
const STEP = 8 << 20;
/** So long, in ms, a worker may take to start, or to let go of the file. */
const PATIENCE = 1000;

/** To the worker: a file to open, answered by "opened"; how far to read; or an end, answered by "closed". */
type Told = { open: string } | { upTo: number } | "close";
type Answer = "opened" | "closed";

interface Running {
  worker: Worker;
  ended: Promise<void>;
  end(): void;
}

export class ReadAhead {
  private running: Running | null = null;
  private upTo = 0;

  /**
   * Reads this file of so many bytes ahead, where that is worth it and a worker can be had. Resolves when that runs: a worker starts, and opens
   * files, only while the thread that asked for it waits for something, and this one does not again before it has memory for the weights.
   */
  async start(name: string, size: number): Promise<void> {
    if (this.running || size < WORTH || typeof Worker === "undefined") {
      return;
    }
    let worker: Worker;
    try {
      worker = new Worker(globalThis.location.href, { type: "module", name: NAME });
    } catch {
      return;
    }
    const { ended } = (this.running = this.watch(worker));
    const opened = new Promise<void>((resolve) => {
      worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => data === "opened" && resolve());
    });
    this.tell({ open: name });
    this.reached(0);
    await Promise.race([opened, ended, patience()]);
  }

  /** This thread has read up to here. */
  reached(at: number): void {
    if (at + AHEAD >= this.upTo + STEP) {
      this.upTo = at + AHEAD;
      this.tell({ upTo: this.upTo });
    }
  }

  /** Resolves when the worker has let go of the file, which nobody could write before. */
  async stop(): Promise<void> {
    const { running } = this;
    if (running) {
      this.tell("close");
      await Promise.race([running.ended, patience()]);
      running.end();
    }
  }

  private watch(worker: Worker): Running {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = () => {
        worker.terminate();
        this.running = null;
        resolve();
      };
    });
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => data === "closed" && end());
    worker.addEventListener("error", (event) => {
      // Or it would be an error of this worker as well, and end it.
      event.preventDefault();
      end();
    });
    return { worker, ended, end };
  }

  private tell(what: Told): void {
    this.running?.worker.postMessage(what);
  }
}

function patience(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE));
}

/** Whether this worker was started to read ahead. */
export function isReader(): boolean {
  return self.name === NAME;
}

/** Reads as far as it is told, piece by piece, so that it hears of an end between any two. */
export function beReader(): void {
  const answer = (what: Answer): void => postMessage(what);
  const { port1: turn, port2: next } = new MessageChannel();
  let file: Promise<Reading | null> = Promise.resolve(null);
  let [at, upTo, reading] = [0, 0, false];
  let memory: Bytes = new Uint8Array(PIECE);
  const step = (): void => next.postMessage(null);
  turn.onmessage = async () => {
    const opened = await file;
    reading = opened !== null && at < Math.min(upTo, opened.size);
    if (opened && reading) {
      const length = Math.min(PIECE, opened.size - at);
      memory = await opened.read(at, length, memory);
      at += length;
      step();
    }
  };
  addEventListener("message", async ({ data }: MessageEvent<Told>) => {
    if (data === "close") {
      upTo = 0;
      (await file)?.close();
      answer("closed");
    } else if ("open" in data) {
      file = folder(false).then((directory) => openReading(directory, data.open));
      // A browser that gives a file to one only does without.
      file = file.catch(() => null);
      await file;
      answer("opened");
    } else {
      upTo = data.upTo;
      if (!reading) {
        reading = true;
        step();
      }
    }
  });
}
