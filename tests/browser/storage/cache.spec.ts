/** The cache in the private file system: tabs beside each other, space, damage, list and delete. */
import type { CacheEntry } from "../../../pkg/src/storage/index.js";
import { BLOCK, MIB, expect, madeUp, sha256, test } from "./harness.ts";

const SIZE = 20 * MIB + 321;

async function listed(outcome: Promise<{ value: unknown }>): Promise<CacheEntry[]> {
  return (await outcome).value as CacheEntry[];
}

test("two tabs load the same file at once: one stores it, both read it right", async ({ tab, newTab, server }) => {
  const made = madeUp(server, SIZE, { faults: { bytesPerSecond: 20e6 } });
  const other = await newTab();
  const sum = sha256(made);
  const both = await Promise.all([tab, other].map((each) => each.load(made.url, made, { cache: "opfs", sha256: sum })));
  expect(both.map(({ error }) => error)).toEqual([null, null]);
  expect(both.filter(({ cacheFailed }) => cacheFailed?.includes("another tab")).length).toBe(1);
  const again = await Promise.all([tab, other].map((each) => each.load(made.url, made, { cache: "opfs", sha256: sum })));
  for (const outcome of again) {
    expect(outcome).toMatchObject({ error: null, networkBytes: 0, cachedBytes: SIZE, cacheFailed: null });
  }
});

test("a tab that is closed while it writes lets the next one go on", async ({ tab, newTab, server }) => {
  const made = madeUp(server, SIZE);
  const other = await newTab();
  await other.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await other.must({ op: "read", seed: made.seed, to: 9 * MIB });
  const busy = await tab.call({ op: "delete", url: made.url });
  expect(busy.error).toMatchObject({ code: "E_CACHE_BUSY" });
  const [entry] = await listed(tab.must({ op: "list" }));
  expect(entry).toMatchObject({ url: made.url, size: SIZE, complete: false });
  expect(entry?.cachedBytes).toBeGreaterThanOrEqual(BLOCK);
  // Its worker, and with it the lock, may be there a little longer than the page.
  const [outcome] = await Promise.all([tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) }), other.page.close()]);
  expect(outcome).toMatchObject({ error: null, cacheFailed: null });
  expect(outcome.cachedBytes).toBeGreaterThanOrEqual(BLOCK);
});

test("no space: found before the first byte, or while writing what has no known size, the load goes on without the cache", async ({ tab, server, browserContext }) => {
  const made = madeUp(server, SIZE);
  const devtools = await browserContext.newCDPSession(tab.page);
  const allow = (quotaSize?: number) => devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url, ...(quotaSize === undefined ? {} : { quotaSize }) });
  try {
    await allow(5 * MIB);
    const before = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
    expect(before).toMatchObject({ error: null, networkBytes: SIZE });
    expect(before.cacheFailed).toContain(`no space for ${SIZE} bytes`);
    expect((await tab.must({ op: "files" })).value).toEqual([]);
    made.file.faults = { gzip: true };
    const meanwhile = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
    expect(meanwhile).toMatchObject({ error: null, networkBytes: SIZE });
    expect(meanwhile.cacheFailed).toContain("QuotaExceededError");
    expect((await tab.must({ op: "files" })).value).toEqual([]);
    // A part that is there is still read, where the rest has no space.
    delete made.file.faults;
    await allow();
    await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
    await tab.must({ op: "read", seed: made.seed, to: 9 * MIB });
    await tab.must({ op: "close" });
    await allow(5 * MIB);
    const part = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
    expect(part.error).toBeNull();
    expect(part.cacheFailed).toContain("no space");
    expect(part.cachedBytes).toBeGreaterThanOrEqual(BLOCK);
    expect(part.cachedBytes + part.networkBytes).toBe(SIZE);
  } finally {
    await allow();
  }
  expect(await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).toMatchObject({ error: null, cacheFailed: null });
});

test("without a private file system the load goes on without the cache", async ({ tab, server }) => {
  const made = madeUp(server, 2 * MIB);
  await tab.must({ op: "forbidFiles" });
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome).toMatchObject({ error: null, networkBytes: made.size });
  expect(outcome.cacheFailed).toContain("SecurityError");
  expect((await tab.must({ op: "list" })).value).toEqual([]);
});

test("a damaged byte costs its piece only, in a complete entry and in a part", async ({ tab, server }) => {
  const made = madeUp(server, SIZE);
  await tab.load(made.url, made, { cache: "opfs" });
  for (const at of [9 * MIB + 5, 5]) {
    server.reset();
    await tab.must({ op: "damage", file: ".gguf", at });
    const repaired = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
    expect(repaired).toMatchObject({ error: null, networkBytes: MIB, cachedBytes: SIZE - MIB });
    const first = Math.floor(at / MIB) * MIB;
    expect(server.requests(made.path).map(({ range }) => range)).toEqual([`bytes=${first}-${first + MIB - 1}`]);
    expect(await tab.load(made.url, made, { cache: "opfs" })).toMatchObject({ error: null, networkBytes: 0 });
  }
  // The last piece, cut short.
  await tab.must({ op: "damage", file: ".gguf", at: -1 });
  expect(await tab.load(made.url, made, { cache: "opfs" })).toMatchObject({ error: null, networkBytes: 321 });
});

test("a large entry is read ahead by a worker, which lets go of it for a repair and at the end", async ({ tab, server }) => {
  const made = madeUp(server, 72 * MIB + 77);
  const readAhead = async () => Number((await tab.must({ op: "readAhead" })).value);
  await tab.load(made.url, made, { cache: "opfs" });
  expect(await readAhead()).toBe(0);
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await expect.poll(readAhead).toBe(made.size);
  await tab.must({ op: "read", seed: made.seed, to: made.size });
  expect(await tab.must({ op: "finish" })).toMatchObject({ networkBytes: 0, cachedBytes: made.size });
  await tab.must({ op: "damage", file: ".gguf", at: 35 * MIB + 5 });
  expect(await tab.load(made.url, made, { cache: "opfs" })).toMatchObject({ error: null, networkBytes: MIB, cachedBytes: made.size - MIB });
  expect(await tab.load(made.url, made, { cache: "opfs" })).toMatchObject({ error: null, networkBytes: 0, cacheFailed: null });
  await tab.must({ op: "delete", url: made.url });
  expect(await listed(tab.must({ op: "list" }))).toEqual([]);
});

test("a damaged piece that the server no longer has is E_CHANGED, and the entry is dropped", async ({ tab, server }) => {
  const made = madeUp(server, SIZE);
  await tab.load(made.url, made, { cache: "opfs" });
  await tab.must({ op: "damage", file: ".gguf", at: 3 * MIB });
  server.serve(made.path, { size: SIZE, seed: 9100 });
  expect((await tab.load(made.url, made, { cache: "opfs" })).error).toMatchObject({ code: "E_CHANGED" });
  const now = { seed: 9100, size: SIZE };
  expect(await tab.load(made.url, now, { cache: "opfs", sha256: sha256(now) })).toMatchObject({ error: null, cachedBytes: 0 });
});

test("a torn last line of the journal costs that line, a broken first line the entry", async ({ tab, server }) => {
  const made = madeUp(server, SIZE);
  await tab.load(made.url, made, { cache: "opfs" });
  // Without its last byte the line "complete" is torn; all pieces are there.
  await tab.must({ op: "damage", file: ".journal", at: -1 });
  expect(await listed(tab.must({ op: "list" }))).toMatchObject([{ complete: false, cachedBytes: SIZE }]);
  expect(await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).toMatchObject({ error: null, networkBytes: 0 });
  expect(await listed(tab.must({ op: "list" }))).toMatchObject([{ complete: true, cachedBytes: SIZE }]);
  await tab.must({ op: "damage", file: ".journal", at: 1 });
  expect(await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).toMatchObject({ error: null, networkBytes: SIZE });
});

test("readers beside an exclusive handle, as browsers without shared ones have it", async ({ tab, newTab, server }) => {
  const made = madeUp(server, 3 * MIB + 1);
  await tab.load(made.url, made, { cache: "opfs" });
  const [name] = ((await tab.must({ op: "files" })).value as string[]).filter((each) => each.endsWith(".gguf"));
  const other = await newTab();
  await other.must({ op: "hold", file: name ?? "" });
  expect(await tab.load(made.url, made, { cache: "opfs" })).toMatchObject({ error: null, networkBytes: 0, cachedBytes: made.size });
});

test("list and delete", async ({ tab, server }) => {
  const [one, two] = [madeUp(server, 2 * MIB), madeUp(server, MIB + 5)];
  const began = Date.now() - 2000;
  await tab.load(one.url, one, { cache: "opfs" });
  await tab.load(two.url, two, { cache: "opfs" });
  await tab.load(one.url, one, { cache: "opfs" });
  const entries = await listed(tab.must({ op: "list" }));
  expect(entries).toEqual([one, two].map(({ url, size }) => ({ url, size, cachedBytes: size, complete: true, lastUsed: expect.any(Number) })));
  expect(entries.every(({ lastUsed }) => lastUsed >= began && lastUsed <= Date.now() + 2000)).toBe(true);
  // The page itself sees the same, may delete, and asks for storage to be kept.
  const page = await tab.page.evaluate(async (url) => {
    const storage = (await import(`${location.origin}/storage-page.js`)) as typeof import("../../../pkg/src/storage/index.js");
    const before = await storage.cacheList();
    await storage.cacheDelete(url);
    return { before, kept: await storage.askPersistence() };
  }, `${one.url}#part`);
  expect(page).toEqual({ before: entries, kept: expect.any(Boolean) });
  expect((await listed(tab.must({ op: "list" }))).map(({ url }) => url)).toEqual([two.url]);
  await tab.must({ op: "delete", url: one.url });
  await tab.must({ op: "delete" });
  expect((await tab.must({ op: "files" })).value).toEqual([]);
});
