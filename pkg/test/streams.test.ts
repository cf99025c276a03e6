import assert from "node:assert/strict";
import { test } from "node:test";
import { feedThroughPort, receiveSource, sendSource } from "../src/streams.js";
import type { SentSource } from "../src/streams.js";

/** What the other side gets. */
function cross({ source, transfer }: { source: SentSource; transfer: Transferable[] }): ReadableStream<Uint8Array> {
  const got = receiveSource(structuredClone(source, { transfer }));
  assert.ok(got instanceof ReadableStream);
  return got;
}

function counting(chunks: number): { stream: ReadableStream<Uint8Array>; pulled: () => number; cancelled: () => boolean } {
  let pulled = 0;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (pulled === chunks) {
          controller.close();
          return;
        }
        controller.enqueue(Uint8Array.of(pulled++));
      },
      cancel() {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, pulled: () => pulled, cancelled: () => cancelled };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

for (const [how, send] of [
  ["through a port", feedThroughPort],
  ["transferred", sendSource],
] as const) {
  test(`a stream ${how} arrives whole and in order`, async () => {
    const got: number[] = [];
    for await (const chunk of cross(send(counting(50).stream))) {
      got.push(...chunk);
    }
    assert.deepEqual(got, Array.from({ length: 50 }, (_, i) => i));
  });
}

test("through a port: nothing is read before it is asked for, and a cancel reaches the source", async () => {
  const { stream, pulled, cancelled } = counting(1000);
  const reader = cross(feedThroughPort(stream)).getReader();
  await pause();
  assert.equal(pulled(), 0);
  await reader.read();
  await reader.read();
  await pause();
  assert.equal(pulled(), 2);
  await reader.cancel();
  await pause();
  assert.equal(cancelled(), true);
});

test("through a port: a failure and wrong chunks reach the reader", async () => {
  const failing = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.error(new Error("the disk is gone"));
    },
  });
  await assert.rejects(cross(feedThroughPort(failing)).getReader().read(), /the disk is gone/);
  const texts = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue("text" as unknown as Uint8Array);
    },
  });
  await assert.rejects(cross(feedThroughPort(texts)).getReader().read(), /no Uint8Array/);
});

test("bytes are copied, and of a view only the part in view", () => {
  const buffer = new ArrayBuffer(1000);
  const view = new Uint8Array(buffer, 10, 5).fill(7);
  const { source, transfer } = sendSource(view);
  const got = structuredClone(source, { transfer });
  assert.ok(got instanceof Uint8Array);
  assert.deepEqual([...got], [7, 7, 7, 7, 7]);
  assert.equal(got.buffer.byteLength, 5);
  assert.equal(buffer.byteLength, 1000);
  assert.equal(view.byteLength, 5);
  assert.deepEqual(sendSource(buffer), { source: buffer, transfer: [] });
  const parts = sendSource(["https://example.org/a.gguf", view]);
  assert.equal(parts.transfer.length, 1);
  assert.deepEqual(parts.source, ["https://example.org/a.gguf", view]);
});
