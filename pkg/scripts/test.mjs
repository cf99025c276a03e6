// Bundles test/*.test.ts and runs them under node:test. Arguments are names of tests, without .test.ts.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const out = join(root, "build/test");
const asked = process.argv.slice(2);
const names = readdirSync(join(root, "test")).filter((name) => name.endsWith(".test.ts") && (asked.length === 0 || asked.includes(name.slice(0, -8))));
if (names.length === 0) {
  console.error(`no test of this name: ${asked.join(", ")}`);
  process.exit(1);
}

rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: names.map((name) => `test/${name}`),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  target: "node20",
  platform: "node",
  sourcemap: "inline",
  packages: "external",
  logLevel: "warning",
});

const files = names.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" });
process.exit(status ?? 1);
