/** One conversation after the other: what is computed again, what is not, and what is freed. */
import { expect } from "@playwright/test";
import { golden, T0, test, TINY } from "./harness.ts";

const url = `/models/${TINY}.gguf`;

test("a second turn prefills only the new tokens", { tag: "@threads" }, async ({ chordPage }) => {
  const [prompt] = golden(TINY).filter((p) => p.name === "long").map((p) => p.prompt);
  const seen = await chordPage.evaluate(
    async ({ url, prompt }) => {
      const chord = await Chord.load(url, { cache: "none", contextLength: 512 });
      const first = await chord.completions.create({ prompt, max_tokens: 9, temperature: 0 });
      const before = await chord.stats();
      const next = [...prompt, ...first.tokens.completion, 5, 6, 7];
      const second = await chord.completions.create({ prompt: next, max_tokens: 4, temperature: 0 });
      const after = await chord.stats();
      await chord.dispose();
      return { computed: after.prefilledTokens - before.prefilledTokens, timings: second.timings, usage: second.usage, next: next.length };
    },
    { url, prompt: prompt ?? [] },
  );
  // The last token of an answer has been chosen, not computed: it and the three new ones are.
  expect(seen.computed).toBe(4);
  expect(seen.timings.prefilled_tokens).toBe(4);
  expect(seen.usage.prompt_tokens).toBe(seen.next);
  expect(seen.usage.prompt_tokens_details.cached_tokens).toBe(seen.next - 4);
});

test("a stream gives the same text as the whole answer, a seed the same answer twice, a stop string ends it", { tag: "@threads" }, async ({ chordPage }) => {
  const seen = await chordPage.evaluate(async (url) => {
    const chord = await Chord.load(url, { cache: "none", contextLength: 512 });
    const ask = { messages: [{ role: "user" as const, content: "Tell me about the moon 🌙." }], max_tokens: 24, seed: 11 };
    const whole = await chord.chat.completions.create(ask);
    const pieces: string[] = [];
    for await (const part of await chord.chat.completions.create({ ...ask, stream: true })) {
      pieces.push(part.choices[0]?.delta.content ?? "");
    }
    const text = whole.choices[0]?.message.content ?? "";
    const stop = text.slice(8, 11);
    const stopped = await chord.chat.completions.create({ ...ask, stop });
    const other = await chord.chat.completions.create({ ...ask, seed: 12 });
    const ids = await chord.tokenize("Grüße, 世界!", { bos: false });
    const back = await chord.detokenize(ids);
    await chord.dispose();
    return { text, streamed: pieces.join(""), stop, stopped: stopped.choices[0], other: other.choices[0]?.message.content, back };
  }, url);
  expect(seen.streamed).toBe(seen.text);
  expect(seen.stopped?.message.content).toBe(seen.text.slice(0, seen.text.indexOf(seen.stop)));
  expect(seen.stopped?.finish_reason).toBe("stop");
  expect(seen.other).not.toBe(seen.text);
  expect(seen.back).toBe("Grüße, 世界!");
});

/** Each round compiles every kernel anew, which SwiftShader takes seconds for: the full tests do all twenty. */
const ROUNDS = process.env.WASM_CHORD_FULL ? 20 : 6;

test("rounds of load and dispose return to where they began", { tag: ["@both", "@threads"] }, async ({ chordPage, page }) => {
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    await session.send("HeapProfiler.collectGarbage");
    return (await session.send("Runtime.getHeapUsage")).usedSize;
  };
  const round = () =>
    chordPage.evaluate(async (url) => {
      const chord = await Chord.load(url, { cache: "none", contextLength: 64 });
      const { gpuBytes } = await chord.stats();
      await chord.dispose();
      const refused = await chord.tokenize("a").catch((error: { code: string }) => error.code);
      return { gpuBytes, refused };
    }, T0);
  const first = await round();
  const before = await heap();
  for (let i = 1; i < ROUNDS; i++) {
    expect(await round()).toEqual(first);
  }
  expect(first.refused).toBe("E_DISPOSED");
  await expect.poll(() => page.workers().length).toBe(0);
  expect((await heap()) - before).toBeLessThan(2 << 20);
});

test("the page is never blocked for long, and the engine's memory stays small", { tag: "@gpu" }, async ({ chordPage }) => {
  const seen = await chordPage.evaluate(async (url) => {
    const long: number[] = [];
    new PerformanceObserver((list) => long.push(...list.getEntries().map((entry) => entry.duration))).observe({ entryTypes: ["longtask"] });
    const stages = new Set<string>();
    const chord = await Chord.load(url, { cache: "none", contextLength: 512, onProgress: ({ stage }) => stages.add(stage) });
    for await (const _ of await chord.chat.completions.create({ messages: [{ role: "user", content: "Hello" }], max_tokens: 16, stream: true }));
    const stats = await chord.stats();
    await chord.dispose();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return { long, stages: [...stages], wasmBytes: stats.wasmBytes };
  }, url);
  expect(seen.long).toEqual([]);
  expect(seen.stages).toEqual(["header", "download", "upload", "compile", "ready"]);
  expect(seen.wasmBytes).toBeLessThan(32 << 20);
});
