/** Asking the model: one answer at a time, shown as it grows. */
import { computed, signal } from "@preact/signals";
import type { ChatCompletionChunk, ChatMessage } from "wasm-chord";
import { PerFrame } from "../frame.js";
import type { Conversation, Message } from "../store.js";
import { announce } from "./announce.js";
import { current, currentId, ensureChat, find, update, updateMessage } from "./chats.js";
import { loaded, refreshStats, type Loaded } from "./model.js";
import { isAbort, problemOf, type Problem } from "./problems.js";
import { samplingOf, settings } from "./settings.js";

/** An answer that is kept this often survives a closed tab. Milliseconds. */
const KEEP_EVERY_MS = 1000;

/** An answer in the making. */
export interface Running {
  conversation: string;
  message: string;
  /** Of `performance.now()`. */
  started: number;
  firstToken: number | null;
  /** Pieces that came; a piece is a token, but for those that only complete a character. */
  tokens: number;
  /** Prompt tokens computed, of how many. */
  prefill: { done: number; total: number } | null;
}

export const running = signal<Running | null>(null);
/** Text of the running answer. Apart from the conversation, so that a token redraws one message only. */
export const growing = signal("");
/** Its reasoning. */
export const pondering = signal("");
/** What went wrong with the last answer, and in which conversation. */
export const failure = signal<{ conversation: string; problem: Problem } | null>(null);

/** Tokens of the context that the open conversation takes, and that there are; null without a model. */
export const context = computed(() => {
  const model = loaded.value;
  if (model === null) {
    return null;
  }
  const readings = current.value?.messages.flatMap(({ reading }) => reading ?? []) ?? [];
  const before = readings.at(-1);
  const now = running.value;
  const growth = now !== null && now.conversation === currentId.value ? now.tokens : 0;
  const used = (before === undefined ? 0 : before.promptTokens + before.tokens) + growth;
  return { used, total: model.info.contextLength };
});

let controller = new AbortController();

export async function send(text: string): Promise<void> {
  if (running.peek() !== null || text.trim() === "") {
    return;
  }
  const id = ensureChat(text);
  update(id, ({ messages }) => ({ messages: [...messages, { id: crypto.randomUUID(), role: "user", text: text.trim() }] }));
  await answer(id);
}

/** The answer again; it and all after it go. For a question without an answer: its first. */
export async function regenerate(id: string, messageId: string): Promise<void> {
  await cutAndAnswer(id, (messages) => {
    const at = messages.findIndex((message) => message.id === messageId);
    return messages.slice(0, messages[at]?.role === "user" ? at + 1 : at);
  });
}

/** A question put differently: what followed it goes. */
export async function edit(id: string, messageId: string, text: string): Promise<void> {
  await cutAndAnswer(id, (messages) => {
    const at = messages.findIndex((message) => message.id === messageId);
    return [...messages.slice(0, at), { id: messageId, role: "user", text: text.trim() }];
  });
}

async function cutAndAnswer(id: string, cut: (messages: Message[]) => Message[]): Promise<void> {
  if (running.peek() === null && loaded.peek() !== null) {
    update(id, ({ messages }) => ({ messages: cut(messages) }));
    await answer(id);
  }
}

export function stop(): void {
  controller.abort();
}

/** Messages as the model gets them. Neighbours of one role become one: chat templates want them to take turns. */
export function messagesOf(conversation: Conversation): ChatMessage[] {
  const out: { role: "system" | "user" | "assistant"; content: string; reasoning_content?: string }[] = [];
  if (conversation.system.trim() !== "") {
    out.push({ role: "system", content: conversation.system.trim() });
  }
  for (const { role, text, reasoning } of conversation.messages) {
    const before = out.at(-1);
    if (before?.role === role) {
      before.content += `\n\n${text}`;
    } else {
      out.push({ role, content: text, ...(reasoning && { reasoning_content: reasoning }) });
    }
  }
  return out;
}

async function answer(id: string): Promise<void> {
  const model = loaded.peek();
  const conversation = find(id);
  if (model === null || conversation === null) {
    return;
  }
  const messages = messagesOf(conversation);
  const message: Message = { id: crypto.randomUUID(), role: "assistant", text: "" };
  update(id, (before) => ({ messages: [...before.messages, message] }));
  controller = new AbortController();
  failure.value = null;
  growing.value = "";
  pondering.value = "";
  running.value = { conversation: id, message: message.id, started: performance.now(), firstToken: null, tokens: 0, prefill: null };
  announce("Answering.");
  const result = await stream(model, id, message.id, messages, controller);
  running.value = null;
  finish(id, message.id, result);
  await refreshStats();
}

interface Result {
  text: string;
  reasoning: string;
  part: Partial<Message>;
  problem: Problem | null;
}

async function stream(model: Loaded, id: string, messageId: string, messages: ChatMessage[], own: AbortController): Promise<Result> {
  let text = "";
  let reasoning = "";
  let keptAt = performance.now();
  const seen = running.peek();
  const state = seen === null ? null : { ...seen };
  const show = new PerFrame(() => {
    growing.value = text;
    pondering.value = reasoning;
    running.value = state === null ? null : { ...state };
  });
  const end = () => own.abort();
  model.life.signal.addEventListener("abort", end, { once: true });
  const part: Partial<Message> = {};
  let problem: Problem | null = null;
  try {
    const chunks = await model.chord.chat.completions.create({
      ...samplingOf(settings.peek()),
      messages,
      stream: true,
      stream_options: { include_usage: true },
      signal: own.signal,
      onPrefill: (prefill) => {
        if (state !== null) {
          state.prefill = prefill;
          show.ask();
        }
      },
    });
    for await (const chunk of chunks) {
      const { content: piece = "", reasoning_content: thought = "" } = chunk.choices[0]?.delta ?? {};
      if (piece + thought !== "" && state !== null) {
        text += piece;
        reasoning += thought;
        state.firstToken ??= performance.now();
        state.tokens += 1;
        show.ask();
      }
      take(chunk, part);
      if (performance.now() - keptAt > KEEP_EVERY_MS) {
        keptAt = performance.now();
        updateMessage(id, messageId, { text, ...(reasoning && { reasoning }) });
      }
    }
  } catch (error) {
    if (isAbort(error) || own.signal.aborted) {
      part.ended = "stopped";
    } else {
      part.ended = "failed";
      problem = problemOf(error, "chat");
    }
  } finally {
    model.life.signal.removeEventListener("abort", end);
    show.cancel();
  }
  return { text, reasoning, part, problem };
}

/** What a piece says beyond its text: why the answer ended, how long it took, how full the context is. */
function take(chunk: ChatCompletionChunk, part: Partial<Message>): void {
  if (chunk.choices[0]?.finish_reason === "length") {
    part.ended = "length";
  }
  if (chunk.timings !== undefined) {
    part.reading = {
      ttftMs: chunk.timings.ttft_ms,
      tokensPerSecond: chunk.timings.decode_tok_s,
      tokens: part.reading?.tokens ?? 0,
      promptTokens: part.reading?.promptTokens ?? 0,
      prefilledTokens: chunk.timings.prefilled_tokens,
    };
  }
  if (chunk.usage) {
    part.reading = {
      ttftMs: 0,
      tokensPerSecond: 0,
      prefilledTokens: chunk.usage.prompt_tokens - chunk.usage.prompt_tokens_details.cached_tokens,
      ...part.reading,
      tokens: chunk.usage.completion_tokens,
      promptTokens: chunk.usage.prompt_tokens,
    };
  }
}

/** The answer into its conversation. One that never began leaves nothing but the question. */
function finish(id: string, messageId: string, { text, reasoning, part, problem }: Result): void {
  growing.value = "";
  pondering.value = "";
  if (text === "" && reasoning === "" && part.ended !== undefined && part.ended !== "length") {
    update(id, ({ messages }) => ({ messages: messages.filter((message) => message.id !== messageId) }));
  } else {
    updateMessage(id, messageId, { text, ...(reasoning && { reasoning }), ...part });
  }
  if (problem !== null) {
    // Its box is an alert: it speaks for itself.
    failure.value = { conversation: id, problem };
    return;
  }
  announce(part.ended === "stopped" ? "Stopped." : `Answer: ${text}`);
}
