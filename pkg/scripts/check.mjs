// Types of sources and tests, then the packed tarball: the README's examples, publint, attw, its list of files, and no import
// that a page could not resolve.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { install, pack, root } from "./pack.mjs";

const require = createRequire(import.meta.url);
let failures = 0;

function fail(message) {
  console.error(message);
  failures += 1;
}

function run(what, script, args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    fail(`${what} failed`);
  }
}

const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
run("tsc", tsc, ["-p", "."]);

const tarball = pack();

// The README's examples compile against what is published.
const readme = join(root, "build/readme");
rmSync(readme, { recursive: true, force: true });
install(tarball, readme);
const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts\n([\s\S]*?)^```$/gm)];
blocks.forEach(([, code], i) => writeFileSync(join(readme, `example-${i + 1}.ts`), code));
if (blocks.length === 0) {
  fail("README.md has no ts example");
}
writeFileSync(join(readme, "tsconfig.json"), JSON.stringify({ extends: "../../tsconfig.json", compilerOptions: { lib: ["es2022", "dom", "dom.iterable"], types: [] }, include: ["*.ts"] }));
run("the README's examples", tsc, ["-p", readme]);
const { messages, pkg } = await publint({ strict: true, pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer } });
for (const message of messages) {
  fail(`publint: ${formatMessage(message, pkg)}`);
}

const attw = require.resolve("@arethetypeswrong/cli/package.json");
run("attw", join(dirname(attw), JSON.parse(readFileSync(attw, "utf8")).bin.attw), [tarball, "--profile", "esm-only", "--no-emoji"]);

const files = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
for (const file of files) {
  if (!/^package\/(dist\/.+\.(js|d\.ts|wasm)|dist\/LICENSE-[\w-]+|package\.json|README\.md|LICENSE-(MIT|APACHE))$/.test(file)) {
    fail(`${file} has no place in the package`);
  }
}
for (const needed of ["dist/index.js", "dist/index.d.ts", "dist/ai-sdk.d.ts", "dist/worker.js", "dist/engine/chord_web_bg.wasm", "dist/engine/chord_web_relaxed_bg.wasm", "dist/engine/chord_web_threads_bg.wasm", "dist/engine/chord_web_relaxed_threads_bg.wasm", "README.md", "LICENSE-MIT", "LICENSE-APACHE"]) {
  if (!files.includes(`package/${needed}`)) {
    fail(`${needed} is missing from the package`);
  }
}

for (const name of ["index.js", "worker.js", "ai-sdk.js"]) {
  const code = readFileSync(join(root, "dist", name), "utf8");
  for (const [, from] of code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']/g)) {
    if (!from.startsWith("./")) {
      fail(`dist/${name} imports "${from}", which no page resolves`);
    }
  }
}
const wanted = [
  ["index.js", /new Worker\(new URL\("\.\/worker\.js",\s*import\.meta\.url\),\s*\{\s*type:\s*"module"\s*\}\)/],
  ...["", "_relaxed", "_threads", "_relaxed_threads"].map((build) => ["worker.js", new RegExp(`new URL\\("\\./engine/chord_web${build}_bg\\.wasm",\\s*import\\.meta\\.url\\)`)]),
];
for (const [name, expression] of wanted) {
  if (!expression.test(readFileSync(join(root, "dist", name), "utf8"))) {
    fail(`dist/${name} lacks the expression that bundlers look for: ${expression.source}`);
  }
}

console.log(failures === 0 ? `${files.length} files in the package, all checks passed` : `${failures} checks failed`);
process.exit(failures === 0 ? 0 : 1);
