/** `just bench-browser`: this package beside wllama, in one run, on the same file. Prints the table and keeps it in bench/results. */
import { createRequire } from "node:module";
import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { contenders, CONTEXT, onGpu, type Contender } from "./contenders.ts";
import { about, keep, setting, wholeNumber, type Setting } from "./keep.ts";
import { measure, type Task } from "./measure.ts";
import { table, type Results } from "./report.ts";

const PROMPT =
  "The lighthouse stood at the end of a long pier, and every evening the keeper climbed its stairs to light the lamp. In winter the waves broke over the wall and the wind shook the windows, but the light never went out. One night a small boat came out of the storm, its sail torn and its mast broken. The keeper took a rope and a lantern and went down to the rocks. He called to the sailors, threw the rope, and pulled them one by one to the shore.";
/** Of PROMPT, for the tokenizer of the default model. */
const PROMPT_TOKENS = 100;
const USAGE =
  "usage: run.mjs [--rounds N] [--tokens N] [--gpu]   rounds per engine (3), tokens of the answer (24), WebGPU on SwiftShader instead of the processor";

/** Gives the exit code. */
export async function main(root: string, args: string[]): Promise<number> {
  let rounds: number;
  let tokens: number;
  let compared: Contender[];
  try {
    const { values } = parseArgs({
      args,
      options: { rounds: { type: "string", default: "3" }, tokens: { type: "string", default: "24" }, gpu: { type: "boolean", default: false } },
    });
    compared = values.gpu ? onGpu : contenders;
    rounds = wholeNumber("--rounds", values.rounds, 1);
    tokens = wholeNumber("--tokens", values.tokens, 2);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const model = process.env["WASM_CHORD_SMOLLM2"] ?? join(homedir(), ".cache/wasm-chord/models/SmolLM2-135M-Instruct.Q4_1.gguf");
  for (const [path, help] of [
    [model, "tools/default-model.sh fetches it"],
    [join(root, "pkg/dist/index.js"), "tools/web.sh builds it"],
  ] as const) {
    if (!existsSync(path)) {
      console.error(`${path} is missing: ${help}`);
      return 1;
    }
  }

  const where = setting(root);
  const task: Task = { root, model, prompt: PROMPT, promptTokens: PROMPT_TOKENS, tokens };
  const results: Results[] = compared.map((contender) => ({ contender, rounds: [] }));
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another engine, so that none always runs on a machine that the same one has warmed.
    for (let i = 0; i < results.length; i++) {
      const next = results[(round + i) % results.length];
      if (next) {
        console.error(`round ${round + 1} of ${rounds}: ${next.contender.name}`);
        next.rounds.push(await measure(next.contender, task));
      }
    }
  }

  keep(root, "browser", where.commit, report(results, task, rounds, where));
  return 0;
}

function report(results: Results[], { root, model, tokens }: Task, rounds: number, where: Setting): string {
  const { version } = createRequire(join(root, "package.json"))("@wllama/wllama/package.json") as { version: string };
  const answers = results.map(({ contender, rounds }) => `- ${contender.name}: ${JSON.stringify(rounds[0]?.answer.text ?? "")}`);
  return `# wasm-chord beside @wllama/wllama ${version}, in the browser

${about(where, results[0]?.rounds[0]?.chromium ?? "unknown")}
${results.map(({ contender, rounds }) => `- ${contender.name}: ${rounds[0]?.network.runsOn ?? ""}; page ${contender.isolated ? "with" : "without"} COOP and COEP`).join("\n")}
- Model ${basename(model)}, ${statSync(model).size} bytes; context ${CONTEXT}; prompt of ${PROMPT_TOKENS} tokens, answer of ${tokens}, greedy
- Medians of ${rounds} round(s), lowest and highest in brackets; engines in turn, each round in a new profile

${table(results)}

What is measured:

- shipped: the files that the page fetched of the package, each with gzip -9 (the server sends them as they are). wllama: \`index.min.js\` and \`wllama.wasm\`.
- load: from before \`import()\` of the library to the model being ready, with an empty profile and a server on this machine, then in a new page from the
  origin's private file system, where the server is asked for no byte of the model.
- time to first token and decode: by the page's clock, from the request to the first piece of text, and from there to the last one.
- JS + wasm: \`Runtime.getHeapUsage\` of page and worker every 250 ms (objects, DOM, buffers; garbage included), the largest sum, plus the size of the WebAssembly
  memories at the end, which never shrink. A worker is read when it pauses; heaps of wllama's thread workers are not counted. Memory on the GPU is not in it.
- resident: \`VmHWM\` of Chromium's processes, over the load from the network and the answer. On a software adapter the GPU's memory is in the GPU process.

Answers of the first round:

${answers.join("\n")}
`;
}
