/** What is fastest on a GPU: measured at the first load, kept in the browser, and never a reason for another answer. */
import { expect } from "@playwright/test";
import { hardwareWorker } from "./hardware.ts";
import { golden, test, TINY } from "./harness.ts";

test("a load knows what those before it have measured", { tag: "@gpu" }, async ({ chordPage, server }) => {
  const workerUrl = hardwareWorker(server);
  const { prompt, ids } = golden(TINY).find((p) => p.ids.length >= 8)!;
  const first = ids.slice(0, 8);
  const seen = await chordPage.evaluate(
    async ({ url, prompt, n, workerUrl }) => {
      const loads = [];
      // This GPU is so slow that there is no time for everything: three loads may measure.
      for (let i = 0; i < 4; i++) {
        const chord = await Chord.load(url, { cache: "opfs", contextLength: 128, precision: "exact", kv: "f32", workerUrl });
        const { tokens } = await chord.completions.create({ prompt, max_tokens: n, temperature: 0 });
        loads.push({ ids: tokens.completion, why: chord.info.describe["why this variant"], variant: chord.info.describe["variant"] });
        await chord.dispose();
      }
      return loads;
    },
    { url: `/models/${TINY}.gguf`, prompt, n: first.length, workerUrl },
  );
  expect(seen.map((load) => load.ids)).toEqual([first, first, first, first]);
  expect(seen[0]!.why).toMatch(/^measured in \d+ ms: /);
  expect(seen[3]).toMatchObject({ why: "measured by an earlier run", variant: seen[2]!.variant });
});
