/** Subgroups in a browser: asked for, and used by the kernels of a GPU that is not in software. */
import { expect } from "@playwright/test";
import { hardwareWorker } from "./hardware.ts";
import { golden, test, TINY } from "./harness.ts";

// In software a row a thread is faster, and no subgroup is used.
const WITHOUT = `const { has } = GPUSupportedFeatures.prototype;
GPUSupportedFeatures.prototype.has = function (name) { return name !== "subgroups" && has.call(this, name); };`;

for (const { name, change, subgroups, layout } of [
  { name: "a GPU with subgroups reduces with them", change: "", subgroups: "of 4 to 4", layout: "LanesSubgroup { split: 4 }" },
  { name: "one without reduces through memory", change: WITHOUT, subgroups: "none", layout: "Lanes" },
]) {
  test(`${name}, and gives the reference's ids`, { tag: "@gpu" }, async ({ chordPage, server }) => {
    const workerUrl = hardwareWorker(server, change);
    const { prompt, ids } = golden(TINY).find((p) => p.ids.length >= 8)!;
    const first = ids.slice(0, 8);
    const seen = await chordPage.evaluate(
      async ({ url, prompt, n, workerUrl }) => {
        const chord = await Chord.load(url, { cache: "none", contextLength: 128, precision: "exact", kv: "f32", tune: false, workerUrl });
        const { tokens } = await chord.completions.create({ prompt, max_tokens: n, temperature: 0 });
        const { selfTest } = await chord.stats();
        await chord.dispose();
        return { ids: tokens.completion, describe: chord.info.describe, selfTest };
      },
      { url: `/models/${TINY}.gguf`, prompt, n: first.length, workerUrl },
    );
    expect(seen.describe).toMatchObject({ subgroups, layout });
    expect(seen.selfTest.fallbacks).toEqual([]);
    expect(seen.ids).toEqual(first);
  });
}
