/** The rounds as a Markdown table: medians, and where the first engine of a pair is not ahead, why. */
import type { Contender } from "./contenders.ts";
import type { Round } from "./measure.ts";

export interface Results {
  contender: Contender;
  rounds: Round[];
}

interface Row {
  title: string;
  value(round: Round): number;
  digits: number;
  moreIsBetter?: true;
  /** Why the first of a pair is behind here, as far as its rounds tell. */
  why?(rounds: Round[]): string | undefined;
}

const MB = 1e6;
const emulated = (rounds: Round[]): string | undefined =>
  rounds.some(({ network }) => network.software)
    ? "the adapter is software: it emulates a GPU on the processor that wllama's SIMD code uses directly"
    : undefined;

const ROWS: Row[] = [
  { title: "shipped: JS + wasm, gzipped, kB", value: (round) => round.shipped / 1000, digits: 0 },
  { title: "load from the network, ms", value: (round) => round.network.ms, digits: 0, why: (rounds) => lastStage(rounds, "network") },
  { title: "load from the cache, ms", value: (round) => round.cache.ms, digits: 0, why: (rounds) => lastStage(rounds, "cache") },
  { title: "time to first token, ms", value: ({ answer }) => answer.firstMs, digits: 0, why: emulated },
  {
    title: "decode, tokens/s",
    value: ({ answer }) => ((answer.tokens - 1) * 1000) / (answer.lastMs - answer.firstMs),
    digits: 2,
    moreIsBetter: true,
    why: emulated,
  },
  { title: "peak JS + wasm, MB", value: ({ memory }) => (memory.js + memory.wasm) / MB, digits: 0 },
  { title: "of these wasm, MB", value: ({ memory }) => memory.wasm / MB, digits: 0 },
  { title: "peak resident, page's process, MB", value: ({ memory }) => memory.renderer / MB, digits: 0 },
  {
    title: "peak resident, page's and GPU process, MB",
    value: ({ memory }) => (memory.renderer + memory.gpu) / MB,
    digits: 0,
    why: (rounds) => emulated(rounds) && "the adapter is software: its GPU memory and its compiled kernels are in this machine's memory",
  },
];

/** `results` are pairs, the first of each ours. */
export function table(results: Results[]): string {
  const lines = [
    `| | ${results.map(({ contender }) => contender.name).join(" | ")} | the first of each pair is |`,
    `| --- |${results.map(() => " ---: |").join("")} --- |`,
  ];
  for (const row of ROWS) {
    const cells = results.map(({ rounds }) => spread(rounds.map(row.value), row.digits));
    lines.push(`| ${row.title} | ${cells.join(" | ")} | ${verdicts(row, results)} |`);
  }
  return lines.join("\n");
}

/** Median, lowest and highest. */
export function spread(values: number[], digits: number): string {
  const low = Math.min(...values).toFixed(digits);
  const high = Math.max(...values).toFixed(digits);
  return low === high ? low : `${median(values).toFixed(digits)} (${low}–${high})`;
}

function verdicts(row: Row, results: Results[]): string {
  const pairs = results.flatMap((ours, i) => {
    const theirs = results[i + 1];
    return i % 2 === 0 && theirs ? [verdict(row, ours, theirs)] : [];
  });
  return pairs.join("; ");
}

function verdict(row: Row, ours: Results, theirs: Results): string {
  const [a, b] = [ours, theirs].map(({ rounds }) => median(rounds.map(row.value))) as [number, number];
  const factor = row.moreIsBetter ? a / b : b / a;
  return factor >= 1 ? `${factor.toFixed(2)}× ahead` : `${(1 / factor).toFixed(2)}× behind: ${row.why?.(ours.rounds) ?? "the measurement does not tell why"}`;
}

/** What a load waited for in the end, and how long. */
function lastStage(rounds: Round[], load: "network" | "cache"): string | undefined {
  const ends = new Map<string, number>();
  for (const stage of new Set(rounds.flatMap((round) => Object.keys(round[load].stages ?? {})))) {
    ends.set(stage, median(rounds.flatMap((round) => round[load].stages?.[stage] ?? [])));
  }
  const order = [...ends].filter(([stage]) => stage !== "ready").sort((a, b) => a[1] - b[1]);
  return order.length === 0 ? undefined : order.map(([stage, ms]) => `${stage} ended at ${ms.toFixed(0)} ms`).join(", ");
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle) - 1] ?? NaN)) / 2;
}
