/** One browser with a private file system on disk, one server, and tabs whose workers open sources. */
import { test as base, expect, chromium as playwright, type BrowserContext, type Page } from "@playwright/test";
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "../playwright.config.ts";
import { startServer, type Served, type ServedFile, type TestServer } from "../server/index.ts";
import { fileBytes } from "../server/bytes.ts";
import type { Call, Outcome, Source } from "./calls.ts";

export { expect };
export const MIB = 1 << 20;
export const BLOCK = 8 * MIB;

const PAGE = `<!doctype html><meta charset="utf-8"><title>storage</title><script>
  let worker, waiting = new Map(), next = 0;
  function start() {
    worker?.terminate();
    waiting = new Map();
    worker = new Worker("/storage-worker.js", { type: "module" });
    worker.onmessage = ({ data }) => { waiting.get(data.id)?.(data.outcome); waiting.delete(data.id); };
  }
  function call(call) {
    return new Promise((resolve) => { waiting.set(++next, resolve); worker.postMessage({ id: next, call }); });
  }
  start();
</script>`;

/** A tab with its worker. */
export class Tab {
  constructor(readonly page: Page) {}

  call(call: Call): Promise<Outcome> {
    return this.page.evaluate((value) => (globalThis as unknown as { call(call: Call): Promise<Outcome> }).call(value), call);
  }

  /** The same, where it must succeed. */
  async must(call: Call): Promise<Outcome> {
    const outcome = await this.call(call);
    expect(outcome.error).toBeNull();
    return outcome;
  }

  /** The worker dies as in a crash: nothing is closed in order. */
  async crash(): Promise<void> {
    await this.page.evaluate(() => (globalThis as unknown as { start(): void }).start());
  }

  async reload(): Promise<void> {
    await this.page.reload();
  }

  /** Opens, reads all in order, finishes. */
  async load(source: Source, file: { seed: number; size: number }, options: Extract<Call, { op: "open" }>["options"] = {}): Promise<Outcome> {
    for (const call of [
      { op: "open", source, options },
      { op: "read", seed: file.seed, to: file.size },
    ] as Call[]) {
      const outcome = await this.call(call);
      if (outcome.error) {
        await this.call({ op: "close" });
        return outcome;
      }
    }
    return this.call({ op: "finish" });
  }
}

interface Fixtures {
  tab: Tab;
  newTab: () => Promise<Tab>;
}

export const test = base.extend<Fixtures, { server: TestServer; browserContext: BrowserContext }>({
  server: [
    async ({}, use) => {
      const server = await startServer();
      server.serve("/storage-worker.js", { body: await bundle("worker.ts"), type: "text/javascript" });
      server.serve("/storage-page.js", { body: await bundle("../../../pkg/src/storage/index.ts"), type: "text/javascript" });
      server.serve("/storage.html", { body: PAGE, type: "text/html" });
      await use(server);
      await server.close();
    },
    { scope: "worker" },
  ],
  browserContext: [
    async ({}, use) => {
      const profile = mkdtempSync(join(tmpdir(), "chord-storage-"));
      const context = await playwright.launchPersistentContext(profile, chromium);
      await use(context);
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
    { scope: "worker" },
  ],
  newTab: async ({ server, browserContext }, use) => {
    const pages: Page[] = [];
    server.reset();
    await use(async () => {
      const page = await browserContext.newPage();
      pages.push(page);
      await page.goto(`${server.url}/storage.html`);
      return new Tab(page);
    });
    await Promise.all(pages.map((page) => page.close()));
  },
  tab: async ({ newTab }, use) => {
    const tab = await newTab();
    await tab.must({ op: "delete" });
    await use(tab);
  },
});

async function bundle(path: string): Promise<string> {
  const result = await build({ entryPoints: [join(import.meta.dirname, path)], bundle: true, write: false, format: "esm", target: "es2022" });
  return result.outputFiles[0]?.text ?? "";
}

let files = 0;

/** Made-up parts of a split model, and its address by the last of them. */
export function madeUpParts(server: TestServer, sizes: number[]) {
  const stem = `/made/split-${files + 1}-`;
  let begin = 0;
  const parts = sizes.map((size, i) => {
    const name = `${i + 1}`.padStart(5, "0") + "-of-" + `${sizes.length}`.padStart(5, "0");
    const part = { ...madeUp(server, size, {}, `${stem}${name}.gguf`), begin };
    begin += size;
    return part;
  });
  return { parts, size: begin, url: parts.at(-1)?.url ?? "" };
}

/** A made-up file at a path of its own. */
export function madeUp(
  server: TestServer,
  size: number,
  more: ServedFile = {},
  path = `/made/${files + 1}.gguf`,
): { url: string; path: string; size: number; seed: number; file: ServedFile } {
  const seed = ++files;
  const file = server.serve(path, { size, seed, ...more });
  return { url: server.url + path, path, size, seed, file };
}

export function sha256(file: { seed: number; size: number }): string {
  return createHash("sha256").update(fileBytes(file.seed, 0, file.size)).digest("hex");
}

/** Bytes of the file that were asked for more than once, by what the server sent. */
export function sentTwice(requests: Served[]): number {
  let reached = 0;
  let twice = 0;
  for (const { start, bytes } of requests) {
    const end = start + bytes;
    twice += Math.max(0, Math.min(end, reached) - start);
    reached = Math.max(reached, end);
  }
  return twice;
}
