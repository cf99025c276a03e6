/** What the benchmarks of this folder have in common: numbers from flags, where and when they ran, and where their tables are kept. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join, relative } from "node:path";

export function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new Error(`${name} ${text}: a whole number from ${least} is wanted`);
  }
  return value;
}

export interface Setting {
  commit: string;
  processor: string;
  /** The system's load average before the run. */
  load: string;
}

/** To be asked before anything is measured. */
export function setting(root: string): Setting {
  const [first] = cpus();
  return {
    commit: commitOf(root),
    processor: `${cpus().length} × ${first?.model.trim() ?? "unknown processor"}`,
    load: loadavg().map((value) => value.toFixed(2)).join(" "),
  };
}

/** The first lines of a result's list. */
export function about({ commit, processor, load }: Setting, chromium: string): string {
  return `- Commit ${commit}, ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC
- Chromium ${chromium}, headless; ${processor}; load average before the run ${load}`;
}

/** Prints a result and writes it to bench/results. */
export function keep(root: string, what: string, commit: string, text: string): void {
  console.log(text);
  const folder = join(root, "bench/results");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${what}-${new Date().toISOString().slice(0, 10)}-${commit}.md`);
  writeFileSync(file, text);
  console.error(`kept as ${relative(root, file)}`);
}

/** Short hash; with "-changed" where tracked files outside bench/results differ from it. */
function commitOf(root: string): string {
  const git = (...args: string[]): string => execFileSync("git", ["-C", root, ...args], { encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results") !== "";
  return git("rev-parse", "--short=7", "HEAD") + (changed ? "-changed" : "");
}
