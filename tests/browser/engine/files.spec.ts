/** Models from every kind of source, from the cache, and files that are no models. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@playwright/test";
import { test, TINY } from "./harness.ts";

const path = `/models/${TINY}.gguf`;
const bytes = readFileSync(join(import.meta.dirname, "../../data/models", `${TINY}.gguf`));

test("a plan says what a model needs and reads the header only", async ({ chordPage, server }) => {
  server.reset();
  const plan = await chordPage.evaluate((url) => Chord.plan(url, { contextLength: 512, kv: "f16" }), path);
  expect(plan.fits).toBe(true);
  expect(plan.reasons).toEqual([]);
  expect(plan.contextLength).toBe(512);
  expect(plan.bytes.file).toBe(bytes.length);
  expect(plan.bytes.total).toBe(plan.bytes.weights + plan.bytes.kv + plan.bytes.scratch);
  expect(plan.bytes.kv).toBe(512 * 2 * 2 * 128 * 2);
  expect(plan.model).toMatchObject({ architecture: "llama", chatTemplate: true, layers: 2, trainedContext: 1024 });
  expect(plan.adapter?.backend).toBe("webgpu");
  const tooLong = await chordPage.evaluate((url) => Chord.plan(url, { contextLength: 2000 }).catch((e: { code: string }) => e.code), path);
  expect(tooLong).toBe("E_CTX");
});

test("URL, File, ArrayBuffer and ReadableStream give the same answer; a second load takes nothing from the network", async ({ chordPage, server }) => {
  const answers = await chordPage.evaluate(async (url) => {
    const buffer = await (await fetch(url)).arrayBuffer();
    const sources = {
      url,
      file: new File([buffer], "model.gguf"),
      buffer,
      stream: new Blob([buffer]).stream(),
    };
    const answers: Record<string, number[]> = {};
    for (const [name, source] of Object.entries(sources)) {
      const chord = await Chord.load(source, { contextLength: 64 });
      answers[name] = (await chord.completions.create({ prompt: "Once upon a time", max_tokens: 6, temperature: 0 })).tokens.completion;
      await chord.dispose();
    }
    return answers;
  }, path);
  expect(answers.url).toHaveLength(6);
  for (const ids of Object.values(answers)) expect(ids).toEqual(answers.url);

  await chordPage.reload();
  await chordPage.waitForFunction(() => "Chord" in globalThis);
  server.reset();
  const cached = await chordPage.evaluate(async (url) => {
    const chord = await Chord.load(url, { contextLength: 64 });
    const { tokens } = await chord.completions.create({ prompt: "Once upon a time", max_tokens: 6, temperature: 0 });
    const stats = await chord.stats();
    await chord.dispose();
    return { ids: tokens.completion, networkBytes: stats.networkBytes, cachedBytes: stats.cachedBytes };
  }, path);
  expect(cached.ids).toEqual(answers.url);
  expect(cached.networkBytes).toBe(0);
  expect(cached.cachedBytes).toBe(bytes.length);
  expect(server.requests(path)).toEqual([]);
});

test("what is no model is refused with its reason, and nothing is left running", async ({ chordPage, server, page }) => {
  server.serve("/page.gguf", { body: "<!doctype html><title>Sign in</title>", type: "text/html" });
  server.serve("/cut.gguf", { body: bytes.subarray(0, bytes.length - 1), type: "application/octet-stream" });
  const flipped = Buffer.from(bytes);
  flipped.writeUInt8(flipped.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  server.serve("/flipped.gguf", { body: flipped, type: "application/octet-stream" });
  const load = (url: string, options: Record<string, string> = {}) =>
    chordPage.evaluate(
      ({ url, options }) => Chord.load(url, { cache: "none", contextLength: 64, ...options }).then(() => "loaded", (e: { code: string; help: string }) => (e.help ? e.code : "no help")),
      { url, options },
    );
  expect(await load("/page.gguf")).toBe("E_NOT_A_MODEL");
  expect(await load("/cut.gguf")).toBe("E_TRUNCATED");
  expect(await load("/nothing.gguf")).toBe("E_HTTP");
  expect(await load("/flipped.gguf", { sha256: "0".repeat(64) })).toBe("E_HASH");
  await expect.poll(() => page.workers().length).toBe(0);
});
