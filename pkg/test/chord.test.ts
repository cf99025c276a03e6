import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { AbortError, Chord, DeviceError, UsageError } from "../src/index.js";
import type { ChatCompletionChunk, ModelSource } from "../src/index.js";
import { done, FakeWorker, INFO, settle, useFakeWorkers } from "./fake-worker.js";

const URL_A = "https://a.test/m.gguf";
const messages = [{ role: "user" as const, content: "hi" }];

beforeEach(useFakeWorkers);

async function loaded(): Promise<{ chord: Chord; worker: FakeWorker }> {
  const chord = await Chord.load(URL_A);
  return { chord, worker: FakeWorker.last };
}

const content = (chunk: ChatCompletionChunk) => chunk.choices[0]?.delta.content;

test("load: a module worker beside the script, options as given, defaults by source", async () => {
  const seen: unknown[] = [];
  FakeWorker.obliging = false;
  const loading = Chord.load(new URL(URL_A), { contextLength: 64, kv: "f32", precision: "exact", device: "cpu", sha256: "AB".repeat(32), headers: { a: "b" }, onProgress: (p) => seen.push(p) });
  const worker = FakeWorker.last;
  const [load] = worker.of("load");
  worker.respond({ id: load?.id ?? -1, kind: "progress", progress: { stage: "header" } });
  worker.done(load?.id ?? -1, INFO);
  const chord = await loading;
  assert.match(worker.url, /\/worker\.js$/);
  assert.deepEqual(worker.options, { type: "module" });
  assert.deepEqual(load?.input, {
    source: URL_A,
    options: { device: "cpu", cache: "opfs", contextLength: 64, kv: "f32", precision: "exact", sha256: "ab".repeat(32), headers: { a: "b" } },
  });
  assert.deepEqual(seen, [{ stage: "header" }]);
  assert.deepEqual(chord.info, INFO);
});

test("load: a Blob and bytes go without a cache; the bytes stay the caller's", async () => {
  const bytes = new Uint8Array([71, 71, 85, 70]);
  for (const source of [new Blob([bytes]), bytes, bytes.buffer]) {
    await Chord.load(source);
    assert.deepEqual(FakeWorker.last.of("load")[0]?.input.options, { device: "auto", cache: "none" });
  }
  assert.deepEqual([...bytes], [71, 71, 85, 70]);
});

test("load: wrong options are refused by name before any worker is made", async () => {
  const wrong: [options: object, name: string][] = [
    [{ contextLength: 0 }, "contextLength"],
    [{ kv: "f8" }, "kv"],
    [{ precision: "best" }, "precision"],
    [{ device: "webgpu" }, "device"],
    [{ sha256: "abc" }, "sha256"],
    [{ cache: "disk" }, "cache"],
    [{ headers: { a: 1 } }, "headers"],
    [{ signal: "stop" }, "signal"],
    [{ onProgress: 1 }, "onProgress"],
  ];
  for (const [options, name] of wrong) {
    await assert.rejects(Chord.load(URL_A, options), { code: "E_PARAM", message: new RegExp(`^${name}`) });
  }
  for (const source of ["not a url", 3, null, undefined, {}, [], [3], ["not a url"], [new ReadableStream()]]) {
    await assert.rejects(Chord.load(source as ModelSource), { code: "E_PARAM", message: /^source/ });
  }
  const locked = new ReadableStream();
  locked.getReader();
  await assert.rejects(Chord.load(locked), { code: "E_PARAM", message: /^source/ });
  await assert.rejects(Chord.load(URL_A, { signal: AbortSignal.abort() }), { code: "E_ABORTED" });
  assert.equal(FakeWorker.made.length, 0);
});

test("load fails: its error, and no worker stays", async () => {
  FakeWorker.obliging = false;
  const loading = Chord.load(URL_A);
  FakeWorker.last.failed(FakeWorker.last.of("load")[0]?.id ?? -1, "E_FIT", "too large");
  await assert.rejects(loading, (error: unknown) => error instanceof DeviceError && error.code === "E_FIT");
  assert.equal(FakeWorker.last.terminated, true);
});

test("load aborted: the worker may close its files before it is ended", async () => {
  FakeWorker.obliging = false;
  const controller = new AbortController();
  const loading = Chord.load(URL_A, { signal: controller.signal });
  const worker = FakeWorker.last;
  const id = worker.of("load")[0]?.id ?? -1;
  controller.abort();
  await settle();
  assert.deepEqual([worker.aborted, worker.terminated], [[id], false]);
  worker.failed(id, "E_ABORTED");
  await assert.rejects(loading, AbortError);
  assert.equal(worker.terminated, true);
});

test("no Worker here: E_WORKER says so", async () => {
  Object.assign(globalThis, { Worker: undefined });
  await assert.rejects(Chord.load(URL_A), { code: "E_WORKER" });
});

test("a worker script of another origin is imported by one of this origin", async () => {
  Object.assign(globalThis, { location: new URL("https://page.test/") });
  await Chord.load(URL_A, { workerUrl: "https://cdn.test/worker.js" });
  assert.match(FakeWorker.last.url, /^blob:/);
  assert.equal(await (await fetch(FakeWorker.last.url)).text(), 'import "https://cdn.test/worker.js";');
  await Chord.load(URL_A, { workerUrl: "https://page.test/own.js" });
  assert.equal(FakeWorker.last.url, "https://page.test/own.js");
  Reflect.deleteProperty(globalThis, "location");
});

test("plan: answers and leaves no worker; a stream is refused", async () => {
  FakeWorker.obliging = false;
  const planning = Chord.plan(URL_A, { contextLength: 8 });
  const worker = FakeWorker.last;
  const [plan] = worker.of("plan");
  worker.done(plan?.id ?? -1, { fits: true });
  assert.deepEqual(await planning, { fits: true });
  assert.equal(plan?.input.options.contextLength, 8);
  assert.equal(worker.terminated, true);
  await assert.rejects(Chord.plan(new ReadableStream()), { code: "E_PARAM", message: /^source/ });
});

test("chat: the whole answer, under the model's name", async () => {
  const { chord, worker } = await loaded();
  const asked = chord.chat.completions.create({ messages, temperature: 0, max_tokens: 4 });
  await settle();
  worker.answer(0, ["He", "llo"]);
  const answer = await asked;
  assert.equal(answer.choices[0]?.message.content, "Hello");
  assert.equal(answer.model, "Tiny");
  assert.equal(worker.of("generate")[0]?.input.maxTokens, 4);
});

test("chat, streamed: chunks come while the model writes", async () => {
  const { chord, worker } = await loaded();
  const stream = await chord.chat.completions.create({ messages, stream: true });
  await settle();
  const id = worker.of("generate")[0]?.id ?? -1;
  worker.token(id, "He");
  assert.deepEqual((await stream.next()).value?.choices[0]?.delta, { role: "assistant", content: "" });
  assert.equal(content((await stream.next()).value as ChatCompletionChunk), "He");
  worker.token(id, "llo");
  assert.equal(content((await stream.next()).value as ChatCompletionChunk), "llo");
  worker.done(id, done(["He", "llo"]));
  const rest: ChatCompletionChunk[] = [];
  for await (const chunk of stream) {
    rest.push(chunk);
  }
  assert.deepEqual(rest.map((chunk) => chunk.choices[0]?.finish_reason), ["stop"]);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test("completion: ids as prompt, streamed and whole; OpenAI's second argument carries the signal", async () => {
  const { chord, worker } = await loaded();
  const whole = chord.completions.create({ prompt: [5, 6] });
  await settle();
  worker.answer(0, ["x"]);
  assert.equal((await whole).choices[0]?.text, "x");
  assert.deepEqual(worker.of("generate")[0]?.input.tokens, [5, 6]);
  const stream = await chord.completions.create({ prompt: "p", stream: true });
  await settle();
  worker.answer(1, ["a", "b"]);
  let text = "";
  for await (const chunk of stream) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, "ab");
  await assert.rejects(chord.completions.create({ prompt: "p" }, { signal: AbortSignal.abort() }), { code: "E_ABORTED" });
});

test("requests wait for one another, in order; a wrong one does not take a turn", async () => {
  const { chord, worker } = await loaded();
  const order: string[] = [];
  const ask = (text: string) => chord.completions.create({ prompt: text }).then(() => order.push(text));
  const all = ["a", "b", "c"].map(ask);
  await assert.rejects(chord.completions.create({ prompt: "d", temperature: -1 }), { code: "E_PARAM" });
  for (let n = 0; n < 3; n++) {
    await settle();
    assert.equal(worker.of("generate").length, n + 1);
    worker.answer(n, ["x"]);
  }
  await Promise.all(all);
  assert.deepEqual(order, ["a", "b", "c"]);
  assert.deepEqual(worker.of("generate").map((request) => request.input.prompt), ["a", "b", "c"]);
});

test("a failed request gives its turn on", async () => {
  const { chord, worker } = await loaded();
  const first = chord.completions.create({ prompt: "a" });
  const second = chord.completions.create({ prompt: "b" });
  await settle();
  worker.failed(worker.of("generate")[0]?.id ?? -1, "E_CONTEXT", "too long");
  await assert.rejects(first, (error: unknown) => error instanceof UsageError && error.code === "E_CONTEXT");
  await settle();
  worker.answer(1, ["x"]);
  assert.equal((await second).choices[0]?.text, "x");
});

test("abort while queued: at once, without a message, and the next one keeps its place", async () => {
  const { chord, worker } = await loaded();
  const controller = new AbortController();
  const first = chord.completions.create({ prompt: "a" });
  const second = chord.completions.create({ prompt: "b", signal: controller.signal });
  const third = chord.completions.create({ prompt: "c" });
  await settle();
  controller.abort();
  await assert.rejects(second, AbortError);
  assert.deepEqual(worker.aborted, []);
  await settle();
  assert.equal(worker.of("generate").length, 1, "the third does not overtake the first");
  worker.answer(0, ["x"]);
  await first;
  await settle();
  assert.equal(worker.of("generate")[1]?.input.prompt, "c");
  worker.answer(1, ["y"]);
  await third;
});

test("abort while running: at once; the next waits until the worker has stopped", async () => {
  const { chord, worker } = await loaded();
  const controller = new AbortController();
  const first = chord.completions.create({ prompt: "a", signal: controller.signal });
  const second = chord.completions.create({ prompt: "b" });
  await settle();
  controller.abort("why");
  await assert.rejects(first, (error: unknown) => error instanceof AbortError && error.cause === "why");
  await settle();
  assert.equal(worker.of("generate").length, 1);
  worker.answer(0, [], { finishReason: "cancelled" });
  await settle();
  worker.answer(1, ["y"]);
  assert.equal((await second).choices[0]?.text, "y");
});

test("abort before the start: no work; abort after the end: no effect", async () => {
  const { chord, worker } = await loaded();
  for (const stream of [true, false]) {
    await assert.rejects(chord.chat.completions.create({ messages, stream, signal: AbortSignal.abort() }), AbortError);
  }
  assert.equal(worker.of("generate").length, 0);
  const controller = new AbortController();
  const asked = chord.chat.completions.create({ messages, signal: controller.signal });
  await settle();
  worker.answer(0, ["x"]);
  await asked;
  controller.abort();
  assert.deepEqual(worker.aborted, []);
});

test("abort of a stream: E_ABORTED instead of the chunks that are left, then the end", async () => {
  const { chord, worker } = await loaded();
  const controller = new AbortController();
  const stream = await chord.chat.completions.create({ messages, stream: true, signal: controller.signal });
  await settle();
  const id = worker.of("generate")[0]?.id ?? -1;
  worker.token(id, "one");
  worker.token(id, "two");
  await settle();
  await stream.next();
  controller.abort();
  await settle();
  await assert.rejects(stream.next(), AbortError);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  assert.deepEqual(worker.aborted, [id]);
});

test("leaving a stream early stops the request and throws nothing; a stream never read neither", async () => {
  const { chord, worker } = await loaded();
  const stream = await chord.chat.completions.create({ messages, stream: true });
  await settle();
  const id = worker.of("generate")[0]?.id ?? -1;
  worker.token(id, "one");
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    break;
  }
  assert.deepEqual(worker.aborted, [id]);
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
  worker.done(id, done(["one"], { finishReason: "cancelled" }));
  const unread = await chord.chat.completions.create({ messages, stream: true });
  await settle();
  worker.failed(worker.of("generate")[1]?.id ?? -1, "E_DEVICE_LOST");
  await settle();
  await assert.rejects(unread.next(), DeviceError);
});

test("a stream that fails gives first what had arrived", async () => {
  const { chord, worker } = await loaded();
  const stream = await chord.chat.completions.create({ messages, stream: true });
  await settle();
  const id = worker.of("generate")[0]?.id ?? -1;
  worker.token(id, "one");
  worker.failed(id, "E_DEVICE_LOST");
  await settle();
  let text = "";
  await assert.rejects(async () => {
    for await (const chunk of stream) {
      text += content(chunk) ?? "";
    }
  }, DeviceError);
  assert.equal(text, "one");
});

test("prefill is reported", async () => {
  const { chord, worker } = await loaded();
  const seen: unknown[] = [];
  const asked = chord.chat.completions.create({ messages, onPrefill: (p) => seen.push(p) });
  await settle();
  worker.respond({ id: worker.of("generate")[0]?.id ?? -1, kind: "prefill", done: 1, total: 2 });
  worker.answer(0, ["x"]);
  await asked;
  assert.deepEqual(seen, [{ done: 1, total: 2 }]);
});

test("tokenize, detokenize, stats: defaults, and answers during a generation", async () => {
  const { chord, worker } = await loaded();
  const asked = chord.completions.create({ prompt: "a" });
  const others = [chord.tokenize("t"), chord.tokenize("t", { special: true, bos: false }), chord.detokenize([1]), chord.detokenize([1], { special: false }), chord.stats()];
  await settle();
  assert.deepEqual(worker.of("tokenize").map((r) => r.input), [
    { text: "t", special: false, bos: true },
    { text: "t", special: true, bos: false },
  ]);
  assert.deepEqual(worker.of("detokenize").map((r) => r.input), [
    { ids: [1], special: true },
    { ids: [1], special: false },
  ]);
  for (const { id, op } of worker.sent) {
    if (op === "tokenize" || op === "detokenize" || op === "stats") {
      worker.done(id, op);
    }
  }
  assert.deepEqual(await Promise.all(others), ["tokenize", "tokenize", "detokenize", "detokenize", "stats"]);
  await assert.rejects(chord.tokenize(3 as unknown as string), { code: "E_PARAM", message: /^text / });
  await assert.rejects(chord.detokenize([1.5]), { code: "E_PARAM", message: /^ids\[0\] / });
  worker.answer(0, ["x"]);
  await asked;
});

test("dispose: running, queued and later requests end with E_DISPOSED; the worker goes; twice is once", async () => {
  const { chord, worker } = await loaded();
  const running = chord.completions.create({ prompt: "a" });
  const queued = chord.completions.create({ prompt: "b" });
  const stream = await chord.chat.completions.create({ messages, stream: true });
  await settle();
  await Promise.all([
    chord.dispose(),
    chord.dispose(),
    assert.rejects(running, { code: "E_DISPOSED" }),
    assert.rejects(queued, { code: "E_DISPOSED" }),
    assert.rejects(stream.next(), { code: "E_DISPOSED" }),
  ]);
  assert.equal(worker.of("dispose").length, 1);
  assert.equal(worker.of("generate").length, 1);
  assert.equal(worker.aborted.length, 1);
  assert.equal(worker.terminated, true);
  for (const later of [() => chord.completions.create({ prompt: "c" }), () => chord.chat.completions.create({ messages, stream: true }), () => chord.tokenize("x"), () => chord.stats()]) {
    await assert.rejects(later, (error: unknown) => error instanceof UsageError && error.code === "E_DISPOSED");
  }
});

test("`await using` disposes", async () => {
  const { chord, worker } = await loaded();
  await chord[Symbol.asyncDispose]();
  assert.equal(worker.terminated, true);
});

test("dispose ends a worker that does not answer", { timeout: 10_000 }, async (t) => {
  const { chord, worker } = await loaded();
  FakeWorker.obliging = false;
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const disposing = chord.dispose();
  await settle();
  assert.equal(worker.terminated, false);
  t.mock.timers.tick(5000);
  await disposing;
  assert.equal(worker.terminated, true);
});

test("the worker crashes: what runs and what waits fails with E_WORKER, and so does what comes", async () => {
  const { chord, worker } = await loaded();
  const running = chord.completions.create({ prompt: "a" });
  const queued = chord.completions.create({ prompt: "b" });
  const stream = await chord.chat.completions.create({ messages, stream: true });
  await settle();
  worker.emit("error", Object.assign(new Event("error"), { message: "out of memory" }));
  for (const failing of [running, queued, stream.next(), chord.stats()]) {
    await assert.rejects(failing, { code: "E_WORKER", message: /out of memory/ });
  }
  await chord.dispose();
});
