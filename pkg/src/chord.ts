/// <reference lib="esnext.disposable" preserve="true" />
/** A model in the package's worker. */
import { ChunkQueue } from "./chunks.js";
import type { ChunkStream } from "./chunks.js";
import { Client } from "./client.js";
import type { CallHooks } from "./client.js";
import { aborted, AbortError, UsageError } from "./errors.js";
import { chatShape, completionShape } from "./openai.js";
import type { Shape } from "./openai.js";
import { engineOptions, resolveSource } from "./options.js";
import { param, parseChat, parseCompletion, tokenIds } from "./params.js";
import type { ParsedRequest } from "./params.js";
import type { GenerateDone, Operation, Operations, TokenEvent } from "./protocol.js";
import { spawnWorker } from "./spawn.js";
import { askPersistence, cacheDelete, cacheList } from "./storage/index.js";
import { sendSource } from "./streams.js";
import { Turns } from "./turns.js";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  ChordInfo,
  Completion,
  CompletionChunk,
  CompletionParams,
  LoadOptions,
  ModelSource,
  Plan,
  PlanOptions,
  RequestControls,
  Stats,
} from "./types.js";

/** `chat.completions`: messages in, an answer out, through the model's own chat template. */
export interface ChatCompletions {
  create(params: ChatCompletionParams & { stream: true }, controls?: RequestControls): Promise<ChunkStream<ChatCompletionChunk>>;
  create(params: ChatCompletionParams & { stream?: false | null }, controls?: RequestControls): Promise<ChatCompletion>;
  create(params: ChatCompletionParams, controls?: RequestControls): Promise<ChatCompletion | ChunkStream<ChatCompletionChunk>>;
}

/** `completions`: a text or token ids in, their continuation out. */
export interface Completions {
  create(params: CompletionParams & { stream: true }, controls?: RequestControls): Promise<ChunkStream<CompletionChunk>>;
  create(params: CompletionParams & { stream?: false | null }, controls?: RequestControls): Promise<Completion>;
  create(params: CompletionParams, controls?: RequestControls): Promise<Completion | ChunkStream<CompletionChunk>>;
}

/** How long a worker may take to stop by itself, in ms: to close its files, free the GPU and give its locks back. */
const GRACE_MS = 5000;

/** A loaded model. Requests are answered one at a time, in the order they came. */
export class Chord {
  /** Models kept in the origin's private file system. */
  static readonly cache = { list: cacheList, delete: cacheDelete };

  readonly info: ChordInfo;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;

  readonly #client: Client;
  readonly #turns = new Turns();
  /** Fires, with E_DISPOSED, when the model is given up. */
  readonly #life = new AbortController();
  #disposing: Promise<void> | null = null;

  private constructor(client: Client, info: ChordInfo) {
    this.#client = client;
    this.info = info;
    const chat = (params: ChatCompletionParams, controls?: RequestControls) => {
      const given = withControls(params, controls);
      const parsed = parseChat(given);
      return this.#answer(parsed, chatShape(this.#modelName(parsed), parsed.request.logprobs !== undefined, parsed.includeUsage), given);
    };
    const complete = (params: CompletionParams, controls?: RequestControls) => {
      const given = withControls(params, controls);
      const parsed = parseCompletion(given);
      return this.#answer(parsed, completionShape(this.#modelName(parsed), parsed.request.logprobs !== undefined, parsed.includeUsage), given);
    };
    this.chat = { completions: { create: async (...args: Parameters<typeof chat>) => chat(...args) } as ChatCompletions };
    this.completions = { create: async (...args: Parameters<typeof complete>) => complete(...args) } as Completions;
  }

  /** What the model needs and whether it fits, from its header alone. A stream cannot be planned: it is read once. */
  static async plan(source: ModelSource, options: PlanOptions = {}): Promise<Plan> {
    if (source instanceof ReadableStream) {
      throw new UsageError("E_PARAM", "source is a stream, which can be read only once", "Load it without a plan, or plan with a URL or a File.");
    }
    const { client, output } = await open("plan", source, options);
    client.close(disposed());
    return output;
  }

  /** Loads a model into a worker of its own. Rejects with what stopped it; nothing stays behind then but the cache. */
  static async load(source: ModelSource, options: LoadOptions = {}): Promise<Chord> {
    const { client, output } = await open("load", source, options);
    return new Chord(client, output);
  }

  /** Ids of a text. `special` reads texts such as `<|im_start|>` as these tokens; `bos: false` leaves out what the model wants around a text. */
  async tokenize(text: string, options: { special?: boolean; bos?: boolean } = {}): Promise<number[]> {
    if (typeof text !== "string") {
      throw param("text", "must be a text");
    }
    return this.#call("tokenize", { text, special: options.special ?? false, bos: options.bos ?? true });
  }

  /** Text of ids. `special: false` leaves special tokens out. */
  async detokenize(ids: number[], options: { special?: boolean } = {}): Promise<string> {
    return this.#call("detokenize", { ids: tokenIds("ids", ids), special: options.special ?? true });
  }

  /** Counters and readings since loading. */
  async stats(): Promise<Stats> {
    return this.#call("stats", null);
  }

  /** For tests: destroys the GPU device as a driver reset would. The engine takes a new one and goes on. */
  async destroyDevice(): Promise<void> {
    await this.#call("destroyDevice", null);
  }

  /** Stops every request with E_DISPOSED, frees the GPU and ends the worker. A second call waits for the first. */
  dispose(): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #dispose(): Promise<void> {
    const error = disposed();
    this.#life.abort(error);
    await within(GRACE_MS, this.#client.call("dispose", null).ended);
    this.#client.close(error);
  }

  async #call<K extends Operation>(op: K, input: Operations[K]["in"]): Promise<Operations[K]["out"]> {
    return this.#client.call(op, input, { signal: this.#life.signal }).output;
  }

  #modelName({ model }: ParsedRequest): string {
    return model ?? this.info.model.name ?? this.info.model.architecture;
  }

  /** The answer in this shape: whole, or as a stream that begins at once. */
  #answer<Whole, Chunk>(parsed: ParsedRequest, shape: Shape<Whole, Chunk>, controls: RequestControls): Promise<Whole> | ChunkQueue<Chunk> {
    const left = new AbortController();
    const signals = [this.#life.signal, left.signal, ...(controls.signal ? [controls.signal] : [])];
    const signal = AbortSignal.any(signals);
    if (signal.aborted) {
      throw aborted(signal.reason);
    }
    const hooks = { signal, onPrefill: controls.onPrefill };
    if (!parsed.stream) {
      const tokens: TokenEvent[] = [];
      const keep = parsed.request.logprobs === undefined ? undefined : (token: TokenEvent) => tokens.push(token);
      return this.#generate(parsed, { ...hooks, onToken: keep }).then((done) => shape.whole(done, tokens));
    }
    const queue = new ChunkQueue<Chunk>(() => left.abort());
    this.#generate(parsed, { ...hooks, onToken: (token) => queue.push(shape.token(token)) }).then(
      (done) => {
        queue.push(shape.end(done));
        queue.end();
      },
      (error: unknown) => queue.fail(error, error instanceof AbortError),
    );
    return queue;
  }

  async #generate({ request }: ParsedRequest, hooks: CallHooks & { signal: AbortSignal }): Promise<GenerateDone> {
    const release = await this.#turns.take(hooks.signal);
    const call = this.#client.call("generate", request, hooks);
    // An aborted request still has the engine until the worker says so.
    void call.ended.then(release);
    const done = await call.output;
    if (done.finishReason === "cancelled") {
      throw aborted(hooks.signal.reason);
    }
    return done;
  }
}

/** The parameters, with the controls of OpenAI's second argument; other fields of it concern a server. */
function withControls<P extends RequestControls>(params: P, controls: RequestControls = {}): P {
  const { signal, onPrefill } = controls;
  return { ...params, ...(signal && { signal }), ...(onPrefill && { onPrefill }) };
}

/** A worker that has answered `plan` or `load`; when that fails, no worker. */
async function open<K extends "plan" | "load">(op: K, from: ModelSource, given: LoadOptions): Promise<{ client: Client; output: Operations[K]["out"] }> {
  const source = resolveSource(from);
  const options = engineOptions(source, given);
  if (given.signal?.aborted) {
    throw aborted(given.signal.reason);
  }
  if (op === "load" && options.cache === "opfs") {
    // Workers cannot ask. Nothing waits for the answer: without it the browser may drop the cache when space runs out.
    void askPersistence();
  }
  const trouble = globalThis.crossOriginIsolated ? new BroadcastChannel(`wasm-chord ${crypto.randomUUID()}`) : null;
  const client = new Client(spawnWorker(given.workerUrl), trouble);
  const sent = sendSource(source);
  const input = { source: sent.source, options: { ...options, ...(trouble && { trouble: trouble.name }) } };
  const hooks: CallHooks = { signal: given.signal, onProgress: given.onProgress, transfer: sent.transfer };
  const call = client.call<"plan" | "load">(op, input, hooks);
  try {
    return { client, output: (await call.output) as Operations[K]["out"] };
  } catch (error) {
    await within(GRACE_MS, call.ended);
    client.close(disposed());
    throw error;
  }
}

/** Waits for `event`, but not longer than this. */
async function within(ms: number, event: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([event, limit]);
  clearTimeout(timer);
}

function disposed(): UsageError {
  return new UsageError("E_DISPOSED", "the model has been disposed of", "Load it again, or call dispose() only when nothing needs it any more.");
}
