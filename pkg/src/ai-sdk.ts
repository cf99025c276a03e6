/** `wasm-chord/ai-sdk`: a loaded model as a language model of the Vercel AI SDK. */
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
  LanguageModelV4Usage,
  ProviderV4,
  SharedV4ProviderMetadata,
  SharedV4Warning,
} from "@ai-sdk/provider";
import { settings } from "./ai-sdk-prompt.js";
import type { Settings } from "./ai-sdk-prompt.js";
import { ChordError, UsageError } from "./index.js";
import type { ChatCompletion, ChatCompletionChunk, Chord, FinishReason, Timings, Usage } from "./index.js";

/** A provider with one model; called, it gives the model. */
export interface ChordProvider extends ProviderV4 {
  (modelId?: string): LanguageModelV4;
  chat(modelId?: string): LanguageModelV4;
}

export interface ChordProviderOptions {
  /** The model's id; without it, the name in the model file. */
  modelId?: string;
}

const PROVIDER = "wasm-chord";

/** Makes a loaded model usable with `generateText`, `streamText` and the others. The model stays yours to dispose of. */
export function createChord(chord: Chord, options: ChordProviderOptions = {}): ChordProvider {
  const model = languageModel(chord, options.modelId ?? chord.info.model.name ?? chord.info.model.architecture);
  const get = (modelId: string = model.modelId): LanguageModelV4 => {
    if (modelId !== model.modelId) {
      throw new UsageError("E_UNSUPPORTED", `no model "${modelId}": this provider has "${model.modelId}"`, "Leave the id out, or load the other model and make a provider of it.");
    }
    return model;
  };
  const none = (what: string) => (): never => {
    throw new UsageError("E_UNSUPPORTED", `wasm-chord has no ${what} models`, "Take another provider for these.");
  };
  return Object.assign((modelId?: string) => get(modelId), {
    specificationVersion: "v4" as const,
    languageModel: get,
    chat: get,
    embeddingModel: none("embedding"),
    imageModel: none("image"),
  });
}

function languageModel(chord: Chord, modelId: string): LanguageModelV4 {
  return {
    specificationVersion: "v4",
    provider: PROVIDER,
    modelId,
    supportedUrls: {},
    doGenerate: (options) => generate(chord, modelId, options),
    doStream: (options) => stream(chord, modelId, options),
  };
}

async function generate(chord: Chord, modelId: string, options: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult> {
  const { params, warnings } = settings(options);
  const answer = await chord.chat.completions.create({ ...params, model: modelId });
  const [choice] = answer.choices;
  return {
    content: [
      ...(choice?.message.reasoning_content ? [{ type: "reasoning" as const, text: choice.message.reasoning_content }] : []),
      ...(choice?.message.content ? [{ type: "text" as const, text: choice.message.content }] : []),
    ],
    finishReason: finishReason(choice?.finish_reason),
    usage: usage(answer.usage),
    providerMetadata: metadata(answer.timings),
    request: { body: body(params) },
    response: { ...responseMetadata(answer), body: answer },
    warnings,
  };
}

async function stream(chord: Chord, modelId: string, options: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamResult> {
  const { params, warnings } = settings(options);
  const chunks = await chord.chat.completions.create({ ...params, model: modelId, stream: true, stream_options: { include_usage: true } });
  const parts = toParts(chunks, warnings, options.includeRawChunks === true);
  return {
    stream: new ReadableStream<LanguageModelV4StreamPart>({
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done) {
          controller.close();
        } else {
          controller.enqueue(value);
        }
      },
      async cancel() {
        // The generator is suspended at a yield or waits for a chunk: ending the chunks ends it in both cases.
        await chunks.return();
        await parts.return(undefined);
      },
    }),
    request: { body: body(params) },
  };
}

/** The parts of a stream in the AI SDK's order. An abort fails the stream; any other error is a part of it. */
async function* toParts(chunks: AsyncIterable<ChatCompletionChunk>, warnings: SharedV4Warning[], raw: boolean): AsyncGenerator<LanguageModelV4StreamPart, undefined> {
  yield { type: "stream-start", warnings };
  const ids = { reasoning: "0", text: "1" };
  let open: "reasoning" | "text" | null = null;
  let next = 2;
  let announced = false;
  let reason: LanguageModelV4FinishReason = finishReason(undefined);
  let used: LanguageModelV4Usage = usage(null);
  let timed: SharedV4ProviderMetadata | undefined;
  try {
    for await (const chunk of chunks) {
      if (raw) {
        yield { type: "raw", rawValue: chunk };
      }
      if (!announced) {
        announced = true;
        yield { type: "response-metadata", ...responseMetadata(chunk) };
      }
      const [choice] = chunk.choices;
      for (const [kind, delta] of [["reasoning", choice?.delta.reasoning_content], ["text", choice?.delta.content]] as const) {
        if (!delta) {
          continue;
        }
        if (open !== kind) {
          if (open) {
            yield { type: `${open}-end`, id: ids[open] };
            ids[open] = String(next++);
          }
          open = kind;
          yield { type: `${kind}-start`, id: ids[kind] };
        }
        yield { type: `${kind}-delta`, id: ids[kind], delta };
      }
      if (choice?.finish_reason) {
        reason = finishReason(choice.finish_reason);
      }
      if (chunk.usage) {
        used = usage(chunk.usage);
      }
      if (chunk.timings) {
        timed = metadata(chunk.timings);
      }
    }
  } catch (error) {
    if (error instanceof ChordError && error.name === "AbortError") {
      throw error;
    }
    reason = { unified: "error", raw: error instanceof ChordError ? error.code : undefined };
    yield { type: "error", error };
  }
  if (open) {
    yield { type: `${open}-end`, id: ids[open] };
  }
  yield { type: "finish", finishReason: reason, usage: used, ...(timed && { providerMetadata: timed }) };
}

function finishReason(reason: FinishReason | undefined): LanguageModelV4FinishReason {
  return { unified: reason ?? "other", raw: reason };
}

function usage(used: Usage | null): LanguageModelV4Usage {
  const total = used?.prompt_tokens;
  const cacheRead = used?.prompt_tokens_details.cached_tokens;
  const written = used?.completion_tokens;
  return {
    inputTokens: {
      total,
      noCache: total === undefined || cacheRead === undefined ? undefined : total - cacheRead,
      cacheRead,
      cacheWrite: undefined,
    },
    outputTokens: { total: written, text: written, reasoning: undefined },
    ...(used && { raw: { ...used, prompt_tokens_details: { ...used.prompt_tokens_details } } }),
  };
}

function metadata(timings: Timings): SharedV4ProviderMetadata {
  return { [PROVIDER]: { timings: { ...timings } } };
}

function responseMetadata({ id, created, model }: ChatCompletion | ChatCompletionChunk): { id: string; timestamp: Date; modelId: string } {
  return { id, timestamp: new Date(created * 1000), modelId: model };
}

/** The request as it may be logged: without what cannot be written down. */
function body(params: Settings): Record<string, unknown> {
  const { signal: _, ...plain } = params;
  return plain;
}
