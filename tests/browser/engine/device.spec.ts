/** A browser without a usable GPU: the processor takes the model, and says why. */
import { expect } from "@playwright/test";
import { T0, test } from "./harness.ts";

test("without a GPU a model runs on the processor, and a GPU that is asked for is an error", async ({ chordPage }) => {
  const seen = await chordPage.evaluate(async (url) => {
    const refused = await Chord.load(url, { cache: "none", device: "gpu" }).then(() => "loaded", (error: { code: string; help: string }) => (error.help ? error.code : "no help"));
    const plan = await Chord.plan(url, { device: "gpu" });
    const chord = await Chord.load(url, { cache: "none", contextLength: 64 });
    const { device } = await chord.stats();
    await chord.dispose();
    const asked = await Chord.load(url, { cache: "none", contextLength: 64, device: "cpu" });
    await asked.dispose();
    return { refused, fits: plan.fits, adapter: plan.adapter, device, info: chord.info, asked: asked.info.device };
  }, T0);
  expect(["E_NO_WEBGPU", "E_NO_ADAPTER"]).toContain(seen.refused);
  expect(seen).toMatchObject({ fits: null, adapter: null });
  expect(seen.device).toMatchObject({ kind: "cpu", threads: 1 });
  expect(seen.device.reason).toMatch(/WebGPU/);
  expect(seen.info.adapter).toMatchObject({ backend: "cpu", driver: expect.stringContaining("WebAssembly") });
  expect(seen.info.describe.device).toBe(seen.device.reason);
  expect(seen.asked).toEqual({ kind: "cpu", reason: "asked for", threads: 1 });
});

test("a browser without relaxed vectors fetches the other build, one without any is told", async ({ chordPage, server }) => {
  const asked = (name: string) => server.requests(`/pkg/engine/${name}`).length;
  const answer = async (hide: number) => {
    server.reset();
    // Of the modules asked about, those longer than this are said to be invalid.
    const body = `import "/pkg/worker.js"; const { validate } = WebAssembly; WebAssembly.validate = (bytes) => bytes.byteLength <= ${hide} && validate(bytes);`;
    server.serve("/worker.js", { body, type: "text/javascript" });
    return chordPage.evaluate(async (url) => {
      try {
        const chord = await Chord.load(url, { cache: "none", contextLength: 64, workerUrl: "/worker.js" });
        const { tokens } = await chord.completions.create({ prompt: "a", max_tokens: 6, temperature: 0 });
        await chord.dispose();
        return { vectors: chord.info.adapter.driver, ids: tokens.completion };
      } catch (error) {
        return { vectors: (error as { code: string }).code, ids: [] };
      }
    }, T0);
  };
  const relaxed = await answer(1000);
  expect([asked("chord_web_relaxed_bg.wasm"), asked("chord_web_bg.wasm")]).toEqual([1, 0]);
  const plain = await answer(40);
  expect([asked("chord_web_relaxed_bg.wasm"), asked("chord_web_bg.wasm")]).toEqual([0, 1]);
  expect([relaxed.vectors, plain.vectors]).toEqual(["WebAssembly relaxed SIMD", "WebAssembly SIMD"]);
  expect(plain.ids).toEqual(relaxed.ids);
  expect((await answer(0)).vectors).toBe("E_NO_SIMD");
});
