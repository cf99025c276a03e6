/** The AI SDK's prompt and settings as parameters of `chat.completions.create`. */
import type { LanguageModelV4CallOptions, LanguageModelV4Message, SharedV4Warning } from "@ai-sdk/provider";
import { UsageError } from "./index.js";
import type { ChatCompletionParams, ChatMessage } from "./index.js";

type Content = Exclude<LanguageModelV4Message, { role: "system" }>["content"];

/** A request, before it is decided whether its answer is streamed. */
export type Settings = Omit<ChatCompletionParams, "stream" | "stream_options">;

/** The parameters, and a warning for each setting that has no effect here. What would falsify the answer is refused. */
export function settings(options: LanguageModelV4CallOptions): { params: Settings; warnings: SharedV4Warning[] } {
  const warnings: SharedV4Warning[] = [];
  const unsupported = (feature: string, details: string) => warnings.push({ type: "unsupported", feature, details });
  if (options.tools?.length) {
    unsupported("tools", "wasm-chord does not call tools; the model was not told of them");
  }
  if (options.toolChoice && options.toolChoice.type !== "auto" && options.toolChoice.type !== "none") {
    unsupported("toolChoice", "wasm-chord does not call tools");
  }
  if (options.responseFormat?.type === "json") {
    unsupported("responseFormat", "the answer is not constrained to JSON; say in the prompt what it should look like");
  }
  const own = options.providerOptions?.["wasm-chord"] ?? {};
  const params: Settings = {
    messages: options.prompt.map((message, i) => toMessage(message, `prompt[${i}]`)),
    max_completion_tokens: options.maxOutputTokens ?? null,
    temperature: options.temperature ?? null,
    top_p: options.topP ?? null,
    top_k: options.topK ?? null,
    min_p: numberOption(own, "minP"),
    repetition_penalty: numberOption(own, "repetitionPenalty"),
    presence_penalty: options.presencePenalty ?? null,
    frequency_penalty: options.frequencyPenalty ?? null,
    seed: options.seed ?? null,
    stop: options.stopSequences ?? null,
    reasoning_effort: options.reasoning === undefined || options.reasoning === "provider-default" ? null : options.reasoning,
    ...(options.abortSignal && { signal: options.abortSignal }),
  };
  return { params, warnings };
}

function numberOption(own: Record<string, unknown>, name: string): number | null {
  const value = own[name] ?? null;
  if (value !== null && typeof value !== "number") {
    throw new UsageError("E_PARAM", `providerOptions["wasm-chord"].${name} must be a number`, "Correct it, or leave it out.");
  }
  return value;
}

function toMessage(message: LanguageModelV4Message, at: string): ChatMessage {
  switch (message.role) {
    case "system":
      return { role: "system", content: message.content };
    case "user":
      return { role: "user", content: texts(message.content, at).join("\n") };
    case "assistant":
      // Pieces of what the model wrote itself: nothing may come between them, or the KV cache would not know them again.
      return {
        role: "assistant",
        content: texts(message.content, at).join(""),
        reasoning_content: message.content.flatMap((part) => (part.type === "reasoning" ? [part.text] : [])).join("") || null,
      };
    case "tool":
      throw refused(at, "a tool's result");
  }
}

function texts(content: Content, at: string): string[] {
  return content.flatMap((part, i) => {
    switch (part.type) {
      case "text":
        return [part.text];
      case "reasoning":
        return [];
      case "file":
        if (part.data.type === "text") {
          return [part.data.text];
        }
        throw refused(`${at}.content[${i}]`, `a file of type ${part.mediaType}`);
      default:
        throw refused(`${at}.content[${i}]`, `a part of type ${part.type}`);
    }
  });
}

function refused(at: string, what: string): UsageError {
  return new UsageError("E_UNSUPPORTED", `${at} is ${what}, which wasm-chord does not support`, "Send text only.");
}
