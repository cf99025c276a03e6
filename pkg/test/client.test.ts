import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { Client } from "../src/client.js";
import { AbortError, DeviceError, DownloadError, UsageError } from "../src/errors.js";
import { FakeWorker, settle } from "./fake-worker.js";

function make(): { client: Client; worker: FakeWorker } {
  FakeWorker.obliging = false;
  const worker = new FakeWorker();
  return { client: new Client(worker), worker };
}

test("answers find their requests in whatever order they come", async () => {
  const { client, worker } = make();
  const first = client.call("tokenize", { text: "a", special: false, bos: true });
  const second = client.call("tokenize", { text: "b", special: false, bos: true });
  const [a, b] = worker.of("tokenize");
  assert.ok(a && b && a.id !== b.id);
  worker.done(b.id, [2]);
  worker.done(a.id, [1]);
  assert.deepEqual(await second.output, [2]);
  assert.deepEqual(await first.output, [1]);
  await first.ended;
});

test("events reach the hooks of their own request, before the answer", async () => {
  const { client, worker } = make();
  const seen: unknown[] = [];
  const call = client.call(
    "load",
    { source: "https://a/m.gguf", options: { device: "auto" } },
    { onProgress: (p) => seen.push(p), onToken: (t) => seen.push(t), onPrefill: (p) => seen.push(p) },
  );
  const other = client.call("stats", null, { onProgress: () => seen.push("wrong request") });
  const id = worker.of("load")[0]?.id ?? -1;
  worker.respond({ id, kind: "progress", progress: { stage: "header" } });
  worker.respond({ id, kind: "prefill", done: 32, total: 64 });
  worker.token(id, "x");
  worker.done(id, "info");
  assert.equal(await call.output, "info");
  assert.deepEqual(seen, [{ stage: "header" }, { done: 32, total: 64 }, { id: 10, text: "x" }]);
  client.close(new UsageError("E_DISPOSED", "gone", ""));
  await assert.rejects(other.output, { code: "E_DISPOSED" });
});

test("a failure comes back in its class", async () => {
  const { client, worker } = make();
  const call = client.call("stats", null);
  worker.failed(worker.of("stats")[0]?.id ?? -1, "E_HTTP", "404 for https://a/m.gguf");
  await assert.rejects(call.output, (error: unknown) => {
    assert.ok(error instanceof DownloadError);
    assert.deepEqual([error.code, error.message, error.help], ["E_HTTP", "404 for https://a/m.gguf", "help"]);
    return true;
  });
});

test("a signal rejects at once, tells the worker, and silences the request; `ended` waits for the worker", async () => {
  const { client, worker } = make();
  const controller = new AbortController();
  const tokens: string[] = [];
  const call = client.call("stats", null, { signal: controller.signal, onToken: (t) => tokens.push(t.text) });
  const id = worker.of("stats")[0]?.id ?? -1;
  let ended = false;
  void call.ended.then(() => {
    ended = true;
  });
  controller.abort("enough");
  await assert.rejects(call.output, (error: unknown) => error instanceof AbortError && error.code === "E_ABORTED" && error.name === "AbortError" && error.cause === "enough");
  assert.deepEqual(worker.aborted, [id]);
  worker.token(id, "late");
  await settle();
  assert.equal(ended, false);
  worker.failed(id, "E_ABORTED");
  await call.ended;
  assert.deepEqual(tokens, []);
});

test("a signal that has fired sends nothing; one that fires after the answer neither", async () => {
  const { client, worker } = make();
  const call = client.call("stats", null, { signal: AbortSignal.abort() });
  await assert.rejects(call.output, { code: "E_ABORTED" });
  await call.ended;
  assert.equal(worker.sent.length, 0);
  const controller = new AbortController();
  const other = client.call("stats", null, { signal: controller.signal });
  worker.done(worker.of("stats")[0]?.id ?? -1, 1);
  assert.equal(await other.output, 1);
  assert.deepEqual(getEventListeners(controller.signal, "abort"), [], "a signal kept for long would collect listeners");
  controller.abort();
  assert.deepEqual(worker.aborted, []);
});

for (const type of ["error", "messageerror"] as const) {
  test(`${type}: every pending request and every later one fails with E_WORKER`, async () => {
    const { client, worker } = make();
    const calls = [client.call("stats", null), client.call("stats", null)];
    worker.emit(type, Object.assign(new Event(type), { message: type === "error" ? "boom" : undefined }));
    for (const call of [...calls, client.call("stats", null)]) {
      await assert.rejects(call.output, (error: unknown) => error instanceof DeviceError && error.code === "E_WORKER" && (type !== "error" || error.message.includes("boom")));
      await call.ended;
    }
    assert.equal(worker.terminated, true);
    assert.equal(worker.sent.length, 2);
  });
}

test("a listener that throws does not stop the request", async () => {
  const { client, worker } = make();
  const thrown: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.once("uncaughtException", (error) => thrown.push(error));
  const call = client.call("stats", null, {
    onToken: () => {
      throw new Error("the listener's own");
    },
  });
  const id = worker.of("stats")[0]?.id ?? -1;
  worker.token(id, "x");
  worker.done(id, 7);
  assert.equal(await call.output, 7);
  await settle();
  for (const listener of others) {
    process.on("uncaughtException", listener);
  }
  assert.match(String(thrown[0]), /the listener's own/);
});

test("what cannot be sent is refused, and the client goes on", async () => {
  const { client, worker } = make();
  const text = (() => "no text") as unknown as string;
  const call = client.call("tokenize", { text, special: false, bos: true });
  await assert.rejects(call.output, { code: "E_PARAM" });
  await call.ended;
  const next = client.call("stats", null);
  worker.done(worker.of("stats")[0]?.id ?? -1, 1);
  assert.equal(await next.output, 1);
});

test("a thread that stops ends the worker, which waits for it in vain", async () => {
  FakeWorker.obliging = false;
  const worker = new FakeWorker();
  const trouble = new BroadcastChannel("a test's trouble");
  const client = new Client(worker, trouble);
  const call = client.call("stats", null);
  const thread = new BroadcastChannel(trouble.name);
  thread.postMessage("unreachable");
  await assert.rejects(call.output, { code: "E_WORKER", message: /a thread of the worker stopped: unreachable/ });
  assert.ok(worker.terminated);
  thread.close();
});
