/**
 * `just bench-warm-start`: `load()` of a model that the origin's private file system holds, beside plain reading of the same file through
 * the same access, in Chromium on the processor. Prints the table and keeps it in bench/results.
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chromium as browsers, type BrowserContext, type Page } from "@playwright/test";
import { PIECE } from "../../pkg/src/storage/options.ts";
import { bigModel } from "../../tests/browser/engine/big.ts";
import { startServer, type TestServer } from "../../tests/browser/server/index.ts";
import { chromium as launch } from "../../tests/browser/playwright.config.ts";
import { about, keep, setting, wholeNumber } from "./keep.ts";
import { spread } from "./report.ts";

const USAGE = "usage: run.mjs warm-start [--rounds N] [--model FILE]   rounds (5), a file instead of 1.0 GB of made-up weights";
const DROP_CACHES = "/proc/sys/vm/drop_caches";

/** What is given to the page to load. */
interface Model {
  name: string;
  path: string;
  size: number;
}

/** One round: milliseconds of plain reading, of reading into new memory, and of `load()`; of that until the first byte of weights and from there to the last. */
interface Round {
  read: number;
  keep: number;
  load: number;
  before: number;
  weights: number;
}

interface Contender {
  threads: 1 | 2;
  /** Whether the system's page cache holds the file. */
  cached: boolean;
  rounds: Round[];
}

/** Reads the only model of the cache as the package does, into the same piece of memory or into WebAssembly's for all of it, and says how long it took. */
const READER = `
  const keeps = self.name === "keep";
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle("wasm-chord");
  for await (const [name, file] of folder) {
    if (!name.endsWith(".gguf")) continue;
    const handle = await file.createSyncAccessHandle({ mode: "read-only" });
    const start = performance.now();
    const pieces = keeps ? Math.ceil(handle.getSize() / ${PIECE}) : 1;
    const memory = new WebAssembly.Memory({ initial: pieces * ${PIECE / 65536} }).buffer;
    let at = 0;
    for (let n = 1; n > 0; at += n) n = handle.read(new Uint8Array(memory, keeps ? Math.min(at, (pieces - 1) * ${PIECE}) : 0, ${PIECE}), { at });
    postMessage({ ms: performance.now() - start, bytes: at });
    handle.close();
  }`;

/** Gives the exit code. */
export async function main(root: string, args: string[]): Promise<number> {
  let rounds: number;
  let file: string | undefined;
  try {
    const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" }, model: { type: "string" } } });
    rounds = wholeNumber("--rounds", values.rounds, 1);
    file = values.model;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (!existsSync(join(root, "pkg/dist/index.js"))) {
    console.error("pkg/dist/index.js is missing: tools/web.sh builds it");
    return 1;
  }
  const where = setting(root);
  const made = bigModel(16, 2048, 8192);
  const model: Model = file
    ? { name: basename(file), path: `/models/${basename(file)}`, size: statSync(file).size }
    : { name: "16 layers of Llama 3.2 1B's widths in Q8_0, all zeros", path: "/made.gguf", size: made.size };
  const results: Contender[] = [];
  let chromium = "unknown";
  for (const threads of [1, 2] as const) {
    const isolated = threads > 1;
    const server = await startServer({ roots: { "/library/": join(root, "pkg/dist"), ...(file && { "/models/": dirname(resolve(file)) }) }, isolated });
    server.serve("/", { body: "<!doctype html><title>benchmark</title>", type: "text/html" });
    server.serve("/reader.js", { body: READER, type: "text/javascript" });
    if (!file) {
      server.serve(model.path, { body: made.header, size: made.size });
    }
    const profile = mkdtempSync(join(tmpdir(), "wasm-chord-bench-"));
    try {
      const context = await browsers.launchPersistentContext(profile, launch);
      try {
        chromium = context.browser()?.version() ?? chromium;
        console.error(`${threads} thread(s): filling the cache`);
        await inPage(context, server, (page) => load(page, server.url + model.path, threads));
        const states = mayDropCaches() ? [true, false] : [true];
        const contenders = states.map((cached): Contender => ({ threads, cached, rounds: [] }));
        for (let round = 0; round < rounds; round++) {
          console.error(`${threads} thread(s), round ${round + 1} of ${rounds}`);
          for (const { cached, rounds } of contenders) {
            rounds.push(await measure(context, server, model, threads, cached));
          }
        }
        results.push(...contenders);
      } finally {
        await context.close();
      }
    } finally {
      await server.close();
      rmSync(profile, { recursive: true, force: true });
    }
  }
  keep(root, "warm-start", where.commit, report(results, model, rounds, about(where, chromium)));
  return 0;
}

/** Reads, then loads, each in a page of its own and with the page cache as wanted. */
async function measure(context: BrowserContext, server: TestServer, model: Model, threads: number, cached: boolean): Promise<Round> {
  const prepare = (): void => {
    if (!cached) {
      execFileSync("sync");
      writeFileSync(DROP_CACHES, "1");
    }
  };
  const read = async (name: "read" | "keep"): Promise<number> => {
    prepare();
    const { ms, bytes } = await inPage(context, server, (page) => page.evaluate(readIn, name));
    if (bytes !== model.size) {
      throw new Error(`the cache holds ${bytes} bytes, not ${model.size}`);
    }
    return ms;
  };
  const [plain, keep] = [await read("read"), await read("keep")];
  prepare();
  server.reset();
  const loaded = await inPage(context, server, (page) => load(page, server.url + model.path, threads));
  if (server.requests(model.path).some(({ method, bytes }) => method === "GET" && bytes > 0)) {
    throw new Error("the model was fetched again, so it was not from the cache");
  }
  return { read: plain, keep, ...loaded };
}

function readIn(name: string): Promise<{ ms: number; bytes: number }> {
  return new Promise((done, failed) => {
    const worker = new Worker("/reader.js", { type: "module", name });
    worker.onerror = (event) => failed(new Error(event.message));
    worker.onmessage = ({ data }) => done(data);
  });
}

async function inPage<T>(context: BrowserContext, server: TestServer, work: (page: Page) => Promise<T>): Promise<T> {
  const page = await context.newPage();
  try {
    await page.goto(`${server.url}/`);
    return await work(page);
  } finally {
    await page.close();
  }
}

function load(page: Page, url: string, threads: number): Promise<Omit<Round, "read" | "keep">> {
  return page.evaluate(
    async ({ url, threads }) => {
      const library = "/library/index.js";
      const { Chord } = (await import(library)) as typeof import("wasm-chord");
      const start = performance.now();
      let [first, last] = [NaN, NaN];
      const chord = await Chord.load(url, {
        contextLength: 64,
        device: "cpu",
        threads,
        cache: "opfs",
        onProgress({ stage }) {
          if (stage === "upload") {
            last = performance.now();
            first = Number.isNaN(first) ? last : first;
          }
        },
      });
      const load = performance.now() - start;
      await chord.dispose();
      return { load, before: first - start, weights: last - first };
    },
    { url, threads },
  );
}

/** Only root on Linux can empty the system's page cache. */
function mayDropCaches(): boolean {
  try {
    accessSync(DROP_CACHES, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function report(results: Contender[], model: Model, rounds: number, about: string): string {
  const speed = (ms: number): number => model.size / ms / 1e3;
  const rows = results.map(({ threads, cached, rounds }) => {
    const cells = [
      spread(rounds.map(({ read }) => speed(read)), 0),
      spread(rounds.map(({ keep }) => speed(keep)), 0),
      spread(rounds.map(({ load }) => load), 0),
      spread(rounds.map(({ before }) => before), 0),
      spread(rounds.map(({ weights }) => speed(weights)), 0),
      spread(rounds.map(({ read, load }) => read / load), 2),
      spread(rounds.map(({ keep, weights }) => keep / weights), 2),
    ];
    return `| ${threads} | ${cached ? "in memory" : "on disk"} | ${cells.join(" | ")} |`;
  });
  return `# Warm start in the browser: load() beside reading the file

${about}
- Model: ${model.name}; ${model.size} bytes in the origin's private file system, context 64
- Medians of ${rounds} round(s), lowest and highest in brackets

| threads | the file is | reading, MB/s | reading and keeping, MB/s | load(), ms | of it before the weights, ms | weights, MB/s | reading ÷ load() | reading and keeping ÷ weights |
| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.join("\n")}

What is measured:

- reading: the whole file through a synchronous access handle in a worker, ${PIECE} bytes at a time into the same memory; nothing is checked or kept. MB: 10^6 bytes.
- reading and keeping: the same into new memory of WebAssembly for all of it, which no way to load a model can do without.
- load(): from the call to the model being ready, in a new page of the same browser: worker, WebAssembly, header, weights, checked piece by piece and repacked.
- ÷: times of the same round; 1 is as fast as the file can be read, or read and kept.
- on disk: the system's page cache was emptied before (Linux, as root); in memory: it holds the file.
`;
}
