/** Public types of the package. OpenAI-shaped parts follow the `openai` package's names. */

/** Where a model's file comes from. */
export type ModelPart = string | URL | Blob | ArrayBuffer | Uint8Array;

/**
 * Where a model comes from: its file, or the files of a split model (`NAME-00001-of-00003.gguf` and so on; of addresses one is
 * enough). A `ReadableStream` can be read once: it cannot be planned first, cached or resumed.
 */
export type ModelSource = ModelPart | readonly ModelPart[] | ReadableStream<Uint8Array>;

/** How K and V are stored: `q8_0` takes half the memory of `f16`, and a long context is read in half the bytes. Default `f16`. */
export type KvType = "f16" | "f32" | "q8_0";

/** Where a model may run: `auto` is a hardware GPU, and where there is none that works, the processor. */
export type DeviceChoice = "auto" | "gpu" | "cpu";

/**
 * Guessing tokens ahead and computing several in one pass: `auto` on the processor, where it is measured to pay and the answer
 * stays the same; `lookup` wherever the text repeats itself, on a GPU too, whose kernels for several tokens may round unlike those
 * for one.
 */
export type Speculate = "auto" | "off" | "lookup";

export interface RequestOptions {
  /** Headers sent with every request for a URL source (authorisation, for example). */
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface PlanOptions extends RequestOptions {
  /** Context in tokens, with memory for all of them; without it, the most that model and device allow, and memory for it is taken as it fills. */
  contextLength?: number;
  kv?: KvType;
  /** `gpu` takes a GPU in software too, and is an error where there is none. Default `auto`. */
  device?: DeviceChoice;
  /**
   * Threads on the processor, in a page that is cross-origin isolated; elsewhere it is one. Default: as many as the processor
   * runs at once, 8 at most.
   */
  threads?: number;
  /** Address of the package's worker script, where the bundler's own is not wanted. */
  workerUrl?: string | URL;
}

export interface LoadOptions extends PlanOptions {
  /** `fast` may round activations to int8; `exact` keeps every operand in f32. Default `fast`. */
  precision?: "fast" | "exact";
  /** Default `auto`. */
  speculate?: Speculate;
  /** Measure at the first load which kernels are fastest for this model on this GPU. Default: on GPUs that are not in software. */
  tune?: boolean;
  /** Expected SHA-256 of the whole file (not of a split one), 64 hexadecimal digits. */
  sha256?: string;
  /** Keep the file in the origin's private file system, and resume from there. Default `opfs` for URLs, else `none`. */
  cache?: "opfs" | "none";
  onProgress?: (progress: Progress) => void;
}

/** Loading, stage by stage. Weights are uploaded while they download; kernels compile meanwhile. */
export type Progress =
  | { stage: "header" }
  /** Bytes of the file that have arrived; `cached` of them from the cache. */
  | { stage: "download"; loaded: number; total: number; cached: number; bytesPerSecond: number }
  /** Bytes of weights on the GPU. */
  | { stage: "upload"; loaded: number; total: number }
  /** Kernels ready. */
  | { stage: "compile"; loaded: number; total: number }
  | { stage: "ready" };

export interface AdapterInfo {
  name: string;
  backend: string;
  type: string;
  driver: string;
}

/** Where a model runs, and why there. */
export interface DeviceInfo {
  kind: "gpu" | "cpu";
  reason: string;
  /** Of the processor; 0 on a GPU. */
  threads: number;
}

/** What the header says about a model. */
export interface ModelInfo {
  architecture: string;
  name: string | null;
  layers: number;
  width: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  vocabulary: number;
  trainedContext: number;
  tokenizer: string;
  chatTemplate: boolean;
}

/** What a model needs, from its header alone. */
export interface Plan {
  /** Whether it can be loaded here; null where no adapter is to be had to ask. */
  fits: boolean | null;
  /** Why not, in words. */
  reasons: string[];
  /** Context planned for. */
  contextLength: number;
  /** Largest context that model and device allow. */
  contextLengthMax: number;
  /** Bytes: of the file, and in memory (the GPU's, on a GPU) by part. */
  bytes: { file: number; weights: number; kv: number; scratch: number; total: number };
  model: ModelInfo;
  /** What it would run on; on the CPU, the processor. Null where a GPU was asked for and there is none. */
  adapter: AdapterInfo | null;
  device: DeviceInfo;
}

/** A loaded model, as it was loaded: `stats()` says where it runs now. */
export interface ChordInfo {
  model: ModelInfo;
  /** On the CPU, the processor. */
  adapter: AdapterInfo;
  device: DeviceInfo;
  contextLength: number;
  kv: KvType;
  precision: "fast" | "exact";
  /** Everything that changes the output, besides the request. */
  describe: Record<string, string>;
}

/** Counters and readings. Byte and token counts are totals since loading. */
export interface Stats {
  dispatches: number;
  submits: number;
  weightBytes: number;
  kvBytes: number;
  readbackBytes: number;
  /** Memory of the model's buffers, on a GPU or not. */
  gpuBytes: number;
  pipelines: number;
  /** Prompt tokens computed; those found in the KV cache are not. */
  prefilledTokens: number;
  /** Tokens guessed ahead, and those of them that were right. */
  draftedTokens: number;
  acceptedTokens: number;
  /** Tokens in the KV cache now. */
  heldTokens: number;
  contextLength: number;
  wasmBytes: number;
  loadMs: number;
  /** Kernels compared with known answers on this adapter while loading, and what was wrong and used no longer. */
  selfTest: { checks: number; fallbacks: string[] };
  /** Bytes of the model that came over the network. */
  networkBytes: number;
  /** Bytes of the model that came from the cache. */
  cachedBytes: number;
  /** Times the device was lost and the engine came back. */
  recoveries: number;
  /** Where the model runs now. A GPU that is lost again and again, or computes wrongly, gives way to the processor. */
  device: DeviceInfo;
}

/** A function that the model is told of. */
export interface Tool {
  type: "function";
  function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean | null };
}

/** A call in an earlier answer. Arguments are JSON, as a text or read already. */
export interface ToolCall {
  id?: string;
  type: "function";
  function: { name: string; arguments: string | Record<string, unknown> };
}

/** Fields beyond these reach the model's chat template too. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "developer" | "tool";
  /** May be absent beside `tool_calls`. */
  content?: string | { type: "text"; text: string }[] | null;
  name?: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
  /** What the model thought before an earlier answer; most templates leave it out. */
  reasoning_content?: string | null;
}

export interface SamplingParams {
  temperature?: number | null;
  top_p?: number | null;
  top_k?: number | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  seed?: number | null;
  stop?: string | string[] | null;
  max_tokens?: number | null;
}

/** Fields of OpenAI's that change nothing here; accepted so that a request written for a server runs as it is. */
export interface IgnoredParams {
  model?: string;
  user?: string;
  metadata?: Record<string, string> | null;
  store?: boolean | null;
  service_tier?: string | null;
  safety_identifier?: string | null;
  prompt_cache_key?: string | null;
}

/** Beyond OpenAI: how a running request is stopped and watched. */
export interface RequestControls {
  /** Stops the request: it throws E_ABORTED, and the model stays usable. */
  signal?: AbortSignal;
  /** Prompt tokens computed so far, of those that were not in the KV cache. */
  onPrefill?: (progress: { done: number; total: number }) => void;
}

export interface ChatCompletionParams extends SamplingParams, IgnoredParams, RequestControls {
  messages: ChatMessage[];
  max_completion_tokens?: number | null;
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  logprobs?: boolean | null;
  /** Alternatives per token, 0 to 20; needs `logprobs: true`. */
  top_logprobs?: number | null;
  n?: 1 | null;
  response_format?: { type: "text" };
  /** A text that the answer is expected to be much like, such as the file to be edited: it changes no token, it makes them come faster. */
  prediction?: { type: "content"; content: string | { type: "text"; text: string }[] } | null;
  /** Functions for the chat template. What the model answers to them is text: calls are not parsed. */
  tools?: Tool[] | null;
  /** `none` leaves the tools out. */
  tool_choice?: "auto" | "none" | null;
  /** `none` asks for no reasoning; other words are for the chat template to understand. */
  reasoning_effort?: string | null;
  /** Variables of the chat template, such as `{ enable_thinking: false }`. */
  chat_template_kwargs?: Record<string, unknown> | null;
  /** `false` leaves out the beginning of an answer behind the messages. */
  add_generation_prompt?: boolean | null;
}

export interface CompletionParams extends SamplingParams, IgnoredParams, RequestControls {
  /** A text, or token ids that are used as they are. */
  prompt: string | number[];
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** 0 to 20: as many alternatives per token. */
  logprobs?: number | null;
  n?: 1 | null;
}

export type FinishReason = "stop" | "length";

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
  /** Tokens guessed ahead that were right, and that were not. */
  completion_tokens_details: { accepted_prediction_tokens: number; rejected_prediction_tokens: number };
}

/** Beyond OpenAI: where the time went, and the ids. */
export interface Timings {
  prefill_ms: number;
  prefill_tok_s: number;
  ttft_ms: number;
  decode_ms: number;
  decode_tok_s: number;
  /** Prompt tokens computed; the others were in the KV cache. */
  prefilled_tokens: number;
}

export interface TokenLogprob {
  token: string;
  logprob: number;
  bytes: number[] | null;
  top_logprobs: { token: string; logprob: number; bytes: number[] | null }[];
}

export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: {
    index: 0;
    message: { role: "assistant"; content: string; refusal: null; reasoning_content?: string };
    finish_reason: FinishReason;
    logprobs: { content: TokenLogprob[]; refusal: null } | null;
  }[];
  usage: Usage;
  timings: Timings;
  /** Ids of prompt and answer. */
  tokens: { prompt: number[]; completion: number[] };
}

export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  choices: {
    index: 0;
    /** `reasoning_content` comes before `content`, where the model reasons. */
    delta: { role?: "assistant"; content?: string; reasoning_content?: string };
    finish_reason: FinishReason | null;
    logprobs?: { content: TokenLogprob[]; refusal: null } | null;
  }[];
  usage?: Usage | null;
  /** With the last choice. */
  timings?: Timings;
}

/** Logprobs as `/v1/completions` has them: one entry per token in each array; offsets in UTF-16 units of the answer. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: number[];
  top_logprobs: Record<string, number>[];
  text_offset: number[];
}

export interface Completion {
  id: string;
  object: "text_completion";
  created: number;
  model: string;
  choices: { index: 0; text: string; finish_reason: FinishReason; logprobs: CompletionLogprobs | null }[];
  usage: Usage;
  timings: Timings;
  /** Ids of prompt and answer. */
  tokens: { prompt: number[]; completion: number[] };
}

/** A piece of a streamed completion; the last one has the reason. */
export interface CompletionChunk {
  id: string;
  object: "text_completion";
  created: number;
  model: string;
  choices: { index: 0; text: string; finish_reason: FinishReason | null; logprobs: CompletionLogprobs | null }[];
  usage?: Usage | null;
  timings?: Timings;
}
