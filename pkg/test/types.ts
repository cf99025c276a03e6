/** Checked by the compiler alone: our types stand where `openai`'s and the AI SDK's do. */
import type { LanguageModelV4, ProviderV4 } from "@ai-sdk/provider";
import type OpenAI from "openai";
import { createChord } from "../src/ai-sdk.js";
import { DownloadError } from "../src/index.js";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionParams,
  Chord,
  ChordError,
  ChunkStream,
  Completion,
  CompletionParams,
  ModelSource,
} from "../src/index.js";

declare const chord: Chord;
declare const chat: ChatCompletion;
declare const chunk: ChatCompletionChunk;
declare const text: Completion;

export const chatIsOpenAi: OpenAI.Chat.ChatCompletion = chat;
export const chunkIsOpenAi: OpenAI.Chat.ChatCompletionChunk = chunk;
export const textIsOpenAi: OpenAI.Completion = text;

const request = {
  model: "any",
  messages: [
    { role: "developer", content: "short" },
    { role: "user", content: [{ type: "text", text: "hi" }] },
    { role: "assistant", content: "hello" },
  ],
  temperature: 0.5,
  top_p: 1,
  max_completion_tokens: 10,
  presence_penalty: 0,
  frequency_penalty: 0,
  seed: 1,
  stop: ["x"],
  n: 1,
  logprobs: true,
  top_logprobs: 2,
  user: "u",
  metadata: { a: "b" },
  store: false,
  response_format: { type: "text" },
} satisfies OpenAI.Chat.ChatCompletionCreateParamsNonStreaming & ChatCompletionParams;

export const openAiTakesOurs: OpenAI.Chat.ChatCompletionCreateParamsNonStreaming = request;
export const whole: Promise<ChatCompletion> = chord.chat.completions.create(request);
export const streamed: Promise<ChunkStream<ChatCompletionChunk>> = chord.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
export const asOpenAiStream: Promise<AsyncIterable<OpenAI.Chat.ChatCompletionChunk>> = streamed;

const completion = { model: "any", prompt: "p", max_tokens: 5, logprobs: 2, stop: "x", user: "u" } satisfies OpenAI.CompletionCreateParamsNonStreaming & CompletionParams;

export const completed: Promise<Completion> = chord.completions.create(completion);
export const either: Promise<ChatCompletion | ChunkStream<ChatCompletionChunk>> = chord.chat.completions.create({ ...request, stream: Math.random() > 0.5 });

/** Code written for the client of `openai` runs on a model, as far as the calls used here go. */
interface UsedOfOpenAi {
  chat: { completions: { create(params: typeof request): Promise<OpenAI.Chat.ChatCompletion> } };
  completions: { create(params: typeof completion): Promise<OpenAI.Completion> };
}
export const client: UsedOfOpenAi = chord;

export const provider: ProviderV4 = createChord(chord, { modelId: "m" });
export const model: LanguageModelV4 = createChord(chord)();

export const sources: ModelSource[] = ["https://a/m.gguf", new URL("https://a"), new Blob(), new File([], "m.gguf"), new ArrayBuffer(1), new Uint8Array(1), new ReadableStream<Uint8Array>()];

// @ts-expect-error -- more than one answer is refused already by the types
export const many: ChatCompletionParams = { messages: [], n: 2 };
// @ts-expect-error -- so are images
export const image: ChatCompletionParams = { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] };
// @ts-expect-error -- and tools that are no functions
export const tools: ChatCompletionParams = { messages: [], tools: [{ type: "web_search" }] };

/** After one kind of error is excluded, the others are still there. */
export function otherKind(error: ChordError): string {
  return error instanceof DownloadError ? "download" : error.code;
}
