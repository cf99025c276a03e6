/**
 * Stands in for the package where the page itself is tested: same types, no GPU. What it does is chosen by words in a model's
 * name (`toolarge`, `missing`, `damaged`, `nospace`, `slow`) and in a question (`overflow`, `lost`, and those of `answers.ts`).
 */
import { aborted, chordError } from "../../../../pkg/src/errors.js";
import type { ChatCompletionChunk, ChatCompletionParams, ChordInfo, DeviceInfo, LoadOptions, ModelSource, Plan, PlanOptions, Stats } from "../../../../pkg/src/types.js";
import { answerTo, PONDERED } from "./answers.ts";

export { ChordError } from "../../../../pkg/src/errors.js";

const FILE_BYTES = 98_000_000;
const ADAPTER = { name: "Fake GPU", backend: "test", type: "cpu", driver: "" };
/** As the package's own choice, but for adapters in software. */
const DEVICE: DeviceInfo =
  (navigator as { gpu?: unknown }).gpu === undefined
    ? { kind: "cpu", reason: "this browser has no WebGPU", threads: 1 }
    : { kind: "gpu", reason: "a GPU is there", threads: 0 };
const MODEL = {
  architecture: "llama",
  name: null,
  layers: 30,
  width: 576,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocabulary: 49_152,
  trainedContext: 8192,
  tokenizer: "smollm",
  chatTemplate: true,
};

function nameOf(source: ModelSource): string {
  const part: unknown = Array.isArray(source) ? source[0] : source;
  return part instanceof File ? part.name : String(part);
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) {
      stop();
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Faults that go away once the page does the right thing, as marks in this tab. */
function once(mark: string): boolean {
  const first = sessionStorage.getItem(mark) === null;
  sessionStorage.setItem(mark, "1");
  return first;
}

function plannedFor(name: string): Plan {
  const fits = !name.includes("toolarge");
  const contextLength = fits ? 8192 : 0;
  return {
    fits,
    reasons: fits ? [] : ["The weights take 40.0 GB, this GPU gives 2.1 GB."],
    contextLength,
    contextLengthMax: contextLength,
    bytes: { file: FILE_BYTES, weights: FILE_BYTES, kv: contextLength * 23_040, scratch: 12_000_000, total: FILE_BYTES + contextLength * 23_040 + 12_000_000 },
    model: MODEL,
    adapter: ADAPTER,
    device: DEVICE,
  };
}

interface Entry {
  url: string;
  size: number | null;
  cachedBytes: number;
  complete: boolean;
  lastUsed: number;
}

const CACHE = "fake-cache";

function entries(): Entry[] {
  return JSON.parse(localStorage.getItem(CACHE) ?? "[]") as Entry[];
}

function keep(entry: Entry): void {
  localStorage.setItem(CACHE, JSON.stringify([...entries().filter(({ url }) => url !== entry.url), entry]));
}

export class Chord {
  static readonly cache = {
    list: async () => entries(),
    delete: async (url?: string) => localStorage.setItem(CACHE, JSON.stringify(url === undefined ? [] : entries().filter((entry) => entry.url !== url))),
  };

  readonly chat = { completions: { create: async (params: ChatCompletionParams) => this.#answer(params) } };
  readonly completions = {};
  readonly info: ChordInfo;
  readonly #cached: number;
  #held = 0;
  #gone = false;

  private constructor(contextLength: number, cached: number) {
    this.info = { model: MODEL, adapter: ADAPTER, device: DEVICE, contextLength, kv: "f16", precision: "fast", describe: {} };
    this.#cached = cached;
  }

  static async plan(source: ModelSource, options: PlanOptions = {}): Promise<Plan> {
    const name = nameOf(source);
    await wait(30, options.signal);
    if (name.includes("missing") && once("missing")) {
      throw chordError("E_HTTP", `404 Not Found for ${name}`, "Check the address: the server has no such file.");
    }
    if (name.includes("notes")) {
      throw chordError("E_NOT_A_MODEL", `${name} does not begin with "GGUF"`, "Choose a file that ends in .gguf.");
    }
    return plannedFor(name);
  }

  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Chord> {
    const name = nameOf(source);
    const isUrl = typeof source === "string";
    const cached = isUrl && entries().some((entry) => entry.url === name && entry.complete) ? FILE_BYTES : 0;
    const steps = cached > 0 ? 2 : 10;
    options.onProgress?.({ stage: "header" });
    for (let step = 1; step <= steps; step += 1) {
      await wait(name.includes("slow") ? 300 : 20, options.signal);
      const loaded = (FILE_BYTES * step) / steps;
      options.onProgress?.({ stage: "download", loaded, total: FILE_BYTES, cached: Math.min(cached, loaded), bytesPerSecond: 9_800_000 });
      options.onProgress?.({ stage: "upload", loaded: loaded * 0.9, total: FILE_BYTES });
      options.onProgress?.({ stage: "compile", loaded: Math.min(17, step * 2), total: 17 });
      if (isUrl) {
        keep({ url: name, size: FILE_BYTES, cachedBytes: loaded, complete: step === steps, lastUsed: Date.now() });
      }
      if (name.includes("damaged") && step === 3 && once("damaged")) {
        throw chordError("E_HASH", "the file's SHA-256 is not the expected one", "Load it again: the stored copy was dropped.");
      }
      if (name.includes("nospace") && step === 3 && (options.contextLength ?? 8192) > 1024) {
        throw chordError("E_GPU_OOM", "the GPU refused a buffer of 94 MB for the context", "Use a smaller context.");
      }
    }
    options.onProgress?.({ stage: "ready" });
    return new Chord(options.contextLength ?? 8192, cached);
  }

  async *#answer(params: ChatCompletionParams): AsyncGenerator<ChatCompletionChunk, undefined> {
    if (this.#gone) {
      throw chordError("E_DISPOSED", "the model was given up", "Load it again.");
    }
    const question = String(params.messages.at(-1)?.content);
    if (question.includes("overflow")) {
      throw chordError("E_CONTEXT", "the prompt has 5,000 tokens, the context 4,096", "Shorten the conversation.");
    }
    const system = params.messages.find(({ role }) => role === "system")?.content ?? "none";
    const text = answerTo(question, `Messages: ${params.messages.length}, system: ${String(system)}, temperature: ${params.temperature ?? "unset"}.`);
    const pieces = text.match(question.includes("huge") ? /[\s\S]{1,18}/g : /[\s\S]{1,6}/g) ?? [];
    const prompt = params.messages.length * 20;
    const base = { id: "fake", object: "chat.completion.chunk" as const, created: 0, model: "fake" };
    for (let done = 1; done <= 4; done += 1) {
      params.onPrefill?.({ done: done * 10, total: 40 });
      await wait(30, params.signal);
    }
    yield { ...base, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] };
    for (const reasoning_content of question.includes("ponder") ? (PONDERED.match(/[\s\S]{1,6}/g) ?? []) : []) {
      await wait(4, params.signal);
      yield { ...base, choices: [{ index: 0, delta: { reasoning_content }, finish_reason: null }] };
    }
    let sent = 0;
    for (const content of pieces) {
      if (sent === (params.max_tokens ?? Infinity)) {
        break;
      }
      await wait(question.includes("huge") ? 0 : 4, params.signal);
      yield { ...base, choices: [{ index: 0, delta: { content }, finish_reason: null }] };
      sent += 1;
      if (question.includes("lost") && sent === 5 && once("lost")) {
        throw chordError("E_DEVICE_LOST", "the GPU was lost three times within a minute", "Load the model again.");
      }
    }
    this.#held = prompt + sent;
    const timings = { prefill_ms: 100, prefill_tok_s: 200, ttft_ms: 120, decode_ms: 1000, decode_tok_s: 42.5, prefilled_tokens: 20 };
    yield { ...base, choices: [{ index: 0, delta: {}, finish_reason: sent < pieces.length ? "length" : "stop" }], timings };
    const usage = { prompt_tokens: prompt, completion_tokens: sent, total_tokens: prompt + sent, prompt_tokens_details: { cached_tokens: prompt - 20 }, completion_tokens_details: { accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 } };
    yield { ...base, choices: [] as unknown as ChatCompletionChunk["choices"], usage };
    return undefined;
  }

  async stats(): Promise<Stats> {
    return {
      dispatches: 1,
      submits: 1,
      weightBytes: FILE_BYTES,
      kvBytes: this.info.contextLength * 23_040,
      readbackBytes: 0,
      gpuBytes: FILE_BYTES + this.info.contextLength * 23_040,
      pipelines: 17,
      draftedTokens: 0,
      acceptedTokens: 0,
      prefilledTokens: 20,
      heldTokens: this.#held,
      contextLength: this.info.contextLength,
      wasmBytes: 9_000_000,
      loadMs: 432,
      networkBytes: FILE_BYTES - this.#cached,
      cachedBytes: this.#cached,
      selfTest: { checks: 10, fallbacks: [] },
      recoveries: 0,
      device: DEVICE,
    };
  }

  async dispose(): Promise<void> {
    this.#gone = true;
  }
}
