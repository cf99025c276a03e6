/** What an engine holds in JavaScript and WebAssembly: whatever the model's size, where the weights go to a GPU; and by the tokens that it has. */
import { expect, type Page } from "@playwright/test";
import { heldBytes } from "../storage/memory.ts";
import { bigModel } from "./big.ts";
import { SMOL, test } from "./harness.ts";

const MiB = 1 << 20;
const LIMIT = 96 * MiB;

/** Loads, and tells the most that worker and wasm held at once, and what the engine says in the end. */
async function peakOf(page: Page, url: string): Promise<{ peak: number; samples: number; wasm: number; gpu: number }> {
  const done = page.evaluate(async (url) => {
    const chord = await Chord.load(url, { cache: "none", contextLength: 64 });
    const stats = await chord.stats();
    await chord.dispose();
    return { wasm: stats.wasmBytes, gpu: stats.gpuBytes };
  }, url);
  let peak = 0;
  let samples = 0;
  let running = true;
  const sampling = (async () => {
    while (running) {
      // Not yet there, or gone: between two samples that is no failure.
      const held = await heldBytes(page.context(), page).catch(() => 0);
      peak = Math.max(peak, held);
      samples += Number(held > 0);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  const stats = await done;
  running = false;
  await sampling;
  // Wasm memory never shrinks: what it has in the end is its peak.
  return { peak: peak + stats.wasm, samples, ...stats };
}

test("98 MB of model are loaded within 96 MiB of JavaScript and wasm", { tag: "@gpu" }, async ({ chordPage }) => {
  const seen = await peakOf(chordPage, `/cached/${SMOL}.gguf`);
  console.log(`peak ${(seen.peak / MiB).toFixed(1)} MiB, of it wasm ${(seen.wasm / MiB).toFixed(1)} MiB; ${seen.samples} samples`);
  expect(seen.samples).toBeGreaterThan(2);
  expect(seen.peak).toBeLessThan(LIMIT);
});

test("a file over 2 GB loads unsplit within the same bound", { tag: "@gpu" }, async ({ chordPage, server }) => {
  const { header, size } = bigModel(3, 8192, 24576);
  expect(size).toBeGreaterThan(2 ** 31);
  server.serve("/big.gguf", { body: header, size });
  const seen = await peakOf(chordPage, "/big.gguf");
  console.log(`${(size / 1e9).toFixed(2)} GB: peak ${(seen.peak / MiB).toFixed(1)} MiB, of it wasm ${(seen.wasm / MiB).toFixed(1)} MiB; ${seen.samples} samples`);
  expect(seen.gpu).toBeGreaterThan(2 ** 31);
  expect(seen.peak).toBeLessThan(LIMIT);
});

test("memory for a long context is taken as it fills", { tag: "@threads" }, async ({ chordPage, server }) => {
  const { header, size } = bigModel(2, 1024, 256, 131_072);
  server.serve("/long.gguf", { body: header, size });
  const seen = await chordPage.evaluate(async () => {
    const chord = await Chord.load("/long.gguf", { cache: "none", device: "cpu" });
    const { wasmBytes: atFirst } = await chord.stats();
    const prompt = Array.from({ length: 4090 }, (_, i) => 2 + ((i * i) % 13));
    const { usage } = await chord.completions.create({ prompt, max_tokens: 16, temperature: 0 });
    const { contextLength, wasmBytes: atLast } = await chord.stats();
    await chord.dispose();
    return { context: contextLength, atFirst, atLast, tokens: usage.total_tokens };
  });
  console.log(`${(seen.atFirst / MiB).toFixed(1)} MiB, with ${seen.tokens} tokens ${(seen.atLast / MiB).toFixed(1)} MiB`);
  expect(seen.context).toBe(131_072);
  expect(seen.tokens).toBe(4106);
  // All of it is 128 MiB; 4096 tokens are 4.
  expect(seen.atFirst).toBeLessThan(32 * MiB);
  expect(seen.atLast).toBeGreaterThan(seen.atFirst);
  expect(seen.atLast).toBeLessThan(48 * MiB);
});
