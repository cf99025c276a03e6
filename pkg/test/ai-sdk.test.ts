import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { LanguageModelV4CallOptions, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { generateText, streamText } from "ai";
import { createChord } from "../src/ai-sdk.js";
import { AbortError, Chord, UsageError } from "../src/index.js";
import { done, FakeWorker, settle, useFakeWorkers } from "./fake-worker.js";

beforeEach(useFakeWorkers);

const prompt: LanguageModelV4CallOptions["prompt"] = [{ role: "user", content: [{ type: "text", text: "hi" }] }];
const TIMINGS = { prefill_ms: 4, prefill_tok_s: 500, ttft_ms: 5, decode_ms: 6, decode_tok_s: 300, prefilled_tokens: 2 };
const INPUT = { total: 3, noCache: 2, cacheRead: 1, cacheWrite: undefined };
const OUTPUT = { total: 2, text: 2, reasoning: undefined };

async function make(modelId?: string) {
  const chord = await Chord.load("https://a.test/m.gguf");
  return { chord, worker: FakeWorker.last, provider: createChord(chord, modelId === undefined ? {} : { modelId }) };
}

async function all(stream: ReadableStream<LanguageModelV4StreamPart>): Promise<LanguageModelV4StreamPart[]> {
  const parts: LanguageModelV4StreamPart[] = [];
  for await (const part of stream) {
    parts.push(part);
  }
  return parts;
}

test("the provider has one model, under its own name or the one given", async () => {
  const { provider } = await make();
  assert.deepEqual([provider().modelId, provider().provider, provider().specificationVersion], ["Tiny", "wasm-chord", "v4"]);
  assert.equal(provider.languageModel("Tiny"), provider());
  assert.throws(() => provider("other"), { code: "E_UNSUPPORTED", message: /other/ });
  assert.throws(() => provider.embeddingModel("x"), UsageError);
  assert.throws(() => provider.imageModel("x"), UsageError);
  assert.equal((await make("mine")).provider.chat("mine").modelId, "mine");
});

test("doGenerate: settings in; text, reason, usage and timings out", async () => {
  const { worker, provider } = await make();
  const asked = provider().doGenerate({
    prompt: [
      { role: "system", content: "s" },
      { role: "user", content: [{ type: "text", text: "a" }, { type: "file", mediaType: "text/plain", data: { type: "text", text: "b" } }] },
      { role: "assistant", content: [{ type: "text", text: "c" }, { type: "text", text: "d" }] },
    ],
    maxOutputTokens: 9,
    temperature: 0.5,
    topP: 0.9,
    topK: 10,
    presencePenalty: 1,
    frequencyPenalty: 2,
    seed: 3,
    stopSequences: ["END"],
    providerOptions: { "wasm-chord": { minP: 0.2, repetitionPenalty: 1.1 } },
  });
  await settle();
  worker.answer(0, ["He", "llo"], { finishReason: "length" });
  const { response, request, ...result } = await asked;
  assert.deepEqual(worker.of("generate")[0]?.input, {
    messages: [
      { role: "system", content: "s" },
      { role: "user", content: "a\nb" },
      { role: "assistant", content: "cd" },
    ],
    maxTokens: 9,
    stop: ["END"],
    sampling: { temperature: 0.5, topK: 10, topP: 0.9, minP: 0.2, repeatPenalty: 1.1, presencePenalty: 1, frequencyPenalty: 2, seed: 3 },
  });
  assert.deepEqual(result, {
    content: [{ type: "text", text: "Hello" }],
    finishReason: { unified: "length", raw: "length" },
    usage: {
      inputTokens: INPUT,
      outputTokens: OUTPUT,
      raw: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 }, completion_tokens_details: { accepted_prediction_tokens: 3, rejected_prediction_tokens: 4 } },
    },
    providerMetadata: { "wasm-chord": { timings: TIMINGS } },
    warnings: [],
  });
  assert.equal(response?.modelId, "Tiny");
  assert.ok(response?.timestamp instanceof Date && Math.abs(response.timestamp.getTime() - Date.now()) < 5000);
  assert.equal((request?.body as { temperature: number }).temperature, 0.5);
});

test("what has no effect is warned of, what cannot be sent is refused", async () => {
  const { worker, provider } = await make();
  const asked = provider().doGenerate({
    prompt: [...prompt, { role: "assistant", content: [{ type: "reasoning", text: "hm" }, { type: "text", text: "a" }] }],
    tools: [{ type: "function", name: "f", inputSchema: {} }],
    toolChoice: { type: "required" },
    responseFormat: { type: "json" },
    reasoning: "high",
  });
  await settle();
  worker.answer(0, ["x"]);
  const { warnings } = await asked;
  assert.deepEqual(warnings.map((w) => (w.type === "unsupported" ? w.feature : w.type)), ["tools", "toolChoice", "responseFormat"]);
  const { messages, chatTemplateKwargs } = worker.of("generate")[0]?.input ?? {};
  assert.deepEqual(messages?.at(-1), { role: "assistant", content: "a", reasoning_content: "hm" });
  assert.deepEqual(chatTemplateKwargs, { reasoning_effort: "high" });
  const wrong: LanguageModelV4CallOptions["prompt"][] = [
    [{ role: "user", content: [{ type: "file", mediaType: "image/png", data: { type: "data", data: "AA" } }] }],
    [{ role: "tool", content: [] }],
    [{ role: "assistant", content: [{ type: "tool-call", toolCallId: "1", toolName: "f", input: {} }] }],
  ];
  for (const each of wrong) {
    await assert.rejects(async () => provider().doGenerate({ prompt: each }), { code: "E_UNSUPPORTED", message: /^prompt\[0\]/ });
    await assert.rejects(async () => provider().doStream({ prompt: each }), { code: "E_UNSUPPORTED" });
  }
  await assert.rejects(async () => provider().doGenerate({ prompt, providerOptions: { "wasm-chord": { minP: "x" } } }), { code: "E_PARAM", message: /minP/ });
  await assert.rejects(async () => provider().doGenerate({ prompt, temperature: -1 }), { code: "E_PARAM", message: /^temperature/ });
});

test("doStream: the parts in their order", async () => {
  const { worker, provider } = await make();
  const { stream } = await provider().doStream({ prompt });
  await settle();
  worker.answer(0, ["He", "", "llo"]);
  const parts = await all(stream);
  assert.deepEqual(
    parts.map((part) => part.type),
    ["stream-start", "response-metadata", "text-start", "text-delta", "text-delta", "text-end", "finish"],
  );
  assert.deepEqual(parts.flatMap((part) => (part.type === "text-delta" ? [part.delta] : [])), ["He", "llo"]);
  const finish = parts.at(-1);
  assert.ok(finish?.type === "finish");
  assert.deepEqual(finish.finishReason, { unified: "stop", raw: "stop" });
  assert.deepEqual([finish.usage.inputTokens, finish.usage.outputTokens.total], [INPUT, 3]);
  assert.deepEqual(finish.providerMetadata, { "wasm-chord": { timings: TIMINGS } });
});

test("doStream: raw chunks where asked for; an empty answer has no text part", async () => {
  const { worker, provider } = await make();
  const { stream } = await provider().doStream({ prompt, includeRawChunks: true });
  await settle();
  worker.answer(0, []);
  const types = (await all(stream)).map((part) => part.type);
  assert.deepEqual(types, ["stream-start", "raw", "response-metadata", "raw", "raw", "finish"]);
});

test("doStream: an error is a part, with reason error", async () => {
  const { worker, provider } = await make();
  const { stream } = await provider().doStream({ prompt });
  await settle();
  const id = worker.of("generate")[0]?.id ?? -1;
  worker.token(id, "a");
  worker.failed(id, "E_DEVICE_LOST");
  const parts = await all(stream);
  assert.deepEqual(parts.map((part) => part.type).slice(-3), ["error", "text-end", "finish"]);
  const finish = parts.at(-1);
  assert.deepEqual(finish?.type === "finish" && finish.finishReason, { unified: "error", raw: "E_DEVICE_LOST" });
});

test("abort: doGenerate and a stream reject with an AbortError; cancelling the stream stops the request", async () => {
  const { worker, provider } = await make();
  const controller = new AbortController();
  const asked = provider().doGenerate({ prompt, abortSignal: controller.signal });
  await settle();
  controller.abort();
  await assert.rejects(Promise.resolve(asked), AbortError);
  worker.done(worker.of("generate")[0]?.id ?? -1, done([], { finishReason: "cancelled" }));

  const second = new AbortController();
  const { stream } = await provider().doStream({ prompt, abortSignal: second.signal });
  await settle();
  second.abort();
  await assert.rejects(all(stream), AbortError);
  worker.done(worker.of("generate")[1]?.id ?? -1, done([], { finishReason: "cancelled" }));

  const { stream: third } = await provider().doStream({ prompt });
  await settle();
  const reader = third.getReader();
  await reader.read();
  const waiting = reader.read();
  await reader.cancel();
  await waiting;
  assert.equal(worker.aborted.length, 3);
});

test("generateText and streamText of `ai` run on it", async () => {
  const { worker, provider } = await make();
  const asked = generateText({ model: provider(), prompt: "hi", temperature: 0 });
  await settle();
  worker.answer(0, ["He", "llo"]);
  const whole = await asked;
  assert.deepEqual([whole.text, whole.finishReason, whole.usage.inputTokens, whole.usage.outputTokens], ["Hello", "stop", 3, 2]);

  const streamed = streamText({ model: provider(), prompt: "hi" });
  const texts: string[] = [];
  const reading = (async () => {
    for await (const text of streamed.textStream) {
      texts.push(text);
    }
  })();
  for (let i = 0; i < 20 && worker.of("generate").length < 2; i++) {
    await settle();
  }
  worker.answer(1, ["a", "b"]);
  await reading;
  assert.deepEqual(texts, ["a", "b"]);
  assert.equal(await streamed.finishReason, "stop");
});

test("reasoning is a part of its own, before the text", async () => {
  const { worker, provider } = await make();
  const asked = provider().doGenerate({ prompt, reasoning: "none" });
  await settle();
  worker.answer(0, ["x"], { reasoning: "Hm." });
  assert.deepEqual((await asked).content, [
    { type: "reasoning", text: "Hm." },
    { type: "text", text: "x" },
  ]);
  assert.deepEqual(worker.of("generate")[0]?.input.chatTemplateKwargs, { enable_thinking: false, thinking: false });

  const { stream } = await provider().doStream({ prompt });
  await settle();
  worker.answer(1, [{ reasoning: "Hm" }, { reasoning: "." }, "x", "y"], { reasoning: "Hm." });
  const parts = (await all(stream)).filter(({ type }) => /^(text|reasoning)-/.test(type));
  assert.deepEqual(parts, [
    { type: "reasoning-start", id: "0" },
    { type: "reasoning-delta", id: "0", delta: "Hm" },
    { type: "reasoning-delta", id: "0", delta: "." },
    { type: "reasoning-end", id: "0" },
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: "x" },
    { type: "text-delta", id: "1", delta: "y" },
    { type: "text-end", id: "1" },
  ]);
});
