/** A worker that answers when the test says so. Messages are cloned, as a real port does. */
import type { GenerateDone, Operation, Operations, Request, Response, TokenEvent } from "../src/protocol.js";
import type { ChordInfo } from "../src/types.js";

export const INFO: ChordInfo = {
  model: {
    architecture: "llama",
    name: "Tiny",
    layers: 2,
    width: 64,
    heads: 2,
    kvHeads: 1,
    headDim: 32,
    vocabulary: 100,
    trainedContext: 512,
    tokenizer: "gpt2",
    chatTemplate: true,
  },
  adapter: { name: "fake", backend: "webgpu", type: "cpu", driver: "" },
  device: { kind: "gpu", reason: "a GPU is there", threads: 0 },
  contextLength: 512,
  kv: "f16",
  precision: "fast",
  describe: {},
};

/** The end of a generation of these texts. */
export function done(texts: string[], change: Partial<GenerateDone> = {}): GenerateDone {
  return {
    promptTokens: [1, 2, 3],
    tokens: texts.map((_, i) => 10 + i),
    text: texts.join(""),
    reasoning: "",
    finishReason: "stop",
    timings: { prefillMs: 4, prefillTokS: 500, ttftMs: 5, decodeMs: 6, decodeTokS: 300, prefilledTokens: 2, reusedTokens: 1, draftedTokens: 7, acceptedTokens: 3 },
    ...change,
  };
}

type Sent<K extends Operation> = { id: number; op: K; input: Operations[K]["in"] };

export class FakeWorker {
  /** Workers made, oldest first. */
  static made: FakeWorker[] = [];
  /** Answers `load` and `dispose` without being told. */
  static obliging = true;

  readonly url: string;
  readonly options: unknown;
  readonly sent: Request[] = [];
  terminated = false;
  readonly #listeners: { type: string; listener: (event: Event) => void }[] = [];

  constructor(url: string | URL = "worker.js", options: unknown = undefined) {
    this.url = String(url);
    this.options = options;
    FakeWorker.made.push(this);
  }

  static get last(): FakeWorker {
    const worker = FakeWorker.made.at(-1);
    if (!worker) {
      throw new Error("no worker was made");
    }
    return worker;
  }

  postMessage(message: Request, transfer: Transferable[] = []): void {
    if (this.terminated) {
      throw new Error("the worker has been terminated");
    }
    const request = structuredClone(message, { transfer }) as Request;
    this.sent.push(request);
    if (FakeWorker.obliging && request.op === "load") {
      this.respond({ id: request.id, kind: "done", output: INFO });
    }
    if (FakeWorker.obliging && request.op === "dispose") {
      this.respond({ id: request.id, kind: "done", output: null });
    }
  }

  addEventListener(type: string, listener: (event: Event) => void): void {
    this.#listeners.push({ type, listener });
  }

  terminate(): void {
    this.terminated = true;
  }

  /** A message to the page, in a task of its own. */
  respond(response: Response): void {
    const data = structuredClone(response);
    setImmediate(() => {
      if (!this.terminated) {
        this.emit("message", Object.assign(new Event("message"), { data }));
      }
    });
  }

  emit(type: string, event: Event = new Event(type)): void {
    for (const each of this.#listeners) {
      if (each.type === type) {
        each.listener(event);
      }
    }
  }

  /** What was sent for this operation, oldest first. */
  of<K extends Operation>(op: K): Sent<K>[] {
    return this.sent.filter((request): request is Sent<K> & Request => request.op === op) as Sent<K>[];
  }

  /** Ids of the requests that the page aborted. */
  get aborted(): number[] {
    return this.sent.filter((request) => request.op === "abort").map((request) => request.id);
  }

  token(id: number, text: string, logprobs?: TokenEvent["logprobs"]): void {
    this.respond({ id, kind: "token", token: { id: 10, text, ...(logprobs && { logprobs }) } });
  }

  done(id: number, output: unknown): void {
    this.respond({ id, kind: "done", output });
  }

  failed(id: number, code: string, message = "it failed"): void {
    this.respond({ id, kind: "failed", error: { code, message, help: "help" } });
  }

  /** Answers the n-th generation with these texts (or reasoning), token by token. */
  answer(n: number, pieces: (string | { reasoning: string })[], change: Partial<GenerateDone> = {}): void {
    const id = this.of("generate")[n]?.id;
    if (id === undefined) {
      throw new Error(`there is no generation ${n}`);
    }
    for (const piece of pieces) {
      this.respond({ id, kind: "token", token: { id: 10, text: "", ...(typeof piece === "string" ? { text: piece } : piece) } });
    }
    this.done(id, done(pieces.map((piece) => (typeof piece === "string" ? piece : "")), change));
  }
}

/** Makes `new Worker` give fake ones, and forgets those of before. */
export function useFakeWorkers(): void {
  FakeWorker.made = [];
  FakeWorker.obliging = true;
  Object.assign(globalThis, { Worker: FakeWorker });
}

/** Lets every message that is under way arrive. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}
