/**
 * Bundles a benchmark's TypeScript for this Node and runs it: `node bench/browser/run.mjs [--rounds N] [--tokens N] [--gpu]`, and
 * `node bench/browser/run.mjs warm-start [--rounds N] [--model FILE]`.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const args = process.argv.slice(2);
const entry = args[0] === "warm-start" ? `${args.shift()}.ts` : "main.ts";
const root = join(import.meta.dirname, "../..");
// Inside node_modules, so that the packages are found from there, and git does not see it.
const folder = join(root, "node_modules/.cache/bench-browser");
const outfile = join(folder, `main-${process.pid}.mjs`);
mkdirSync(folder, { recursive: true });
try {
  await build({
    entryPoints: [join(import.meta.dirname, entry)],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
    outfile,
  });
  const { main } = await import(pathToFileURL(outfile).href);
  process.exitCode = await main(root, args);
} finally {
  rmSync(outfile, { force: true });
}
