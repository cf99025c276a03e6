// Builds dist/: three bundles that need no bundler and no other package, their types, and the engine beside them.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
const engine = join(root, "src/engine");

/** Of these a browser fetches the one that it runs (src/vectors.ts). */
const MODULES = ["chord_web_bg.wasm", "chord_web_relaxed_bg.wasm", "chord_web_threads_bg.wasm", "chord_web_relaxed_threads_bg.wasm"];
const missing = MODULES.find((name) => !existsSync(join(engine, name)));
if (missing) {
  console.error(`pkg/src/engine/${missing} is missing: build the engine first (\`just web\` does both)`);
  process.exit(1);
}

const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });

await build({
  absWorkingDir: root,
  entryPoints: ["index", "worker", "ai-sdk"].map((name) => `src/${name}.ts`),
  outdir: dist,
  bundle: true,
  format: "esm",
  target: "es2022",
  platform: "browser",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
  plugins: [
    {
      // The classes of errors must be the same ones in both entries.
      name: "one-index",
      setup(b) {
        b.onResolve({ filter: /^\.\/index\.js$/ }, ({ importer }) => (importer.includes("ai-sdk") ? { path: "./index.js", external: true } : undefined));
      },
    },
  ],
});

mkdirSync(join(dist, "engine"), { recursive: true });
for (const name of MODULES) {
  cpSync(join(engine, name), join(dist, "engine", name));
}
// Its code is in worker.js, and its licence asks to come along.
cpSync(join(dirname(require.resolve("hash-wasm/package.json")), "LICENSE"), join(dist, "LICENSE-hash-wasm"));

for (const name of ["index.js", "worker.js", "ai-sdk.js", ...MODULES.map((name) => `engine/${name}`)]) {
  const bytes = readFileSync(join(dist, name));
  console.log(`dist/${name}: ${bytes.length} bytes, ${gzipSync(bytes, { level: 9 }).length} gzipped`);
}
