/** The parts of a split model: one source, whatever they come from. */
import { MIB, expect, madeUpParts, test } from "./harness.ts";

const SIZES = [3 * MIB + 7, 9 * MIB + 1, 2 * MIB];

test("an address of any part: headers by ranges, then part after part, each kept in the cache", async ({ tab, server }) => {
  const { parts, size, url } = madeUpParts(server, SIZES);
  const [first, second, third] = parts;
  if (!first || !second || !third) {
    throw new Error("three parts");
  }
  const options = { cache: "opfs" } as const;
  expect((await tab.must({ op: "open", source: url, header: true, options })).size).toBe(size);
  await tab.must({ op: "close" });
  server.reset();

  expect((await tab.must({ op: "open", source: url, options })).size).toBe(size);
  await tab.must({ op: "read", seed: first.seed, to: 100_000 });
  await tab.must({ op: "read", seed: second.seed, part: 1, to: 100_000 });
  await tab.must({ op: "read", seed: third.seed, part: 2, to: 100_000 });
  expect(server.requests(second.path).map(({ range }) => range)).toEqual([`bytes=0-${MIB - 1}`]);
  // The second part is passed over, and taken all the same.
  await tab.must({ op: "read", seed: first.seed, from: 90_000, to: first.size });
  await tab.must({ op: "read", seed: third.seed, begin: third.begin, from: 50_000, to: third.size });
  const { networkBytes, progress } = await tab.must({ op: "finish" });
  expect(networkBytes).toBeGreaterThanOrEqual(size);
  expect(networkBytes).toBeLessThanOrEqual(size + 2 * MIB);
  expect(progress.at(-1)).toMatchObject({ loaded: size, total: size });
  const loaded = progress.map((one) => one.loaded);
  expect(loaded).toEqual(loaded.toSorted((a, b) => a - b));
  const kept = (await tab.must({ op: "list" })).value as { url: string; complete: boolean }[];
  expect(kept.map((entry) => [entry.url, entry.complete]).sort()).toEqual(parts.map((part) => [part.url, true]));

  server.reset();
  await tab.must({ op: "open", source: url, options });
  for (const part of [second, third]) {
    await tab.must({ op: "read", seed: part.seed, part: parts.indexOf(part), to: 1000 });
  }
  for (const part of parts) {
    await tab.must({ op: "read", seed: part.seed, begin: part.begin, to: part.size });
  }
  expect(await tab.must({ op: "finish" })).toMatchObject({ size, networkBytes: 0, progress: expect.arrayContaining([]) });
  for (const part of parts) {
    expect(server.requests(part.path)).toEqual([]);
  }
});

test("files in any order; what cannot be", async ({ tab, server }) => {
  const part = (number: number) => ({ kind: "file", seed: number, size: SIZES[number - 1] ?? 0, name: `m-0000${number}-of-00003.gguf` }) as const;
  const size = SIZES.reduce((a, b) => a + b);
  for (const header of [false, true]) {
    expect((await tab.must({ op: "open", source: [part(3), part(1), part(2)], header })).size).toBe(size);
    await tab.must({ op: "read", seed: 2, part: 1, to: 1000 });
    let begin = 0;
    for (const number of [1, 2, 3]) {
      await tab.must({ op: "read", seed: number, begin, to: part(number).size });
      begin += part(number).size;
    }
    expect(await tab.must({ op: "finish" })).toMatchObject({ networkBytes: 0, cachedBytes: 0 });
    expect((await tab.call({ op: "read", seed: 3, from: size, to: size + 1 })).error).toMatchObject({ code: "E_LENGTH" });
  }
  // One file in a list is that file.
  expect((await tab.must({ op: "open", source: [part(1)] })).size).toBe(SIZES[0]);
  expect((await tab.call({ op: "open", source: [] })).error).toMatchObject({ code: "E_SOURCE" });
  const options = { sha256: "0".repeat(64) };
  expect((await tab.call({ op: "open", source: [part(1), part(2)], options })).error).toMatchObject({ code: "E_SOURCE" });
  const { url, parts } = madeUpParts(server, SIZES);
  if (parts[1]) {
    server.serve(parts[1].path, { body: "gone", type: "text/plain", faults: { status: 404 } });
  }
  expect((await tab.call({ op: "open", source: url })).error).toMatchObject({ code: "E_HTTP" });
});
