/** The engines that are compared, as a page uses them: each is loaded and asked by code that runs in the page. */
import type { Page } from "@playwright/test";
import type { Chord } from "wasm-chord";

/** Both engines get as much. */
export const CONTEXT = 512;

export interface Loaded {
  /** From before the library's import to the model being ready to answer. */
  ms: number;
  /** What it computes on, in its own words. */
  runsOn: string;
  /** Whether WebGPU is emulated on the processor; absent where WebGPU is not used. */
  software?: boolean;
  /** When each stage ended, in ms, where the library tells. */
  stages?: Record<string, number>;
}

export interface Answer {
  promptTokens: number;
  tokens: number;
  /** From the request to the first and to the last piece of text, as the page gets them. */
  firstMs: number;
  lastMs: number;
  text: string;
}

/** What is used of the other package, whose own types are sources that do not pass this project's checks. */
interface Wllama {
  loadModelFromUrl(url: string, params: { n_ctx: number; n_threads: number; n_parallel: number }): Promise<void>;
  createCompletion(params: { prompt: string; max_tokens: number; temperature: number; stream: true; onData(chunk: WllamaChunk): void }): Promise<void>;
  getNumThreads(): number;
}

interface WllamaChunk {
  choices: { text: string }[];
  usage?: { prompt_tokens: number; completion_tokens: number } | null;
  timings?: { prompt_n: number; predicted_n: number };
}

type Log = (...parts: unknown[]) => void;

interface WllamaModule {
  Wllama: new (paths: { default: string }, config: { logger: Record<"debug" | "log" | "warn" | "error", Log> }) => Wllama;
}

export interface Contender {
  name: string;
  /** Whether the page is served with COOP and COEP, which threads need. */
  isolated: boolean;
  /** Whether Chromium offers WebGPU on SwiftShader, and this is told to take it. */
  gpu?: boolean;
  /** Served folder, relative to the repository: what is fetched from it is what is shipped. */
  folder: string;
  load(page: Page, url: string): Promise<Loaded>;
  answer(page: Page, prompt: string, tokens: number): Promise<Answer>;
}

declare global {
  /** The model loaded in the page, for the answer that follows. */
  var chord: Chord;
  var wllama: Wllama;
}

function named(threads: 1 | 2): string {
  return threads === 1 ? "1 thread" : "2 threads";
}

const ours = (threads: 1 | 2, device: "auto" | "gpu" = "auto"): Contender => ({
  name: `wasm-chord, ${device === "gpu" ? "WebGPU" : named(threads)}`,
  isolated: threads > 1,
  gpu: device === "gpu",
  folder: "pkg/dist",
  load: (page, url) =>
    page.evaluate(
      async ({ url, contextLength, threads, device: asked }) => {
        const library = "/library/index.js";
        const start = performance.now();
        const { Chord } = (await import(library)) as typeof import("wasm-chord");
        const stages: Record<string, number> = {};
        globalThis.chord = await Chord.load(url, {
          contextLength,
          threads,
          device: asked,
          cache: "opfs",
          onProgress({ stage }) {
            stages[stage] = performance.now() - start;
          },
        });
        const ms = performance.now() - start;
        const { adapter, device } = globalThis.chord.info;
        if (device.kind === "cpu") return { ms, runsOn: `${adapter.name}, ${adapter.driver}`, stages };
        return { ms, runsOn: `WebGPU on ${adapter.name} (${adapter.type})`, software: adapter.type === "cpu", stages };
      },
      { url, contextLength: CONTEXT, threads, device },
    ),
  answer: (page, prompt, max_tokens) =>
    page.evaluate(
      async ({ prompt, max_tokens }) => {
        const answer = { promptTokens: 0, tokens: 0, firstMs: 0, lastMs: 0, text: "" };
        const start = performance.now();
        const stream = await globalThis.chord.completions.create({
          prompt,
          max_tokens,
          temperature: 0,
          repetition_penalty: 1,
          stream: true,
          stream_options: { include_usage: true },
        });
        for await (const chunk of stream) {
          const piece = chunk.choices[0]?.text ?? "";
          if (piece !== "") {
            answer.lastMs = performance.now() - start;
            answer.firstMs ||= answer.lastMs;
            answer.text += piece;
          }
          answer.promptTokens = chunk.usage?.prompt_tokens ?? answer.promptTokens;
          answer.tokens = chunk.usage?.completion_tokens ?? answer.tokens;
        }
        return answer;
      },
      { prompt, max_tokens },
    ),
});

function theirs(threads: 1 | 2): Contender {
  return {
    name: `wllama, ${named(threads)}`,
    isolated: threads > 1,
    folder: "node_modules/@wllama/wllama/esm",
    load: (page, url) =>
      page.evaluate(
        async ({ url, n_ctx, n_threads }) => {
          const library = "/library/index.min.js";
          const start = performance.now();
          const { Wllama } = (await import(library)) as WllamaModule;
          const devices = new Set<string>();
          const keep: Log = (...parts) => {
            const [, device] = /load_tensors: +(\S+) model buffer size/.exec(parts.join(" ")) ?? [];
            if (device) {
              devices.add(device);
            }
          };
          const wllama = new Wllama({ default: "/library/wasm/wllama.wasm" }, { logger: { debug: keep, log: keep, warn: keep, error: keep } });
          await wllama.loadModelFromUrl(url, { n_ctx, n_threads, n_parallel: 1 });
          const ms = performance.now() - start;
          globalThis.wllama = wllama;
          return { ms, runsOn: `weights on ${[...devices].join(", ")}, threads: ${wllama.getNumThreads()}` };
        },
        { url, n_ctx: CONTEXT, n_threads: threads },
      ),
    answer: (page, prompt, max_tokens) =>
      page.evaluate(
        async ({ prompt, max_tokens }) => {
          const answer = { promptTokens: 0, tokens: 0, firstMs: 0, lastMs: 0, text: "" };
          const start = performance.now();
          await globalThis.wllama.createCompletion({
            prompt,
            max_tokens,
            temperature: 0,
            stream: true,
            onData(chunk) {
              const piece = chunk.choices[0]?.text ?? "";
              if (piece !== "") {
                answer.lastMs = performance.now() - start;
                answer.firstMs ||= answer.lastMs;
                answer.text += piece;
              }
              answer.promptTokens = chunk.usage?.prompt_tokens ?? chunk.timings?.prompt_n ?? answer.promptTokens;
              answer.tokens = chunk.usage?.completion_tokens ?? chunk.timings?.predicted_n ?? answer.tokens;
            },
          });
          return answer;
        },
        { prompt, max_tokens },
      ),
  };
}

/** Ours and theirs in turn: each pair runs on as many threads. */
export const contenders: Contender[] = [ours(1), theirs(1), ours(2), theirs(2)];

/** Ours on WebGPU, whose software takes all cores, and theirs on two threads. */
export const onGpu: Contender[] = [ours(1, "gpu"), theirs(2)];
