/** Events of a generation as OpenAI's objects: whole answers and chunks. */
import type { GenerateDone, TokenEvent } from "./protocol.js";
import type {
  ChatCompletion,
  ChatCompletionChunk,
  Completion,
  CompletionChunk,
  CompletionLogprobs,
  FinishReason,
  Timings,
  TokenLogprob,
  Usage,
} from "./types.js";

/** What every object of one answer has in common. */
interface Head {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
}

/** Builds the objects of one answer. `Whole` is its unstreamed form. */
export interface Shape<Whole, Chunk> {
  whole(done: GenerateDone, tokens: TokenEvent[]): Whole;
  /** A token's chunks; none where it made no text certain and nothing else is to be told. */
  token(token: TokenEvent): Chunk[];
  /** The chunks after the last token. */
  end(done: GenerateDone): Chunk[];
}

/** Chunks of `chat.completions.create`. */
export function chatShape(model: string, logprobs: boolean, includeUsage: boolean): Shape<ChatCompletion, ChatCompletionChunk> {
  const head = newHead("chatcmpl-", model);
  let started = false;
  const chunk = (choices: ChatCompletionChunk["choices"], usage: Usage | null = null): ChatCompletionChunk => ({
    ...head,
    object: "chat.completion.chunk",
    choices,
    ...(includeUsage && { usage }),
  });
  const start = () => {
    const first = started ? [] : [chunk([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }])];
    started = true;
    return first;
  };
  const listed = (tokens: TokenEvent[]) => (logprobs ? { content: tokens.flatMap(chatLogprob), refusal: null } : null);
  return {
    whole: (done, tokens) => ({
      ...head,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: done.text, refusal: null, ...(done.reasoning && { reasoning_content: done.reasoning }) },
          finish_reason: finishReason(done),
          logprobs: listed(tokens),
        },
      ],
      usage: usage(done),
      timings: timings(done),
      tokens: { prompt: done.promptTokens, completion: done.tokens },
    }),
    token: (token) => {
      const { text, reasoning } = token;
      const silent = text === "" && !reasoning && !logprobs;
      const delta = { ...(reasoning && { reasoning_content: reasoning }), ...((text !== "" || !reasoning) && { content: text }) };
      const choice = { index: 0 as const, delta, finish_reason: null, ...(logprobs && { logprobs: listed([token]) }) };
      return silent ? start() : [...start(), chunk([choice])];
    },
    end: (done) => [
      ...start(),
      { ...chunk([{ index: 0, delta: {}, finish_reason: finishReason(done) }]), timings: timings(done) },
      ...(includeUsage ? [chunk([], usage(done))] : []),
    ],
  };
}

/** Chunks of `completions.create`. */
export function completionShape(model: string, logprobs: boolean, includeUsage: boolean): Shape<Completion, CompletionChunk> {
  const head = { ...newHead("cmpl-", model), object: "text_completion" as const };
  let offset = 0;
  const listed = (tokens: TokenEvent[]): CompletionLogprobs | null => {
    if (!logprobs) {
      return null;
    }
    const list: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
    for (const { text, logprobs: own } of tokens) {
      if (own) {
        list.tokens.push(decode(own.bytes));
        list.token_logprobs.push(own.logprob);
        list.top_logprobs.push(Object.fromEntries(own.top.map((t) => [decode(t.bytes), t.logprob])));
        list.text_offset.push(offset);
      }
      offset += text.length;
    }
    return list;
  };
  const chunk = (choices: CompletionChunk["choices"], usage: Usage | null = null): CompletionChunk => ({
    ...head,
    choices,
    ...(includeUsage && { usage }),
  });
  return {
    whole: (done, tokens) => ({
      ...head,
      choices: [{ index: 0, text: done.text, finish_reason: finishReason(done), logprobs: listed(tokens) }],
      usage: usage(done),
      timings: timings(done),
      tokens: { prompt: done.promptTokens, completion: done.tokens },
    }),
    token: (token) =>
      token.text === "" && !logprobs ? [] : [chunk([{ index: 0, text: token.text, finish_reason: null, logprobs: listed([token]) }])],
    end: (done) => [
      { ...chunk([{ index: 0, text: "", finish_reason: finishReason(done), logprobs: null }]), timings: timings(done) },
      ...(includeUsage ? [chunk([], usage(done))] : []),
    ],
  };
}

function newHead(prefix: string, model: string): Head {
  const random = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id: prefix + random, created: Math.floor(Date.now() / 1000), model };
}

function finishReason(done: GenerateDone): FinishReason {
  return done.finishReason === "length" ? "length" : "stop";
}

function usage(done: GenerateDone): Usage {
  const prompt_tokens = done.promptTokens.length;
  const completion_tokens = done.tokens.length;
  const { draftedTokens, acceptedTokens } = done.timings;
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: done.timings.reusedTokens },
    completion_tokens_details: { accepted_prediction_tokens: acceptedTokens, rejected_prediction_tokens: draftedTokens - acceptedTokens },
  };
}

function timings({ timings: t }: GenerateDone): Timings {
  return {
    prefill_ms: t.prefillMs,
    prefill_tok_s: t.prefillTokS,
    ttft_ms: t.ttftMs,
    decode_ms: t.decodeMs,
    decode_tok_s: t.decodeTokS,
    prefilled_tokens: t.prefilledTokens,
  };
}

function chatLogprob({ logprobs }: TokenEvent): TokenLogprob[] {
  if (!logprobs) {
    return [];
  }
  const one = (t: { bytes: number[]; logprob: number }) => ({ token: decode(t.bytes), logprob: t.logprob, bytes: t.bytes });
  return [{ ...one(logprobs), top_logprobs: logprobs.top.map(one) }];
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** A token's bytes as a text; where they are part of a character, U+FFFD stands for it, and `bytes` tells the rest. */
function decode(bytes: number[]): string {
  return utf8.decode(Uint8Array.from(bytes));
}
