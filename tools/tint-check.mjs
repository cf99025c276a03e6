// node tint-check.mjs FOLDER [--cover]: has Chromium's Tint judge every .wgsl file of FOLDER, and SwiftShader compile some to
// pipelines; with --cover only those. Errors are printed with file, line and text. Exit code: 0 all accepted, 1 not.
// A pipeline costs SwiftShader about a second, so they are made of a cover only: files are named KERNEL-DEFINE-DEFINE-...,
// and every define of every kernel is in at least one pipeline.
// A feature that a file enables and this adapter lacks (shader-f16) leaves that file unjudged, and that is a failure
// unless `tint` is on the PATH to judge it (tools/check-shaders.sh does).
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const folder = process.argv[2];
const files = folder && existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".wgsl")).sort() : [];
if (files.length === 0) throw new Error(`no .wgsl files in ${folder ?? "(no folder given)"}`);
const BATCH = 64; // shaders sent to the page at once
const covered = cover(files);
let refused = 0;
let unjudged = 0;
let judge = "";

// A browser for each processor: what judges is one thread of each.
const shares = Array.from({ length: Math.min(availableParallelism(), 4) }, () => []);
const judged = process.argv.includes("--cover") ? [...covered] : files;
judged.forEach((name, i) => shares[i % shares.length].push(name));
await Promise.all(shares.map(judgeShare));
console.error(`${judge}: ${judged.length} of ${files.length} shaders judged, ${covered.size} of them compiled`,
  `to pipelines, ${refused} refused, ${unjudged} unjudged`);

async function judgeShare(share) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // SwiftShader counts as an unsafe adapter; the others keep Chromium from calling home.
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const page = await browser.newPage();
    // WebGPU wants a secure context; this answer never leaves the process.
    await page.route("http://localhost/", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    await page.goto("http://localhost/");
    judge = `Chromium ${browser.version()} (${await page.evaluate(openDevice)})`;
    for (let first = 0; first < share.length; first += BATCH) {
      const names = share.slice(first, first + BATCH);
      const jobs = names.map((name) => ({ code: readFileSync(join(folder, name), "utf8"), pipeline: covered.has(name) }));
      for (const [i, messages] of (await page.evaluate(judgeAll, jobs)).entries()) {
        for (const m of messages) console.error(`${join(folder, names[i])}:${m.line}: ${m.kind}: ${m.text}`);
        refused += messages.some((m) => m.kind === "error");
        unjudged += messages.some((m) => m.kind === "unjudged");
      }
    }
  } finally {
    await browser.close();
  }
}

const judgedElsewhere = (process.env.PATH ?? "").split(":").some((part) => existsSync(join(part, "tint")));
process.exitCode = refused > 0 || (unjudged > 0 && !judgedElsewhere) ? 1 : 0;
// The first files, in order, that bring a define not seen before with their kernel.
function cover(names) {
  const seen = new Set();
  return new Set(names.filter((name) => {
    const [kernel, ...defines] = name.slice(0, -".wgsl".length).split("-");
    const fresh = ["", ...defines].map((define) => `${kernel}-${define}`).filter((part) => !seen.has(part));
    fresh.forEach((part) => seen.add(part));
    return fresh.length > 0;
  }));
}

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

async function judgeAll(jobs) {
  const judge = async ({ code, pipeline }) => {
    const missing = [["f16", "shader-f16"], ["subgroups", "subgroups"]].filter(
      ([word, feature]) => new RegExp(`^\\s*enable\\b[^;]*\\b${word}\\b`, "m").test(code) && !device.features.has(feature),
    );
    if (missing.length > 0) return [{ kind: "unjudged", line: 0, text: `the adapter lacks ${missing.map((m) => m[1])}` }];
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code });
    const scope = device.popErrorScope();
    const { messages } = await module.getCompilationInfo();
    const found = messages.map((m) => ({ kind: m.type, line: m.lineNum, text: m.message }));
    const moduleError = await scope;
    if (found.some((m) => m.kind === "error")) return found;
    if (moduleError) return [...found, { kind: "error", line: 0, text: moduleError.message }];
    // Comments may name an entry point too.
    const bare = code.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "");
    const entries = [...bare.matchAll(/@compute\b[^{;]*?\bfn\s+(\w+)/g)].map((m) => m[1]);
    if (entries.length === 0) found.push({ kind: "error", line: 0, text: "no compute entry point" });
    for (const entryPoint of pipeline ? entries : []) {
      try {
        await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint } });
      } catch (error) {
        found.push({ kind: "error", line: 0, text: `pipeline of ${entryPoint}: ${error.message}` });
      }
    }
    return found;
  };
  return Promise.all(jobs.map(judge));
}
