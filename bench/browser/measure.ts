/** One round of one engine: a new profile, a load from the network with an answer, and a load from the cache in a new page. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { chromium as browsers, type Page } from "@playwright/test";
import { startServer, type TestServer } from "../../tests/browser/server/index.ts";
import { chromium as plain, swiftshader } from "../../tests/browser/playwright.config.ts";
import type { Answer, Contender, Loaded } from "./contenders.ts";
import { Meter, type Memory } from "./memory.ts";

export interface Round {
  /** Bytes of JavaScript and wasm that the page fetched, gzipped. */
  shipped: number;
  network: Loaded;
  cache: Loaded;
  answer: Answer;
  memory: Memory;
  chromium: string;
}

export interface Task {
  root: string;
  model: string;
  prompt: string;
  promptTokens: number;
  /** Length of the answer. */
  tokens: number;
}

export async function measure(contender: Contender, task: Task): Promise<Round> {
  const library = join(task.root, contender.folder);
  const server = await startServer({ roots: { "/library/": library, "/models/": dirname(task.model) }, isolated: contender.isolated });
  server.serve("/", { body: "<!doctype html><title>benchmark</title>", type: "text/html" });
  const profile = mkdtempSync(join(tmpdir(), "wasm-chord-bench-"));
  try {
    const context = await browsers.launchPersistentContext(profile, contender.gpu ? swiftshader : plain);
    try {
      const path = `/models/${basename(task.model)}`;
      const first = context.pages()[0] ?? (await context.newPage());
      await open(first, server, contender);
      const meter = await Meter.start(context, first);
      const network = await contender.load(first, server.url + path);
      const shipped = shippedBytes(server, library);
      const answer = await contender.answer(first, task.prompt, task.tokens);
      check(contender, task, answer);
      const memory = await meter.stop(profile);
      const second = await context.newPage();
      await first.close();

      server.reset();
      await open(second, server, contender);
      const cache = await contender.load(second, server.url + path);
      const again = server.requests(path).reduce((sum, { method, bytes }) => sum + (method === "GET" ? bytes : 0), 0);
      if (again > 0) {
        throw new Error(`${contender.name}: the second load fetched ${again} bytes of the model, so it was not from the cache`);
      }
      const chromium = context.browser()?.version() ?? (await version(second));
      return { shipped, network, cache, answer, memory, chromium };
    } finally {
      await context.close();
    }
  } finally {
    await server.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

/** Figures of different work cannot be compared. */
function check(contender: Contender, task: Task, answer: Answer): void {
  if (answer.promptTokens !== task.promptTokens || answer.tokens !== task.tokens) {
    const wanted = `${task.promptTokens} tokens of prompt and ${task.tokens} of answer`;
    throw new Error(`${contender.name}: ${wanted} were wanted, not ${answer.promptTokens} and ${answer.tokens}`);
  }
}

async function open(page: Page, server: TestServer, contender: Contender): Promise<void> {
  await page.goto(`${server.url}/`);
  if ((await page.evaluate(() => crossOriginIsolated)) !== contender.isolated) {
    throw new Error(`${contender.name}: the page ${contender.isolated ? "is not" : "is"} cross-origin isolated`);
  }
}

async function version(page: Page): Promise<string> {
  return /Chrome\/(\S+)/.exec(await page.evaluate(() => navigator.userAgent))?.[1] ?? "unknown";
}

function shippedBytes(server: TestServer, folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => server.requests(`/library/${name}`).length > 0)
    .reduce((sum, name) => sum + gzipSync(readFileSync(join(folder, name)), { level: 9 }).length, 0);
}
