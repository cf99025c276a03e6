/**
 * The first token of a fresh process beside plain reading, or fetching, of the same file, in turn, round by round:
 * `node bench/native/cold-start.mjs WASM-CHORD MODEL [--rounds N] [--mbit N,N,...] [--device cpu|gpu|auto]`.
 * From the disk after the system has forgotten the file (Linux; else that row is left out), from a server on this machine that sends
 * so many Mbit/s.
 */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, createReadStream, createWriteStream, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { createServer, get } from "node:http";
import { tmpdir } from "node:os";
import { platform } from "node:process";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { keep, setting, spread } from "./setting.mjs";

const USAGE = "usage: cold-start.mjs WASM-CHORD MODEL [--rounds N] [--mbit N,N,...] [--device cpu|gpu|auto]";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    mbit: { type: "string", default: "200,800" },
    device: { type: "string", default: "auto" },
  },
});
const [command, model] = positionals;
const [rounds, ...speeds] = [flags.rounds, ...flags.mbit.split(",").filter(Boolean)].map(Number);
if (!command || !model || ![rounds, ...speeds].every((n) => n > 0)) {
  console.error(USAGE);
  process.exit(2);
}
const { size } = statSync(model);
const work = mkdtempSync(join(tmpdir(), "wasm-chord-cold-"));

async function timed(job) {
  const start = performance.now();
  await job();
  return performance.now() - start;
}

/** A token of `source`, with a cache folder that is empty. */
async function firstToken(source) {
  const cache = join(work, "cache");
  rmSync(cache, { recursive: true, force: true });
  const args = ["run", source, "--raw", "-n", "1", "--ctx", "64", "--device", flags.device, "Hello"];
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, WASM_CHORD_CACHE: cache } });
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  const code = await new Promise((done, failed) => child.on("close", done).on("error", failed));
  if (code !== 0) {
    throw new Error(`${command} ended with ${code}: ${said}`);
  }
}

function readPlainly() {
  const file = openSync(model, "r");
  const bytes = Buffer.alloc(1 << 20);
  while (readSync(file, bytes) > 0);
  closeSync(file);
}

function fetchPlainly(url) {
  return new Promise((done, failed) => {
    get(url, (reply) => pipeline(reply, createWriteStream(join(work, "fetched"))).then(done, failed)).on("error", failed);
  });
}

/** Has the system forget what it has in memory of the file, and of nothing else: false where it cannot. */
function forget() {
  try {
    execFileSync("sync", [model]);
    execFileSync("dd", [`if=${model}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
    return platform === "linux";
  } catch {
    return false;
  }
}

/** Resolves when more may be written, or nobody listens any more. */
function writable(reply) {
  return new Promise((done) => {
    const go = () => {
      reply.off("drain", go).off("close", go);
      done();
    };
    reply.on("drain", go).on("close", go);
  });
}

/** Sends the model, at /MBIT/NAME so fast. */
const server = createServer(async (request, reply) => {
  const rate = Number(request.url.split("/")[1]) * 125;
  reply.writeHead(200, { "Content-Length": size });
  const start = performance.now();
  let sent = 0;
  try {
    for await (const bytes of createReadStream(model, { highWaterMark: 1 << 16 })) {
      sent += bytes.length;
      const ahead = sent / rate - (performance.now() - start);
      if (ahead > 2) {
        await sleep(ahead);
      }
      if (!reply.write(bytes)) {
        await writable(reply);
      }
    }
    reply.end();
  } catch {
    reply.destroy();
  }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

const sources = speeds.map((mbit) => {
  const url = `http://127.0.0.1:${server.address().port}/${mbit}/${basename(model)}`;
  return { name: `network, ${mbit} Mbit/s`, plain: () => fetchPlainly(url), ours: () => firstToken(url), before() {} };
});
if (forget()) {
  sources.unshift({ name: "disk", plain: readPlainly, ours: () => firstToken(model), before: forget });
}
sources.unshift({ name: "the system's memory", plain: readPlainly, ours: () => firstToken(model), before: readPlainly });

const results = sources.map(() => []);
try {
  for (let round = 1; round <= rounds; round++) {
    for (const [at, { name, plain, ours, before }] of sources.entries()) {
      before();
      const floor = await timed(plain);
      before();
      const first = await timed(ours);
      results[at].push({ floor, first });
      console.error(`round ${round}: ${name}: plainly ${floor.toFixed(0)} ms, to the first token ${first.toFixed(0)} ms`);
    }
  }
} finally {
  server.close();
  rmSync(work, { recursive: true, force: true });
}

const rows = sources.map(({ name }, at) => {
  const of = (value, digits) => spread(results[at].map(value), digits);
  return `| ${name} | ${of(({ floor }) => floor, 0)} | ${of(({ first }) => first, 0)} | ${of(({ floor, first }) => floor / first, 2)} |`;
});
const text = `# Cold start natively: the first token beside plain reading or fetching of the same file

${setting}
- Model ${basename(model)}, ${size} bytes; device ${flags.device}
- Medians of ${rounds} rounds, lowest and highest in brackets; in turn

| from | plainly, ms | start of the process to its end after one token, ms | plainly ÷ that |
| --- | ---: | ---: | ---: |
${rows.join("\n")}

- Plainly: read a MiB at a time into the same memory, or fetched into a file, by Node. Before each reading from the disk the system had to forget the file.
- The network is a server on this machine that sends no faster than said.
`;
keep("cold-start", basename(model, ".gguf"), text);
