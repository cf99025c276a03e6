// node tint-check.mjs FOLDER: has Chromium's Tint judge every .wgsl file of FOLDER, and SwiftShader compile each of its
// compute entry points to a pipeline. Errors are printed with file, line and text. Exit code: 0 all accepted, 1 not.
// A feature that a file enables and this adapter lacks (shader-f16) leaves that file unjudged, and that is a failure
// unless `tint` is on the PATH to judge it (tools/check-shaders.sh does).
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const folder = process.argv[2];
const files = folder && existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".wgsl")).sort() : [];
if (files.length === 0) {
  console.error(`no .wgsl files in ${folder ?? "(no folder given)"}`);
  process.exit(1);
}
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({
  executablePath,
  // SwiftShader counts as an unsafe adapter; the others keep Chromium from calling home.
  args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let refused = 0;
let unjudged = 0;
try {
  const page = await browser.newPage();
  // WebGPU wants a secure context; this answer never leaves the process.
  await page.route("http://localhost/", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
  await page.goto("http://localhost/");
  const adapter = await page.evaluate(openDevice);
  for (const name of files) {
    const messages = await page.evaluate(judge, readFileSync(join(folder, name), "utf8"));
    for (const { kind, line, text } of messages) {
      console.error(`${join(folder, name)}:${line}: ${kind}: ${text}`);
    }
    if (messages.some((m) => m.kind === "error")) refused += 1;
    else if (messages.some((m) => m.kind === "unjudged")) unjudged += 1;
  }
  console.error(`Chromium ${browser.version()} (${adapter}): ${files.length} shaders, ${refused} refused, ${unjudged} unjudged`);
} finally {
  await browser.close();
}
const judgedElsewhere = (process.env.PATH ?? "").split(":").some((part) => existsSync(join(part, "tint")));
process.exitCode = refused > 0 || (unjudged > 0 && !judgedElsewhere) ? 1 : 0;

// The two functions below run in the page.

async function openDevice() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("Chromium offers no WebGPU adapter");
  const requiredLimits = {};
  for (const name in adapter.limits) {
    if (typeof adapter.limits[name] === "number") requiredLimits[name] = adapter.limits[name];
  }
  globalThis.device = await adapter.requestDevice({ requiredFeatures: [...adapter.features], requiredLimits });
  return `${adapter.info.vendor} ${adapter.info.architecture}`;
}

async function judge(code) {
  const missing = [["f16", "shader-f16"], ["subgroups", "subgroups"]].filter(
    ([word, feature]) => new RegExp(`^\\s*enable\\b[^;]*\\b${word}\\b`, "m").test(code) && !device.features.has(feature),
  );
  if (missing.length > 0) return [{ kind: "unjudged", line: 0, text: `the adapter lacks ${missing.map((m) => m[1])}` }];
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  const found = messages.map((m) => ({ kind: m.type, line: m.lineNum, text: m.message }));
  const moduleError = await device.popErrorScope();
  if (found.some((m) => m.kind === "error")) return found;
  if (moduleError) return [...found, { kind: "error", line: 0, text: moduleError.message }];
  // Comments may name an entry point too.
  const bare = code.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "");
  const entries = [...bare.matchAll(/@compute\b[^{;]*?\bfn\s+(\w+)/g)].map((m) => m[1]);
  if (entries.length === 0) found.push({ kind: "error", line: 0, text: "no compute entry point" });
  for (const entryPoint of entries) {
    try {
      await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint } });
    } catch (error) {
      found.push({ kind: "error", line: 0, text: `pipeline of ${entryPoint}: ${error.message}` });
    }
  }
  return found;
}
