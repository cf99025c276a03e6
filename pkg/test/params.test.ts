import assert from "node:assert/strict";
import { test } from "node:test";
import { parseChat, parseCompletion } from "../src/params.js";
import type { ChatCompletionParams, CompletionParams } from "../src/types.js";

const messages = [{ role: "user" as const, content: "hi" }];
const chat = (params: object) => parseChat({ messages, ...params } as ChatCompletionParams);
const complete = (params: object) => parseCompletion({ prompt: "p", ...params } as CompletionParams);

test("every setting arrives under the engine's name", () => {
  const parsed = chat({
    model: "m",
    temperature: 0.5,
    top_p: 0.9,
    top_k: 20,
    min_p: 0.1,
    repetition_penalty: 1.1,
    presence_penalty: -1,
    frequency_penalty: 2,
    seed: 7,
    stop: "END",
    max_tokens: 5,
    max_completion_tokens: 6,
    logprobs: true,
    top_logprobs: 3,
    stream: true,
    stream_options: { include_usage: true },
  });
  assert.deepEqual(parsed, {
    request: {
      messages: [{ role: "user", content: "hi" }],
      maxTokens: 6,
      logprobs: 3,
      stop: ["END"],
      sampling: { temperature: 0.5, topP: 0.9, topK: 20, minP: 0.1, repeatPenalty: 1.1, presencePenalty: -1, frequencyPenalty: 2, seed: 7 },
    },
    stream: true,
    includeUsage: true,
    model: "m",
  });
});

test("null and absent are the same: nothing is sent but a seed, drawn anew each time", () => {
  const all = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "seed", "stop", "max_tokens"];
  const nothing = Object.fromEntries([...all, "stream", "stream_options", "logprobs", "top_logprobs", "max_completion_tokens", "n", "tools"].map((name) => [name, null]));
  const { request, stream, includeUsage, model } = chat(nothing);
  assert.deepEqual({ ...request, sampling: Object.keys(request.sampling) }, { messages: [{ role: "user", content: "hi" }], stop: [], sampling: ["seed"] });
  assert.deepEqual([stream, includeUsage, model], [false, false, null]);
  const seeds = new Set(Array.from({ length: 8 }, () => chat({}).request.sampling.seed));
  assert.ok(seeds.size > 1, "the same seed eight times");
});

const RANGES: [name: string, good: unknown[], bad: unknown[]][] = [
  ["temperature", [0, 2, 100], [-0.1, 100.1, NaN, "1", Infinity]],
  ["top_p", [0, 1], [-0.01, 1.01]],
  ["min_p", [0, 1], [-0.01, 1.01]],
  ["top_k", [0, 40], [-1, 1.5, 2 ** 32]],
  ["repetition_penalty", [0.01, 1, 100], [0, 101]],
  ["presence_penalty", [-100, 100], [-101, 101]],
  ["frequency_penalty", [-100, 100], [-101, 101]],
  ["seed", [0, 2 ** 40], [-1, 0.5, 2 ** 53]],
  ["max_tokens", [1, 1000], [0, -1, 1.5, "9"]],
  ["stop", ["a", ["a", "b"], []], ["", ["a", ""], [1], 3]],
];

for (const [name, good, bad] of RANGES) {
  test(`${name}: its range, in both calls`, () => {
    for (const parse of [chat, complete]) {
      for (const value of good) {
        parse({ [name]: value });
      }
      for (const value of bad) {
        assert.throws(() => parse({ [name]: value }), { code: "E_PARAM", message: new RegExp(`^${name} `) }, String(value));
      }
    }
  });
}

test("ranges of chat's and completion's own numbers", () => {
  assert.throws(() => chat({ top_logprobs: 21, logprobs: true }), { code: "E_PARAM", message: /^top_logprobs / });
  assert.throws(() => chat({ top_logprobs: 2 }), { code: "E_PARAM", message: /^top_logprobs / });
  assert.throws(() => chat({ max_completion_tokens: 0 }), { code: "E_PARAM", message: /^max_completion_tokens / });
  assert.throws(() => chat({ logprobs: 1 }), { code: "E_PARAM", message: /^logprobs / });
  assert.throws(() => complete({ logprobs: 21 }), { code: "E_PARAM", message: /^logprobs / });
  assert.throws(() => complete({ logprobs: true }), { code: "E_PARAM", message: /^logprobs / });
  assert.equal(complete({ logprobs: 0 }).request.logprobs, 0);
  assert.equal(chat({ logprobs: true }).request.logprobs, 0);
  assert.equal(chat({ logprobs: false }).request.logprobs, undefined);
  assert.throws(() => chat({ stream: "yes" }), { code: "E_PARAM", message: /^stream / });
  assert.throws(() => chat({ stream_options: { include_usage: true } }), { code: "E_PARAM", message: /^stream_options / });
  assert.throws(() => chat({ signal: {} }), { code: "E_PARAM", message: /^signal / });
});

test("prediction: a text, or its parts, of the kind content", () => {
  const prediction = (value: unknown) => chat({ prediction: value }).request.prediction;
  assert.equal(prediction({ type: "content", content: "abc" }), "abc");
  assert.equal(prediction({ type: "content", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] }), "a\nb");
  assert.equal(prediction(null), undefined);
  for (const wrong of ["abc", { type: "content" }, { type: "content", content: 1 }, { type: "text", content: "abc" }]) {
    assert.throws(() => prediction(wrong), { code: "E_PARAM", message: /^prediction/ });
  }
});

const REFUSED: [field: string, value: unknown, harmless: unknown][] = [
  ["tool_choice", "required", "auto"],
  ["functions", [{}], []],
  ["function_call", { name: "f" }, "none"],
  ["response_format", { type: "json_object" }, { type: "text" }],
  ["n", 2, 1],
  ["audio", { voice: "x" }, null],
  ["modalities", ["text", "audio"], ["text"]],
  ["logit_bias", { "5": 1 }, {}],
  ["web_search_options", {}, undefined],
  ["verbosity", "low", "medium"],
  ["best_of", 3, 1],
  ["echo", true, false],
  ["suffix", "end", ""],
];

for (const [field, value, harmless] of REFUSED) {
  test(`${field} is refused by name where it would change the answer`, () => {
    assert.throws(() => chat({ [field]: value }), { code: "E_UNSUPPORTED", message: new RegExp(`^${field} `) });
    assert.throws(() => complete({ [field]: value }), { code: "E_UNSUPPORTED", message: new RegExp(`^${field} `) });
    chat({ [field]: harmless });
  });
}

test("fields that change nothing pass; a misspelt one does not", () => {
  chat({ user: "u", metadata: { a: "b" }, store: true, service_tier: "auto", safety_identifier: "s", prompt_cache_key: "k" });
  assert.throws(() => chat({ temprature: 1 }), { code: "E_PARAM", message: /^temprature / });
  assert.throws(() => complete({ messages }), { code: "E_PARAM", message: /^messages / });
});

test("messages: developer is system, parts are lines, the rest is refused by its place", () => {
  const parsed = chat({
    messages: [
      { role: "developer", content: "d" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }], name: "n" },
      { role: "assistant", content: "", refusal: null, tool_calls: [] },
    ],
  });
  assert.deepEqual(parsed.request.messages, [
    { role: "system", content: "d" },
    { role: "user", content: "a\nb", name: "n" },
    { role: "assistant", content: "" },
  ]);
  const one = (message: unknown) => () => chat({ messages: [messages[0], message] });
  assert.throws(one({ role: "function", content: "x", name: "f" }), { code: "E_UNSUPPORTED", message: /^messages\[1\]\.role/ });
  assert.throws(one({ role: "robot", content: "x" }), { code: "E_PARAM", message: /^messages\[1\]\.role/ });
  assert.throws(one({ role: "user", content: null }), { code: "E_PARAM", message: /^messages\[1\]\.content/ });
  assert.throws(one({ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }), { code: "E_UNSUPPORTED", message: /^messages\[1\]\.content\[0\]/ });
  assert.throws(one({ role: "user", content: [{ type: "text", text: 3 }] }), { code: "E_PARAM", message: /^messages\[1\]\.content\[0\]\.text/ });
  assert.throws(one({ role: "assistant", content: "x", tool_calls: [{}] }), { code: "E_PARAM", message: /^messages\[1\]\.tool_calls/ });
  assert.throws(one({ role: "assistant", content: "x", tool_calls: {} }), { code: "E_PARAM", message: /^messages\[1\]\.tool_calls/ });
  assert.throws(one({ role: "assistant", content: "x", reasoning_content: 1 }), { code: "E_PARAM", message: /^messages\[1\]\.reasoning_content/ });
  assert.throws(one({ role: "user", content: "x", more: 1n }), { code: "E_PARAM", message: /^messages\[1\] cannot/ });
  assert.throws(one("hello"), { code: "E_PARAM", message: /^messages\[1\]/ });
  assert.throws(() => chat({ messages: [] }), { code: "E_PARAM", message: /^messages / });
  assert.throws(() => parseChat(undefined as unknown as ChatCompletionParams), { code: "E_PARAM", message: /^params / });
});

test("tool calls, their results and reasoning go to the template as they are", () => {
  const call = { id: "1", type: "function", function: { name: "f", arguments: '{"a": 1}' } };
  const parsed = chat({
    messages: [
      { role: "user", content: "x" },
      { role: "assistant", content: null, tool_calls: [call], reasoning_content: "hm", refusal: null },
      { role: "tool", tool_call_id: "1", content: "2" },
      { role: "assistant", tool_calls: [{ ...call, function: { name: "f", arguments: { a: 1 } } }] },
    ],
  });
  assert.deepEqual(parsed.request.messages?.slice(1), [
    { role: "assistant", content: "", tool_calls: [call], reasoning_content: "hm" },
    { role: "tool", tool_call_id: "1", content: "2" },
    { role: "assistant", content: "", tool_calls: [{ ...call, function: { name: "f", arguments: { a: 1 } } }] },
  ]);
});

test("tools and variables for the template", () => {
  const tool = { type: "function", function: { name: "f", parameters: { type: "object" } } };
  const told = (params: object) => {
    const { tools, chatTemplateKwargs } = chat(params).request;
    return { tools, kwargs: chatTemplateKwargs };
  };
  assert.deepEqual(told({}), { tools: undefined, kwargs: undefined });
  assert.deepEqual(told({ tools: [] }), { tools: undefined, kwargs: undefined });
  assert.deepEqual(told({ tools: [tool], tool_choice: "auto" }).tools, [tool]);
  assert.equal(told({ tools: [tool], tool_choice: "none" }).tools, undefined);
  assert.deepEqual(told({ reasoning_effort: "none" }).kwargs, { enable_thinking: false, thinking: false });
  assert.deepEqual(
    told({ reasoning_effort: "none", chat_template_kwargs: { thinking: true, x: [1] }, add_generation_prompt: false }).kwargs,
    { enable_thinking: false, thinking: true, x: [1], add_generation_prompt: false },
  );
  assert.deepEqual(told({ reasoning_effort: "high" }).kwargs, { reasoning_effort: "high" });
  assert.throws(() => chat({ tools: {} }), { code: "E_PARAM", message: /^tools / });
  assert.throws(() => chat({ reasoning_effort: 1 }), { code: "E_PARAM", message: /^reasoning_effort / });
  assert.throws(() => chat({ chat_template_kwargs: [1] }), { code: "E_PARAM", message: /^chat_template_kwargs / });
  assert.throws(() => chat({ chat_template_kwargs: { x: 1n } }), { code: "E_PARAM", message: /^chat_template_kwargs / });
  assert.throws(() => chat({ add_generation_prompt: 1 }), { code: "E_PARAM", message: /^add_generation_prompt / });
  assert.throws(() => complete({ tools: [tool] }), { code: "E_UNSUPPORTED", message: /^tools / });
  assert.throws(() => complete({ reasoning_effort: "high" }), { code: "E_UNSUPPORTED", message: /^reasoning_effort / });
});

test("prompt: a text, ids, or a list of one of them", () => {
  assert.deepEqual(complete({ prompt: "x" }).request.prompt, "x");
  assert.deepEqual(complete({ prompt: ["x"] }).request.prompt, "x");
  assert.deepEqual(complete({ prompt: [1, 2] }).request.tokens, [1, 2]);
  assert.deepEqual(complete({ prompt: [[1, 2]] }).request.tokens, [1, 2]);
  assert.throws(() => complete({ prompt: ["x", "y"] }), { code: "E_UNSUPPORTED", message: /^prompt / });
  assert.throws(() => complete({ prompt: [[1], [2]] }), { code: "E_UNSUPPORTED", message: /^prompt / });
  assert.throws(() => complete({ prompt: [1, -1] }), { code: "E_PARAM", message: /^prompt\[1\] / });
  assert.throws(() => complete({ prompt: null }), { code: "E_PARAM", message: /^prompt / });
});
