/** What the benchmarks of this folder have in common: where and when they ran, medians, and where their tables are kept. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const load = loadavg().map((n) => n.toFixed(2)).join(" ");
const commit = execFileSync("git", ["-C", root, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
const day = new Date().toISOString().slice(0, 10);

/** The first line of a result's list; its load average is that before the run. */
export const setting = `- Commit ${commit}, ${day}; ${cpus().length} × ${cpus()[0].model}; load average before the run ${load}`;

const sorted = (values) => values.toSorted((a, b) => a - b);
export function median(values) {
  const all = sorted(values);
  const half = all.length / 2;
  return (all[Math.ceil(half) - 1] + all[Math.floor(half)]) / 2;
}

/** Median, lowest and highest. */
export function spread(values, digits) {
  const [low, middle, high] = [sorted(values)[0], median(values), sorted(values).at(-1)].map((value) => value.toFixed(digits));
  return `${middle} (${low}–${high})`;
}

/** Prints a result and writes it to bench/results. */
export function keep(what, about, text) {
  const folder = join(root, "bench/results");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${what}-${day}-${commit}-${about}.md`);
  writeFileSync(file, text);
  console.log(`${text}\n${file}`);
}
