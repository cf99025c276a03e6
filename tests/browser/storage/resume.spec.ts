/** Downloads that break and go on: byte-exact, and nothing verified is fetched again. */
import { random } from "../server/bytes.ts";
import { BLOCK, MIB, expect, madeUp, sentTwice, sha256, test } from "./harness.ts";

const SIZE = 26 * MIB + 12_345;

test("a download cut at five random points goes on byte by byte", async ({ tab, server }) => {
  const seed = Number(process.env.CHORD_SEED ?? Date.now() % 1_000_000);
  const next = random(seed);
  const cuts = Array.from({ length: 5 }, () => next() % SIZE);
  console.log(`CHORD_SEED=${seed}: cuts at ${cuts.join(", ")}`);
  const made = madeUp(server, SIZE, { faults: { cuts } });
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome.error).toBeNull();
  expect(made.file.faults?.cuts).toEqual([]);
  const requests = server.requests(made.path);
  expect(requests.length).toBe(6);
  expect(sentTwice(requests)).toBeLessThanOrEqual(BLOCK);
  expect(outcome.networkBytes).toBe(SIZE);
  console.log(`sent twice: ${sentTwice(requests)} bytes`);
  // Each request begins where the bytes that arrived end; after a cut so early that none did, at 0 and without a range.
  expect(requests.slice(1).every(({ start, range, ifRange }) => start === 0 || (range === `bytes=${start}-` && ifRange !== null))).toBe(true);
});

test("a tab that is reloaded, or a worker that dies, in mid-download goes on at the last block", async ({ tab, server }) => {
  const made = madeUp(server, SIZE);
  let before = 0;
  for (const [to, end] of [[9 * MIB, "reload"], [18 * MIB, "crash"]] as const) {
    const opened = await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
    expect(opened.size).toBe(SIZE);
    const read = await tab.must({ op: "read", seed: made.seed, to });
    expect(read.cachedBytes).toBeGreaterThanOrEqual(before);
    before = Math.floor(to / BLOCK) * BLOCK;
    await (end === "reload" ? tab.reload() : tab.crash());
  }
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome.error).toBeNull();
  expect(outcome.cachedBytes).toBeGreaterThanOrEqual(2 * BLOCK);
  expect(outcome.cachedBytes + outcome.networkBytes).toBe(SIZE);
  const starts = server.requests(made.path).map(({ start }) => start);
  expect(starts.length).toBe(3);
  expect(starts[1]).toBeGreaterThanOrEqual(BLOCK);
  expect(starts[2]).toBeGreaterThanOrEqual(2 * BLOCK);
  expect(starts.every((start) => start % MIB === 0)).toBe(true);
});

test("a complete file is read without a request, and both sums hold", async ({ tab, server }) => {
  const made = madeUp(server, 9 * MIB + 1);
  const first = await tab.load(made.url, made, { cache: "opfs" });
  expect(first).toMatchObject({ error: null, networkBytes: made.size, cachedBytes: 0, cacheFailed: null, size: made.size });
  expect(first.progress.at(-1)).toMatchObject({ loaded: made.size, total: made.size, cached: 0 });
  expect(server.requests(made.path).length).toBe(1);
  await tab.reload();
  for (const options of [{ cache: "opfs" as const }, { cache: "opfs" as const, sha256: sha256(made).toUpperCase() }]) {
    const again = await tab.load(made.url, made, options);
    expect(again).toMatchObject({ error: null, networkBytes: 0, cachedBytes: made.size });
    expect(again.progress.at(-1)).toMatchObject({ loaded: made.size, total: made.size, cached: made.size });
  }
  const header = await tab.must({ op: "open", source: `${made.url}#fragment`, header: true, options: { cache: "opfs" } });
  expect(header.size).toBe(made.size);
  await tab.must({ op: "read", seed: made.seed, to: 100 });
  await tab.must({ op: "close" });
  expect(server.requests(made.path).length).toBe(1);
});

test("a wrong SHA-256 is E_HASH and leaves nothing; the right one then loads", async ({ tab, server }) => {
  const made = madeUp(server, 2 * MIB + 7);
  const listed = async () => (await tab.must({ op: "list" })).value as { url: string }[];
  const wrong = await tab.load(made.url, made, { cache: "opfs", sha256: "0".repeat(64) });
  expect(wrong.error).toMatchObject({ code: "E_HASH" });
  expect(wrong.error?.message).toContain(sha256(made));
  expect(await listed()).toEqual([]);
  expect((await tab.must({ op: "files" })).value).toEqual([]);
  expect((await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).error).toBeNull();
  // A sum that nobody asked for is computed when someone does: from the cache, once.
  const later = madeUp(server, 2 * MIB + 7);
  await tab.load(later.url, later, { cache: "opfs" });
  expect(await tab.load(later.url, later, { cache: "opfs", sha256: sha256(later) })).toMatchObject({ error: null, networkBytes: 0 });
  expect((await tab.load(later.url, later, { cache: "opfs", sha256: sha256(later) })).networkBytes).toBe(0);
  const unknown = madeUp(server, 2 * MIB + 7);
  await tab.load(unknown.url, unknown, { cache: "opfs" });
  expect((await tab.load(unknown.url, unknown, { cache: "opfs", sha256: "0".repeat(64) })).error).toMatchObject({ code: "E_HASH" });
  expect((await listed()).map(({ url }) => url).sort()).toEqual([made.url, later.url].sort());
  // A complete entry with another sum than the one wanted now is not used.
  made.file.seed = 4711;
  const other = { seed: 4711, size: made.size };
  const changed = await tab.load(made.url, other, { cache: "opfs", sha256: sha256(other) });
  expect(changed).toMatchObject({ error: null, networkBytes: made.size, cachedBytes: 0 });
});

test("an abort takes effect at once, and what was there is used afterwards", async ({ tab, server }) => {
  const made = madeUp(server, SIZE, { faults: { stallAt: 12 * MIB + 5 } });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 10 * MIB });
  await tab.must({ op: "abortSoon", ms: 600 });
  const started = Date.now();
  const aborted = await tab.call({ op: "read", seed: made.seed, from: 10 * MIB, to: SIZE });
  expect(aborted.error).toMatchObject({ code: "E_ABORTED" });
  expect(Date.now() - started).toBeLessThan(2000);
  // Whole pieces of the block that was under way are kept too.
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome).toMatchObject({ error: null, cachedBytes: 12 * MIB, networkBytes: SIZE - 12 * MIB });
});

test("an abort while the server only answers that it is busy", async ({ tab, server }) => {
  const made = madeUp(server, MIB, { faults: { status: 503 } });
  const started = Date.now();
  const aborted = await tab.call({ op: "open", source: made.url, abortAfterMs: 150, options: { cache: "opfs", retryMs: 60_000 } });
  expect(aborted.error).toMatchObject({ code: "E_ABORTED" });
  expect(Date.now() - started).toBeLessThan(3000);
  delete made.file.faults;
  expect((await tab.load(made.url, made, { cache: "opfs" })).cacheFailed).toBeNull();
});

test("a connection that brings nothing is given up and continued", async ({ tab, server }) => {
  const made = madeUp(server, 3 * MIB, { faults: { stallAt: MIB + 100 } });
  const outcome = await tab.load(made.url, made, { stallMs: 300 });
  expect(outcome).toMatchObject({ error: null, networkBytes: made.size });
  expect(server.requests(made.path).map(({ start }) => start)).toEqual([0, MIB + 100]);
});
