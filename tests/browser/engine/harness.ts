/** A page with the built package, served beside the reference models; what the specs run in it. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { test as base, type Page } from "@playwright/test";
import type { Chord as ChordClass, DeviceChoice } from "wasm-chord";
import { startServer, type TestServer } from "../server/index.ts";

const root = join(import.meta.dirname, "../../..");
/** The tiny model of the goldens. */
export const TINY = "v2k-llama-Q4_K_M";
/** One layer of F32: it loads in half the time, where nothing depends on the model. */
export const T0 = "/split/t0.gguf";
export const SMOL = "SmolLM2-135M-Instruct.Q4_1";
/** gemma-3-270m-q4_k_m.gguf, where it has been fetched. */
export const GEMMA3 = process.env.WASM_CHORD_GEMMA3;
const smolPath = process.env.WASM_CHORD_SMOLLM2 ?? join(homedir(), `.cache/wasm-chord/models/${SMOL}.gguf`);

declare global {
  var Chord: typeof ChordClass;
}

export interface GoldenPrompt {
  name: string;
  prompt_ids: number[];
  ids: number[];
  topk: [number, number][][];
  eog_at: number;
}

/** The reference's prompts with as many of its ids as count: up to its own ties, and the end of generation. */
export function golden(model: string): { name: string; prompt: number[]; ids: number[] }[] {
  const file = join(root, `tests/data/run/${model}.deq.json`);
  const { prompts } = JSON.parse(readFileSync(file, "utf8")) as { prompts: GoldenPrompt[] };
  return prompts.map((p) => {
    const tie = p.topk.findIndex(([first, second]) => (first?.[1] ?? 0) - (second?.[1] ?? 0) < 0.01);
    const end = [tie, p.eog_at].filter((at) => at >= 0);
    return { name: p.name, prompt: p.prompt_ids, ids: p.ids.slice(0, Math.min(p.ids.length, ...end)) };
  });
}

/** What `Chord.load` and `Chord.plan` are asked for, unless a test asks itself: the project's. */
export interface Device {
  device: DeviceChoice;
  /** Whether the page is cross-origin isolated. */
  isolated: boolean;
}

export const test = base.extend<Device & { server: TestServer; chordPage: Page }>({
  device: ["auto", { option: true }],
  isolated: [false, { option: true }],
  server: async ({ device, isolated }, use) => {
    const server = await startServer({ isolated, roots: { "/pkg/": join(root, "pkg/dist/"), "/models/": join(root, "tests/data/models/"), "/split/": join(root, "tests/data/split/"), "/cached/": dirname(smolPath), ...(GEMMA3 ? { "/gemma/": dirname(GEMMA3) } : {}) } });
    const script = `
      import { Chord } from "/pkg/index.js";
      const on = (options) => ({ device: ${JSON.stringify(device)}, ...options });
      globalThis.Chord = class {
        static cache = Chord.cache;
        static plan = (source, options) => Chord.plan(source, on(options));
        static load = (source, options) => Chord.load(source, on(options));
      };`;
    server.serve("/", { body: `<!doctype html><title>wasm-chord</title><link rel="icon" href="data:,"><script type="module">${script}</script>`, type: "text/html" });
    await use(server);
    await server.close();
  },
  chordPage: async ({ page, server }, use) => {
    page.on("console", (message) => console.log(`[page] ${message.text()}`));
    page.on("pageerror", (error) => console.log(`[page] ${error.message}`));
    await page.goto(`${server.url}/`);
    await page.waitForFunction(() => "Chord" in globalThis);
    await use(page);
  },
});
