/** The device is lost at any moment: the answer is the same, nothing is repeated or missing. */
import { expect, type Page } from "@playwright/test";
import type { TestServer } from "../server/index.ts";
import { golden, T0, test, TINY } from "./harness.ts";

const url = `/models/${TINY}.gguf`;
/** Of which the first is lost while idle and the second in prefill. Ten where there is time. */
const ROUNDS = process.env.WASM_CHORD_FULL ? 10 : 6;

test("lost while idle, in prefill and while decoding: same ids, every token once", { tag: "@gpu" }, async ({ chordPage }) => {
  const prompt = golden(TINY).find((p) => p.name === "long")?.prompt ?? [];
  const seed = Math.floor(Math.random() * 2 ** 31);
  console.log(`seed of the moments: ${seed}`);
  const seen = await chordPage.evaluate(
    async ({ url, prompt, seed, rounds }) => {
      // A small generator of its own, so that a failure can be repeated from the printed seed.
      let state = seed;
      const random = () => (state = (state * 48271 + 1) % 2147483647) / 2147483647;
      const tokens = 16;
      const ask = { prompt, max_tokens: tokens, temperature: 0.7, seed: 3, stream: true as const };
      const answer = async (chord: Awaited<ReturnType<typeof Chord.load>>, breakAt: number) => {
        const pieces: string[] = [];
        if (breakAt < 0) await chord.destroyDevice();
        const lost: Promise<void>[] = [];
        const onPrefill = ({ done }: { done: number }) => {
          if (breakAt === 0 && done > 0 && lost.length === 0) lost.push(chord.destroyDevice());
        };
        for await (const part of await chord.completions.create({ ...ask, onPrefill })) {
          pieces.push(part.choices[0]?.text ?? "");
          if (pieces.length === breakAt) lost.push(chord.destroyDevice());
        }
        await Promise.all(lost);
        return pieces;
      };
      const results: { breakAt: number; same: boolean; recoveries: number }[] = [];
      let chord = await Chord.load(url, { cache: "none", contextLength: 512 });
      const whole = await answer(chord, tokens + 9);
      for (let i = 0; i < rounds; i++) {
        if (i % 2 === 0 && i > 0) {
          // Three losses within a minute are an error by design.
          await chord.dispose();
          chord = await Chord.load(url, { cache: "none", contextLength: 512 });
        }
        const before = (await chord.stats()).recoveries;
        const breakAt = i === 0 ? -1 : i === 1 ? 0 : 1 + Math.floor(random() * (tokens - 2));
        const pieces = await answer(chord, breakAt);
        const { recoveries } = await chord.stats();
        results.push({ breakAt, same: JSON.stringify(pieces) === JSON.stringify(whole), recoveries: recoveries - before });
      }
      await chord.dispose();
      return results;
    },
    { url, prompt, seed, rounds: ROUNDS },
  );
  console.log(JSON.stringify(seen));
  expect(seen.filter((r) => !r.same)).toEqual([]);
  // At the last tokens the answer may already be chosen when the device goes: then nothing had to be recovered.
  expect(seen.filter((r) => r.recoveries === 1).length).toBeGreaterThanOrEqual(ROUNDS / 2);
});

test("lost three times within a minute it is an error, and the next load works", { tag: "@gpu" }, async ({ chordPage }) => {
  const seen = await chordPage.evaluate(async (url) => {
    const chord = await Chord.load(url, { cache: "none", contextLength: 64 });
    const ask = () => chord.completions.create({ prompt: "a", max_tokens: 2, temperature: 0 });
    const codes: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      await chord.destroyDevice();
      codes.push(await ask().then(({ tokens }) => tokens.completion.length, (error: { code: string; message: string }) => `${error.code}: ${error.message}`));
    }
    await chord.dispose();
    const again = await Chord.load(url, { cache: "none", contextLength: 64 });
    await again.dispose();
    return codes;
  }, T0);
  expect(seen.slice(0, 2)).toEqual([2, 2]);
  expect(seen[2]).toContain("E_DEVICE_LOST: the GPU was lost 3 times within 60 seconds");
});

/** The package's worker where SwiftShader passes for hardware; `more` runs before it. */
function hardware(server: TestServer, more = ""): string {
  const info = '{ vendor: "test", architecture: "", device: "", description: "Test GPU" }';
  const body = `import "/pkg/worker.js"; Object.defineProperty(GPUAdapter.prototype, "info", { value: ${info} }); ${more}`;
  server.serve("/hardware.js", { body, type: "text/javascript" });
  return "/hardware.js";
}

test("lost three times within a minute, the CPU goes on with the same answer", { tag: "@gpu" }, async ({ chordPage, server }) => {
  const seen = await chordPage.evaluate(
    async ({ url, workerUrl }) => {
      const chord = await Chord.load(url, { cache: "none", contextLength: 64, device: "auto", precision: "exact", kv: "f32", workerUrl });
      const ask = async (breakAt: number[]) => {
        const pieces: string[] = [];
        const lost: Promise<void>[] = [];
        for await (const part of await chord.completions.create({ prompt: "Once upon a time", max_tokens: 24, temperature: 0, stream: true })) {
          pieces.push(part.choices[0]?.text ?? "");
          if (breakAt.includes(pieces.length)) lost.push(chord.destroyDevice());
        }
        await Promise.all(lost);
        return pieces;
      };
      const whole = await ask([]);
      const before = (await chord.stats()).device;
      await chord.destroyDevice();
      const broken = [await ask([]), await ask([2, 4]), await ask([])];
      const { device, recoveries } = await chord.stats();
      const adapter = chord.info.adapter.name;
      await chord.dispose();
      return { whole, broken, before, device, recoveries, adapter };
    },
    { url, workerUrl: hardware(server) },
  );
  expect(seen.adapter).toBe("Test GPU");
  expect(seen.before).toEqual({ kind: "gpu", reason: "a GPU is there", threads: 0 });
  expect(seen.device).toEqual({ kind: "cpu", reason: expect.stringContaining("the GPU was lost 3 times within 60 seconds"), threads: 1 });
  expect(seen.recoveries).toBe(3);
  for (const pieces of seen.broken) expect(pieces).toEqual(seen.whole);
});

/** How a load on the GPU ends, and one where the choice is free. */
const loads = (page: Page, url: string, workerUrl: string) =>
  page.evaluate(
    async ({ url, workerUrl }) => {
      const load = (device: "auto" | "gpu") => Chord.load(url, { cache: "none", contextLength: 64, device, workerUrl });
      const asked = await load("gpu").then(() => "loaded", (error: { code: string }) => error.code);
      const chord = await load("auto");
      const { tokens } = await chord.completions.create({ prompt: "a", max_tokens: 3, temperature: 0 });
      const { device, recoveries } = await chord.stats();
      await chord.dispose();
      return { asked, device, recoveries, answered: tokens.completion.length, info: chord.info.device };
    },
    { url, workerUrl },
  );

test("a GPU that computes wrongly gives way to the CPU, unless it was asked for", { tag: "@gpu" }, async ({ chordPage, server }) => {
  // Whatever is read back is zero.
  const zeros = "const map = GPUBuffer.prototype.getMappedRange; GPUBuffer.prototype.getMappedRange = function (...range) { const bytes = map.apply(this, range); if (this.usage & GPUBufferUsage.MAP_READ) new Uint8Array(bytes).fill(0); return bytes; };";
  const seen = await loads(chordPage, T0, hardware(server, zeros));
  expect(seen.asked).toBe("E_SELF_TEST");
  expect(seen.device.kind).toBe("cpu");
  expect(seen.info).toEqual(seen.device);
  expect(seen).toMatchObject({ recoveries: 0, answered: 3 });
});

test("a GPU without room for the model gives way to the CPU, unless it was asked for", { tag: "@gpu" }, async ({ chordPage, server }) => {
  // Buffers of the self-test are small, those of a model's matrices are not.
  const full = `let last = 0;
    const scopes = [];
    const patch = (name, make) => (GPUDevice.prototype[name] = make(GPUDevice.prototype[name]));
    patch("createBuffer", (create) => function (descriptor) { last = descriptor.size; return create.call(this, descriptor); });
    patch("pushErrorScope", (push) => function (filter) { scopes.push(filter); return push.call(this, filter); });
    patch("popErrorScope", (pop) => function () {
      const full = scopes.pop() === "out-of-memory" && last > 2 ** 18;
      return pop.call(this).then((error) => (full ? new GPUOutOfMemoryError("full") : error));
    });`;
  const seen = await loads(chordPage, url, hardware(server, full));
  expect(seen.asked).toBe("E_GPU_OOM");
  expect(seen.device).toMatchObject({ kind: "cpu", reason: expect.stringContaining("has no room for") });
  expect(seen).toMatchObject({ recoveries: 0, answered: 3 });
});

/** The GPU process dies, as with a driver that crashes: every device of every page is lost at once. */
async function crashGpu(page: Page): Promise<void> {
  const session = await page.context().browser()?.newBrowserCDPSession();
  await session?.send("Browser.crashGpuProcess");
  await session?.detach();
}

test("the GPU process crashes while loading and while decoding: the load ends well, the answer is the same", { tag: "@gpu" }, async ({ chordPage, page }) => {
  await page.exposeFunction("crash", () => crashGpu(page));
  const seen = await chordPage.evaluate(async (url) => {
    const { crash } = globalThis as unknown as { crash(): Promise<void> };
    let crashed: Promise<void> | undefined;
    const chord = await Chord.load(url, {
      cache: "none",
      contextLength: 64,
      onProgress({ stage }) {
        if (stage === "compile") crashed ??= crash();
      },
    });
    await crashed;
    const loading = (await chord.stats()).recoveries;
    const ask = async (crashAt: number) => {
      const pieces: string[] = [];
      // More than a submit or two hold: with fewer the answer may all be chosen when the process goes.
      for await (const part of await chord.completions.create({ prompt: "Once upon a time", max_tokens: 48, temperature: 0.7, seed: 5, stream: true })) {
        pieces.push(part.choices[0]?.text ?? "");
        if (pieces.length === crashAt) await crash();
      }
      return pieces;
    };
    const [whole, broken] = [await ask(-1), await ask(3)];
    const { recoveries } = await chord.stats();
    await chord.dispose();
    return { loading, whole, broken, recoveries };
  }, url);
  expect(seen.loading).toBe(1);
  expect(seen.broken).toEqual(seen.whole);
  expect(seen.recoveries).toBe(2);
});
