/**
 * Messages between the page and the package's worker. One worker serves one model; requests are answered in order, except
 * `abort`, which takes effect at once. Every request ends with exactly one `done` or `failed` of its id.
 */
import type { SentSource } from "./streams.js";
import type { ChordInfo, DeviceChoice, KvType, Plan, Progress, Speculate, Stats } from "./types.js";

/** What `plan` and `load` need besides the source. */
export interface EngineOptions {
  contextLength?: number;
  kv?: KvType;
  precision?: "fast" | "exact";
  device: DeviceChoice;
  threads?: number;
  speculate?: Speculate;
  tune?: boolean;
  /** The `BroadcastChannel` on which a thread says what stopped it. */
  trouble?: string;
  sha256?: string;
  cache?: "opfs" | "none";
  headers?: Record<string, string>;
}

/** A generation. Sampling settings that are absent come from the model file, then from the engine's defaults. */
export interface GenerateRequest {
  /** One of the three. */
  messages?: Record<string, unknown>[];
  /** Tool definitions and variables for the chat template. */
  tools?: unknown[];
  chatTemplateKwargs?: Record<string, unknown>;
  prompt?: string;
  tokens?: number[];
  maxTokens?: number;
  stop: string[];
  /** A text that the answer is expected to be much like. */
  prediction?: string;
  /** Alternatives per token; absent: no logprobs. */
  logprobs?: number;
  sampling: {
    temperature?: number;
    topK?: number;
    topP?: number;
    minP?: number;
    repeatPenalty?: number;
    presencePenalty?: number;
    frequencyPenalty?: number;
    seed?: number;
  };
}

/** A token, with the text that became certain with it. The texts joined are the answer. */
export interface TokenEvent {
  id: number;
  text: string;
  /** Text of the reasoning before the answer, where there is any. */
  reasoning?: string;
  logprobs?: { bytes: number[]; logprob: number; top: { id: number; bytes: number[]; logprob: number }[] };
}

export interface GenerateDone {
  promptTokens: number[];
  tokens: number[];
  text: string;
  /** Empty where there is none. */
  reasoning: string;
  finishReason: "stop" | "length" | "stop_string" | "cancelled";
  timings: {
    prefillMs: number;
    prefillTokS: number;
    ttftMs: number;
    decodeMs: number;
    decodeTokS: number;
    prefilledTokens: number;
    reusedTokens: number;
    draftedTokens: number;
    acceptedTokens: number;
  };
}

/** Operations: what goes in and what comes out. A `source` is sent by `sendSource` and taken by `receiveSource` of streams.ts. */
export interface Operations {
  plan: { in: { source: SentSource; options: EngineOptions }; out: Plan };
  load: { in: { source: SentSource; options: EngineOptions }; out: ChordInfo };
  generate: { in: GenerateRequest; out: GenerateDone };
  tokenize: { in: { text: string; special: boolean; bos: boolean }; out: number[] };
  detokenize: { in: { ids: number[]; special: boolean }; out: string };
  stats: { in: null; out: Stats };
  /** A test aid: destroys the device as a driver reset would. */
  destroyDevice: { in: null; out: null };
  dispose: { in: null; out: null };
}

export type Operation = keyof Operations;

export type Request =
  | { [K in Operation]: { id: number; op: K; input: Operations[K]["in"] } }[Operation]
  /** Stops the request of this id, wherever it is: it ends with `failed` E_ABORTED, a generation with `done` "cancelled". */
  | { id: number; op: "abort" };

/** An error as it crosses the worker's border. */
export interface WireError {
  code: string;
  message: string;
  help: string;
}

export type Response =
  | { id: number; kind: "progress"; progress: Progress }
  | { id: number; kind: "prefill"; done: number; total: number }
  | { id: number; kind: "token"; token: TokenEvent }
  | { id: number; kind: "done"; output: unknown }
  | { id: number; kind: "failed"; error: WireError };
