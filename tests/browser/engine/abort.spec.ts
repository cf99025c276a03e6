/** Stopped at any stage, nothing is broken: the next request, and the next load, work. */
import { expect } from "@playwright/test";
import { golden, test, TINY } from "./harness.ts";

const url = `/models/${TINY}.gguf`;

test("an abort in each stage of loading ends it, and the next load works", async ({ chordPage, page }) => {
  const seen = await chordPage.evaluate(async (url) => {
    const codes: Record<string, string> = {};
    for (const at of ["header", "download", "upload", "compile"]) {
      const control = new AbortController();
      const onProgress = ({ stage }: { stage: string }) => stage === at && control.abort();
      codes[at] = await Chord.load(url, { cache: "opfs", contextLength: 64, signal: control.signal, onProgress }).then(
        () => "loaded",
        (error: { code: string; name: string }) => `${error.name} ${error.code}`,
      );
    }
    const chord = await Chord.load(url, { cache: "opfs", contextLength: 64 });
    const { tokens } = await chord.completions.create({ prompt: "a", max_tokens: 3, temperature: 0 });
    await chord.dispose();
    return { codes, answered: tokens.completion.length };
  }, url);
  const aborted = "AbortError E_ABORTED";
  expect(seen.codes).toEqual({ header: aborted, download: aborted, upload: aborted, compile: aborted });
  expect(seen.answered).toBe(3);
  await expect.poll(() => page.workers().length).toBe(0);
});

test("an abort in prefill, while decoding and in the queue leaves the engine usable", { tag: ["@both", "@threads"] }, async ({ chordPage }) => {
  const prompt = golden(TINY).find((p) => p.name === "long")?.prompt ?? [];
  const seen = await chordPage.evaluate(
    async ({ url, prompt }) => {
      const chord = await Chord.load(url, { cache: "none", contextLength: 512 });
      const code = (error: { code: string }) => error.code;
      const whole = await chord.completions.create({ prompt, max_tokens: 8, temperature: 0 });

      const prefill = new AbortController();
      const other = [...prompt].reverse();
      const inPrefill = await chord.completions
        .create({ prompt: other, max_tokens: 8, temperature: 0, signal: prefill.signal, onPrefill: ({ done }) => done > 0 && prefill.abort() })
        .then(() => "answered", code);

      const decode = new AbortController();
      let pieces = 0;
      const inDecode = await (async () => {
        const stream = await chord.completions.create({ prompt, max_tokens: 200, temperature: 0, stream: true, signal: decode.signal });
        for await (const _ of stream) if (++pieces === 3) decode.abort();
        return "answered";
      })().catch(code);

      // Leaving the loop stops the answer as well.
      for await (const _ of await chord.completions.create({ prompt, max_tokens: 400, temperature: 0, stream: true })) break;

      const queued = new AbortController();
      const first = chord.completions.create({ prompt, max_tokens: 8, temperature: 0 });
      const second = chord.completions.create({ prompt, max_tokens: 8, temperature: 0, signal: queued.signal }).then(() => "answered", code);
      queued.abort();
      const again = await first;
      const stats = await chord.stats();
      await chord.dispose();
      return { inPrefill, inDecode, inQueue: await second, same: JSON.stringify(again.tokens) === JSON.stringify(whole.tokens), recoveries: stats.recoveries };
    },
    { url, prompt },
  );
  expect(seen).toEqual({ inPrefill: "E_ABORTED", inDecode: "E_ABORTED", inQueue: "E_ABORTED", same: true, recoveries: 0 });
});
