/** The browser's ids are the reference's, as the native engine's are. */
import { expect } from "@playwright/test";
import { golden, SMOL, test, TINY } from "./harness.ts";

/** Every prompt, where there is time: SwiftShader takes half a second a token of SmolLM2. */
const ALL = Boolean(process.env.WASM_CHORD_FULL);

for (const [name, url, prompts] of [
  [TINY, `/models/${TINY}.gguf`, ["code", "unicode", "chat", "single", "long"]],
  ["v2k-llama-ropefreqs-Q4_K_M", "/models/v2k-llama-ropefreqs-Q4_K_M.gguf", ["capital", "long"]],
  ["v2k-llama-yarn-Q4_K_M", "/models/v2k-llama-yarn-Q4_K_M.gguf", ["capital", "code"]],
  [SMOL, `/cached/${SMOL}.gguf`, ["chat"]],
] as const) {
  test(`greedy ids of ${name} are the reference's`, async ({ chordPage }) => {
    test.slow(ALL);
    const wanted = golden(name).filter((p) => (ALL && p.ids.length > 0) || (prompts as readonly string[]).includes(p.name));
    expect(wanted.length).toBeGreaterThanOrEqual(prompts.length);
    const answers = await chordPage.evaluate(
      async ({ url, wanted }) => {
        const chord = await Chord.load(url, { precision: "exact", kv: "f32", cache: "none", contextLength: 1024 });
        const answers = [];
        for (const { prompt, ids } of wanted) {
          const { tokens } = await chord.completions.create({ prompt, max_tokens: ids.length, temperature: 0 });
          answers.push(tokens.completion);
        }
        await chord.dispose();
        return answers;
      },
      { url, wanted },
    );
    for (const [i, { name: prompt, ids }] of wanted.entries()) {
      expect(answers[i], prompt).toEqual(ids);
      expect(ids.length, prompt).toBeGreaterThan(ALL ? 0 : 7);
    }
  });
}
