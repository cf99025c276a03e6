/** Every kind of source, the header alone, and a file far larger than what is held of it. */
import { MIB, expect, madeUp, sha256, test } from "./harness.ts";
import { heldBytes } from "./memory.ts";

for (const kind of ["blob", "file", "array", "buffer", "stream"] as const) {
  test(`a ${kind}: every byte, the sum right and wrong`, async ({ tab }) => {
    const made = { kind, seed: 77, size: 5 * MIB + 3 };
    const opened = await tab.must({ op: "open", source: made });
    expect(opened.size).toBe(kind === "stream" ? null : made.size);
    await tab.must({ op: "read", seed: 77, to: 4 * MIB });
    // Up to 1 MiB back, as the reader of the header leaves it, then on over a gap.
    await tab.must({ op: "read", seed: 77, from: 3 * MIB, to: 4 * MIB + 100, step: 70_001 });
    await tab.must({ op: "read", seed: 77, from: 5 * MIB, to: made.size });
    expect(await tab.must({ op: "finish" })).toMatchObject({ size: made.size, networkBytes: 0, cachedBytes: 0 });
    expect((await tab.load(made, made, { sha256: sha256(made) })).error).toBeNull();
    expect((await tab.load(made, made, { sha256: "1".repeat(64) })).error).toMatchObject({ code: "E_HASH" });
    // Nothing read at all: the sum is still that of the whole.
    await tab.must({ op: "open", source: made, options: { sha256: sha256(made) } });
    await tab.must({ op: "finish" });
    await tab.must({ op: "open", source: made });
    expect((await tab.call({ op: "read", seed: 77, from: 5 * MIB, to: made.size + 1 })).error).toMatchObject({ code: "E_LENGTH" });
    const header = await tab.call({ op: "open", source: made, header: true });
    expect(header.error?.code).toBe(kind === "stream" ? "E_SOURCE" : undefined);
  });
}

test("the header of a URL comes by ranges of 1 MiB, as many as are read", async ({ tab, server }) => {
  const made = madeUp(server, 2_500_000_000);
  const opened = await tab.must({ op: "open", source: made.url, header: true, options: { cache: "opfs" } });
  expect(opened.size).toBe(made.size);
  await tab.must({ op: "read", seed: made.seed, to: 1000, step: 100 });
  await tab.must({ op: "read", seed: made.seed, from: 1000, to: MIB + 5 });
  const { networkBytes } = await tab.must({ op: "close" });
  expect(networkBytes).toBe(2 * MIB);
  expect(server.requests(made.path).map(({ range }) => range)).toEqual([`bytes=0-${MIB - 1}`, `bytes=${MIB}-${2 * MIB - 1}`]);
  // Shorter than the range asked for.
  const small = madeUp(server, 1000);
  expect((await tab.must({ op: "open", source: small.url, header: true })).size).toBe(1000);
  await tab.must({ op: "read", seed: small.seed, to: 1000 });
  expect((await tab.call({ op: "read", seed: small.seed, from: 999, to: 1001 })).error).toMatchObject({ code: "E_LENGTH" });
  await tab.must({ op: "close" });
});

test("the header of a URL without ranges: the beginning of the plain answer, then it is cancelled", async ({ tab, server }) => {
  const made = madeUp(server, 500_000_000, { faults: { noRange: true } });
  expect((await tab.must({ op: "open", source: made.url, header: true })).size).toBe(made.size);
  await tab.must({ op: "read", seed: made.seed, to: 3 * MIB });
  await tab.must({ op: "close" });
  const requests = server.requests(made.path);
  expect(requests.length).toBe(1);
  expect(requests[0]?.bytes).toBeLessThan(40 * MIB);
});

test("a slow reader holds the download back", async ({ tab, server }) => {
  const made = madeUp(server, 500_000_000);
  await tab.must({ op: "open", source: made.url });
  await tab.must({ op: "read", seed: made.seed, to: 100 });
  await tab.page.waitForTimeout(1000);
  const { networkBytes } = await tab.must({ op: "read", seed: made.seed, from: 100, to: 200 });
  expect(networkBytes).toBeLessThanOrEqual(8 * MIB);
  await tab.must({ op: "close" });
});

test("2.5 GB through a URL: what is held stays under 16 MiB", async ({ tab, server, browserContext }) => {
  const made = madeUp(server, 2_500_000_000);
  const idle = await heldBytes(browserContext, tab.page);
  await tab.must({ op: "open", source: made.url });
  const held: number[] = [];
  for (let at = 0; at < made.size; at += 250_000_000) {
    // Steps jump ahead: what is skipped is taken and let go by the source itself.
    await tab.must({ op: "read", seed: made.seed, from: at, to: at + 1000 });
    held.push((await heldBytes(browserContext, tab.page)) - idle);
  }
  const finished = await tab.must({ op: "finish" });
  expect(finished).toMatchObject({ networkBytes: made.size, size: made.size });
  console.log(`held above idle, MiB: ${held.map((bytes) => (bytes / MIB).toFixed(1)).join(" ")}`);
  expect(Math.max(...held)).toBeLessThan(16 * MIB);
});
