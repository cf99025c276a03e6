/**
 * The command beside llama-bench, natively: each in turn, round by round, on the same file with the same threads.
 * `node bench/native/run.mjs WASM-CHORD MODEL [--rounds N] [--prompt N] [--generate N] [--depth N] [--threads N] [--busy] [--gpu]`.
 * `--depth` is how many tokens the context holds before;
 * `--busy` keeps one core busy meanwhile; `--gpu` has both on a GPU too, a software one where there is no other.
 */
import { execFileSync, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { keep, median, setting, spread } from "./setting.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    prompt: { type: "string", default: "128" },
    generate: { type: "string", default: "64" },
    depth: { type: "string", default: "0" },
    threads: { type: "string", default: String(availableParallelism()) },
    busy: { type: "boolean", default: false },
    gpu: { type: "boolean", default: false },
  },
});
const [command, model] = positionals;
if (!command || !model) {
  console.error("usage: run.mjs WASM-CHORD MODEL [--rounds N] [--prompt N] [--generate N] [--depth N] [--threads N] [--busy] [--gpu]");
  process.exit(2);
}

function run(program, args) {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1 << 26 });
}

/** The program's output, or undefined where it is not there. */
function tried(program, args) {
  try {
    return run(program, args);
  } catch {
    return undefined;
  }
}

/** A round of ours: tokens per second of prompt and answer, and what it ran on. */
function ours(device) {
  const own = device === "cpu" ? ["--threads", flags.threads] : [];
  return () => {
    const lines = run(command, ["bench", model, "-p", flags.prompt, "-g", flags.generate, "-d", flags.depth, "-r", "1", "--json", "--device", device, ...own]);
    const result = JSON.parse(lines.trim().split("\n").at(-1));
    return { prefill: result.prefill_tok_s.median, decode: result.decode_tok_s.median, on: result.adapter.name };
  };
}

/** A round of llama-bench, with `place` saying where the layers are. */
function llama(place, on) {
  return () => {
    const rows = JSON.parse(run("llama-bench", ["-m", model, "-t", flags.threads, "-p", flags.prompt, "-n", flags.generate, "-d", flags.depth, "-r", "1", ...place, "-o", "json"]));
    const of = (test) => rows.find(test)?.avg_ts;
    return { prefill: of((row) => row.n_prompt > 0), decode: of((row) => row.n_gen > 0), on: on(rows[0]) };
  };
}

const contenders = [{ name: "wasm-chord, CPU", round: ours("cpu") }];
const devices = tried("llama-bench", ["--list-devices"]);
const gpu = /vulkan|cuda|metal/i.test(devices ?? "");
if (devices !== undefined) {
  // With a GPU at hand, no layers there still leave it the products of a prompt.
  const none = gpu ? ["-dev", "none"] : ["-ngl", "0"];
  contenders.push({ name: "llama.cpp, CPU", round: llama(none, (row) => row.cpu_info) });
}
if (flags.gpu) {
  contenders.push({ name: "wasm-chord, GPU", round: ours("gpu") });
  if (gpu) {
    contenders.push({ name: "llama.cpp, GPU", round: llama(["-ngl", "99"], (row) => row.gpu_info) });
  }
}

const spinner = flags.busy ? spawn(process.execPath, ["-e", "for (;;);"]) : undefined;
const results = contenders.map(() => []);
try {
  for (let i = 0; i < Number(flags.rounds); i++) {
    for (const [at, { name, round }] of contenders.entries()) {
      const got = round();
      results[at].push(got);
      console.error(`round ${i + 1}: ${name}: prefill ${got.prefill.toFixed(1)}, decode ${got.decode.toFixed(1)} tok/s`);
    }
  }
} finally {
  spinner?.kill();
}

const of = (at, what) => results[at].map((round) => round[what]);
const ratio = (at, what) => (at === 0 ? "" : `${(median(of(0, what)) / median(of(at, what))).toFixed(2)}×`);
const cell = (at, what) => spread(of(at, what), 1);
const rows = contenders.map(
  ({ name }, at) => `| ${name} | ${cell(at, "prefill")} | ${ratio(at, "prefill")} | ${cell(at, "decode")} | ${ratio(at, "decode")} | ${results[at][0].on} |`,
);
const version = tried("llama-bench", ["--version"])?.trim().split("\n")[0];
const text = `# wasm-chord natively${devices === undefined ? "" : ", beside llama-bench"}

${setting}${flags.busy ? "; one core kept busy" : ""}
- Model ${basename(model)}, ${statSync(model).size} bytes; prompt of ${flags.prompt} tokens, answer of ${flags.generate}, behind ${flags.depth} others; ${flags.threads} threads${version ? `\n- ${version}` : ""}
- Medians of ${flags.rounds} rounds in tokens per second, lowest and highest in brackets; engines in turn, each round a process of its own

| | prefill | wasm-chord on the CPU is | decode | wasm-chord on the CPU is | on |
| --- | ---: | ---: | ---: | ---: | --- |
${rows.join("\n")}
`;
const behind = flags.depth === "0" ? "" : `-behind-${flags.depth}`;
keep("native", basename(model, ".gguf") + behind + (flags.busy ? "-busy" : ""), text);
