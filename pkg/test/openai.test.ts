import assert from "node:assert/strict";
import { test } from "node:test";
import { chatShape, completionShape } from "../src/openai.js";
import type { TokenEvent } from "../src/protocol.js";
import { done } from "./fake-worker.js";

const utf8 = (text: string) => [...new TextEncoder().encode(text)];

function token(text: string): TokenEvent {
  return { id: 1, text };
}

function scored(text: string, logprob: number): TokenEvent {
  return { id: 1, text, logprobs: { bytes: utf8(text), logprob, top: [{ id: 2, bytes: utf8("alt"), logprob: -2 }] } };
}

const USAGE = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 }, completion_tokens_details: { accepted_prediction_tokens: 3, rejected_prediction_tokens: 4 } };
const TIMINGS = { prefill_ms: 4, prefill_tok_s: 500, ttft_ms: 5, decode_ms: 6, decode_tok_s: 300, prefilled_tokens: 2 };

test("chat, whole", () => {
  const { id, created, ...rest } = chatShape("m", false, false).whole(done(["He", "llo"]), []);
  assert.match(id, /^chatcmpl-[0-9a-f]{24}$/);
  assert.ok(Math.abs(created - Date.now() / 1000) < 5);
  assert.deepEqual(rest, {
    object: "chat.completion",
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "Hello", refusal: null }, finish_reason: "stop", logprobs: null }],
    usage: USAGE,
    timings: TIMINGS,
    tokens: { prompt: [1, 2, 3], completion: [10, 11] },
  });
});

test("finish reasons: a stop string is a stop", () => {
  const reason = (finishReason: "stop" | "length" | "stop_string") => chatShape("m", false, false).whole(done(["x"], { finishReason }), []).choices[0]?.finish_reason;
  assert.deepEqual([reason("stop"), reason("stop_string"), reason("length")], ["stop", "stop", "length"]);
});

test("chat, streamed: role, contents, reason; one id throughout; no usage unless asked for", () => {
  const shape = chatShape("m", false, false);
  const chunks = [...shape.token(token("He")), ...shape.token(token("")), ...shape.token(token("llo")), ...shape.end(done(["He", "llo"], { finishReason: "length" }))];
  assert.deepEqual(
    chunks.map((chunk) => chunk.choices),
    [
      [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }],
      [{ index: 0, delta: { content: "He" }, finish_reason: null }],
      [{ index: 0, delta: { content: "llo" }, finish_reason: null }],
      [{ index: 0, delta: {}, finish_reason: "length" }],
    ],
  );
  assert.equal(new Set(chunks.map((chunk) => `${chunk.id} ${chunk.created}`)).size, 1);
  assert.ok(chunks.every((chunk) => !("usage" in chunk)));
  assert.deepEqual(chunks.map((chunk) => chunk.timings), [undefined, undefined, undefined, TIMINGS]);
});

test("chat: reasoning has a field of its own", () => {
  const shape = chatShape("m", false, false);
  const thought = (reasoning: string, text = ""): TokenEvent => ({ id: 1, text, reasoning });
  const chunks = [...shape.token(thought("Hm")), ...shape.token(thought(".", "He")), ...shape.token(token("llo"))];
  assert.deepEqual(
    chunks.map((chunk) => chunk.choices[0]?.delta),
    [{ role: "assistant", content: "" }, { reasoning_content: "Hm" }, { reasoning_content: ".", content: "He" }, { content: "llo" }],
  );
  const whole = shape.whole(done(["Hello"], { reasoning: "Hm." }), []);
  assert.deepEqual(whole.choices[0]?.message, { role: "assistant", content: "Hello", refusal: null, reasoning_content: "Hm." });
});

test("chat, streamed: an answer without any token still begins with its role", () => {
  const chunks = chatShape("m", false, false).end(done([]));
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.delta), [{ role: "assistant", content: "" }, {}]);
});

test("include_usage: null on every chunk, then one chunk with the numbers and no choice", () => {
  const shape = chatShape("m", false, true);
  const chunks = [...shape.token(token("a")), ...shape.end(done(["a", "b"]))];
  assert.deepEqual(chunks.map((chunk) => chunk.usage), [null, null, null, USAGE]);
  assert.deepEqual(chunks.at(-1)?.choices, []);
});

test("chat, logprobs: every token has one, even where its text waits", () => {
  const half = { id: 3, text: "", logprobs: { bytes: [0xc3], logprob: -0.5, top: [] } };
  const shape = chatShape("m", true, false);
  const [, content, waiting] = [...shape.token(scored("a", -0.25)), ...shape.token(half)];
  const first = { token: "a", logprob: -0.25, bytes: [97], top_logprobs: [{ token: "alt", logprob: -2, bytes: utf8("alt") }] };
  assert.deepEqual(content?.choices[0]?.logprobs, { content: [first], refusal: null });
  assert.deepEqual(waiting?.choices[0], {
    index: 0,
    delta: { content: "" },
    finish_reason: null,
    logprobs: { content: [{ token: "\uFFFD", logprob: -0.5, bytes: [0xc3], top_logprobs: [] }], refusal: null },
  });
  const whole = chatShape("m", true, false).whole(done(["a"]), [scored("a", -0.25), half]);
  assert.equal(whole.choices[0]?.logprobs?.content.length, 2);
});

test("completion, whole, with logprobs and offsets", () => {
  const { id, created: _, ...rest } = completionShape("m", true, false).whole(done(["é", "b"]), [scored("é", -1), scored("b", -3)]);
  assert.match(id, /^cmpl-/);
  assert.deepEqual(rest, {
    object: "text_completion",
    model: "m",
    choices: [
      {
        index: 0,
        text: "éb",
        finish_reason: "stop",
        logprobs: { tokens: ["é", "b"], token_logprobs: [-1, -3], top_logprobs: [{ alt: -2 }, { alt: -2 }], text_offset: [0, 1] },
      },
    ],
    usage: USAGE,
    timings: TIMINGS,
    tokens: { prompt: [1, 2, 3], completion: [10, 11] },
  });
});

test("completion, streamed: offsets go on from chunk to chunk", () => {
  const shape = completionShape("m", true, true);
  const chunks = [...shape.token(scored("ab", -1)), ...shape.token(scored("c", -1)), ...shape.end(done(["ab", "c"]))];
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.logprobs?.text_offset), [[0], [2], undefined, undefined]);
  assert.deepEqual(chunks.map((chunk) => chunk.choices[0]?.finish_reason), [null, null, "stop", undefined]);
  assert.deepEqual(chunks.map((chunk) => chunk.usage), [null, null, null, USAGE]);
  assert.deepEqual(completionShape("m", false, false).token(token("")), []);
});
