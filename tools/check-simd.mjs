// check-simd.mjs MODULE: calls its `check`, which traps where a vector instruction does not do what plain arithmetic does.
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";

// Node 20 has relaxed instructions behind a flag, and its quick compiler leaves out the sum of the relaxed product; the page
// looks for that (pkg/src/vectors.ts).
for (const flag of ["--experimental-wasm-relaxed-simd", "--no-liftoff", "--no-wasm-tier-up"]) {
  setFlagsFromString(flag);
}
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), {});
const { check, said_at, said_bytes, memory } = instance.exports;
try {
  const sets = check();
  if (sets !== 1) {
    throw new Error(`${sets} instruction sets were checked, not the vectors alone`);
  }
  console.log(`${process.argv[2]}: vectors are right`);
} catch (error) {
  const said = new TextDecoder().decode(new Uint8Array(memory.buffer, said_at(), said_bytes()));
  console.error(`${process.argv[2]}: ${said || error}`);
  process.exit(1);
}
