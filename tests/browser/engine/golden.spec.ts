/** The browser's ids are the reference's, as the native engine's are. */
import { expect } from "@playwright/test";
import { GEMMA3, golden, SMOL, test, TINY } from "./harness.ts";

/** Every prompt, where there is time: SwiftShader takes half a second a token of SmolLM2. */
const ALL = Boolean(process.env.WASM_CHORD_FULL);

const tiny = (name: string) => [name, `/models/${name}.gguf`] as const;
/** On the GPU too: what each kernel is first used by. SwiftShader compiles for ten seconds a model, and has the others natively. */
const ON_GPU = [TINY, SMOL, "v2k-llama-yarn-Q4_K_M", "v2k-qwen3moe-Q4_K_M", "v2k-gemma3-Q4_K_M", "v2k-phi3-Q4_K_M", "v2k-gpt-oss-MXFP4"];
const ON_THREADS = [TINY, SMOL, "v2k-qwen3moe-Q4_K_M"];
const tags = (name: string) => [...(ALL || ON_GPU.includes(name) ? ["@both"] : []), ...(ALL || ON_THREADS.includes(name) ? ["@threads"] : [])];
/** Of each a prompt long enough for its window to matter. */
const FAMILIES = ["qwen2", "qwen3", "qwen3moe", "mixtral", "smollm3", "granite", "gemma1", "gemma2", "gemma3", "phi3", "phi3-longrope", "llama-linear"];

for (const [name, url, prompts, most = 48] of [
  [...tiny(TINY), ["code", "unicode", "chat", "single", "long"]],
  [...tiny("v2k-llama-ropefreqs-Q4_K_M"), ["capital", "long"]],
  [...tiny("v2k-llama-yarn-Q4_K_M"), ["capital", "code"]],
  ...FAMILIES.map((family) => [...tiny(`v2k-${family}-Q4_K_M`), [family === "mixtral" ? "chat" : "unicode"], 12] as const),
  // Its window is of 128 positions.
  [...tiny("v2k-gpt-oss-MXFP4"), ["long"]],
  [SMOL, `/cached/${SMOL}.gguf`, ["chat"]],
  // 253 MB: fetched by `just test-full` and `just browser-gemma`.
  ...(GEMMA3 ? [["gemma-3-270m-q4_k_m", "/gemma/gemma-3-270m-q4_k_m.gguf", ["capital"]] as const] : []),
] as const) {
  test(`greedy ids of ${name} are the reference's`, { tag: tags(name) }, async ({ chordPage }) => {
    test.slow(ALL);
    const listed = golden(name).filter((p) => (ALL && p.ids.length > 0) || (prompts as readonly string[]).includes(p.name));
    const wanted = listed.map((p) => ({ ...p, ids: ALL ? p.ids : p.ids.slice(0, most) }));
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

// Its weights are random: where two tokens are as good as equal, as in the prompt left out, what is stored in bytes decides.
test("with keys and values in q8_0 answers begin as the reference's", { tag: "@both" }, async ({ chordPage }) => {
  const listed = golden(TINY).filter((p) => ["unicode", "chat", "single", "long"].includes(p.name));
  const { answers, fallbacks } = await chordPage.evaluate(
    async ({ url, prompts }) => {
      const chord = await Chord.load(url, { precision: "exact", kv: "q8_0", cache: "none", contextLength: 1024 });
      const answers = [];
      for (const prompt of prompts) {
        const { tokens } = await chord.completions.create({ prompt, max_tokens: 4, temperature: 0 });
        answers.push(tokens.completion);
      }
      const { fallbacks } = (await chord.stats()).selfTest;
      await chord.dispose();
      return { answers, fallbacks };
    },
    { url: `/models/${TINY}.gguf`, prompts: listed.map((p) => p.prompt) },
  );
  expect(fallbacks).toEqual([]);
  expect(answers).toEqual(listed.map((p) => p.ids.slice(0, 4)));
});
