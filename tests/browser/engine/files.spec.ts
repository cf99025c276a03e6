/** Models from every kind of source, from the cache, and files that are no models. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@playwright/test";
import { T0, test, TINY } from "./harness.ts";

const path = `/models/${TINY}.gguf`;
const bytes = readFileSync(join(import.meta.dirname, "../../data/models", `${TINY}.gguf`));

test("a plan says what a model needs and reads the header only", { tag: "@both" }, async ({ chordPage, server, device }) => {
  server.reset();
  const plan = await chordPage.evaluate((url) => Chord.plan(url, { contextLength: 512, kv: "f16" }), path);
  expect(plan.fits).toBe(true);
  expect(plan.reasons).toEqual([]);
  expect(plan.contextLength).toBe(512);
  expect(plan.bytes.file).toBe(bytes.length);
  expect(plan.bytes.total).toBe(plan.bytes.weights + plan.bytes.kv + plan.bytes.scratch);
  expect(plan.bytes.kv).toBe(512 * 2 * 2 * 128 * 2);
  const narrow = await chordPage.evaluate((url) => Chord.plan(url, { contextLength: 512, kv: "q8_0" }), path);
  expect(narrow.bytes.kv).toBe((plan.bytes.kv * 17) / 32);
  expect(plan.model).toMatchObject({ architecture: "llama", chatTemplate: true, layers: 2, trainedContext: 1024 });
  expect(plan.adapter?.backend).toBe(device === "gpu" ? "webgpu" : "cpu");
  expect(plan.device.kind).toBe(device === "gpu" ? "gpu" : "cpu");
  const tooLong = await chordPage.evaluate((url) => Chord.plan(url, { contextLength: 2000 }).catch((e: { code: string }) => e.code), path);
  expect(tooLong).toBe("E_CTX");
});

test("a split model, by the address of any part or by its files, answers as the whole", async ({ chordPage }) => {
  const name = (part: number) => `/split/t0-0000${part}-of-00003.gguf`;
  const names = [3, 1, 2].map(name);
  const { plan, answers, network, alone } = await chordPage.evaluate(async (names) => {
    const files = await Promise.all(names.map(async (name) => new File([await (await fetch(name, { cache: "no-store" })).blob()], name.slice(7))));
    const sources = { whole: "/split/t0.gguf", url: names[0] ?? "", urls: names.toSorted(), files };
    const plan = await Chord.plan(sources.url);
    const answers: Record<string, number[]> = {};
    const network: Record<string, number> = {};
    for (const [kind, source] of Object.entries(sources)) {
      const chord = await Chord.load(source, { precision: "exact" });
      answers[kind] = (await chord.completions.create({ prompt: "a", max_tokens: 12, temperature: 0 })).tokens.completion;
      network[kind] = (await chord.stats()).networkBytes;
      await chord.dispose();
    }
    const alone = await Chord.load([...files].slice(1, 2)).then(
      () => "loaded",
      (error: { code: string }) => error.code,
    );
    return { plan, answers, network, alone };
  }, names);
  expect(plan.fits).toBe(true);
  expect(plan.bytes.file).toBe(10_144 + 16_928 + 16_640);
  expect(answers.whole).toHaveLength(12);
  for (const ids of Object.values(answers)) expect(ids).toEqual(answers.whole);
  expect(network.url).toBeGreaterThanOrEqual(plan.bytes.file ?? Infinity);
  // The same addresses, now from the cache.
  expect(network).toMatchObject({ urls: 0, files: 0 });
  expect(alone).toBe("E_SPLIT");
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
      answers[name] = (await chord.completions.create({ prompt: "a", max_tokens: 6, temperature: 0 })).tokens.completion;
      await chord.dispose();
    }
    return answers;
  }, T0);
  expect(answers.url).toHaveLength(6);
  for (const ids of Object.values(answers)) expect(ids).toEqual(answers.url);

  await chordPage.reload();
  await chordPage.waitForFunction(() => "Chord" in globalThis);
  server.reset();
  const cached = await chordPage.evaluate(async (url) => {
    const chord = await Chord.load(url, { contextLength: 64 });
    const { tokens } = await chord.completions.create({ prompt: "a", max_tokens: 6, temperature: 0 });
    const stats = await chord.stats();
    await chord.dispose();
    return { ids: tokens.completion, networkBytes: stats.networkBytes, cachedBytes: stats.cachedBytes };
  }, T0);
  expect(cached.ids).toEqual(answers.url);
  expect(cached.networkBytes).toBe(0);
  expect(cached.cachedBytes).toBe(readFileSync(join(import.meta.dirname, "../../data", T0)).length);
  expect(server.requests(T0)).toEqual([]);
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
