/** What a server can get wrong: each one its code, or the right way around it. */
import { MIB, expect, madeUp, sha256, test } from "./harness.ts";

const SIZE = 3 * MIB + 17;
/** More than a block and what is read ahead, so that a load that stops after a block leaves something to fetch. */
const LONG = 18 * MIB + 5;

for (const status of [401, 403, 404]) {
  test(`status ${status} is E_HTTP at once`, async ({ tab, server }) => {
    const made = madeUp(server, SIZE, { faults: { status } });
    for (const header of [false, true]) {
      const { error } = await tab.call({ op: "open", source: made.url, header, options: { cache: "opfs" } });
      expect(error?.code).toBe("E_HTTP");
      expect(error?.message).toContain(String(status));
      expect(error?.help).toContain(status === 404 ? "address" : "permission");
    }
    expect(server.requests(made.path).length).toBe(2);
    expect((await tab.must({ op: "list" })).value).toEqual([]);
  });
}

for (const status of [429, 500, 503]) {
  test(`status ${status} is tried again, for a while`, async ({ tab, server }) => {
    const made = madeUp(server, SIZE, { faults: { status, statusTimes: 2 } });
    expect((await tab.load(made.url, made)).error).toBeNull();
    expect(server.requests(made.path).map((request) => request.status)).toEqual([status, status, 200]);
    made.file.faults = { status, statusTimes: 1 };
    expect((await tab.call({ op: "open", source: made.url, header: true })).error).toBeNull();
    made.file.faults = { status };
    server.reset();
    expect((await tab.load(made.url, made)).error).toMatchObject({ code: "E_HTTP" });
    expect(server.requests(made.path).length).toBe(6);
  });
}

test("a busy server in mid-download costs nothing but time", async ({ tab, server }) => {
  const made = madeUp(server, SIZE, { faults: { cuts: [MIB + 3] } });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  made.file.faults = { ...made.file.faults, status: 503, statusTimes: 3 };
  await tab.must({ op: "read", seed: made.seed, to: SIZE });
  expect(await tab.must({ op: "finish" })).toMatchObject({ networkBytes: SIZE });
});

test("a page instead of a model is E_NOT_A_MODEL with its first words, and costs no cached byte", async ({ tab, server }) => {
  const made = madeUp(server, LONG);
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 9 * MIB });
  await tab.must({ op: "close" });
  // A portal of a network answers for the server.
  server.serve(made.path, { body: "<!doctype html><html><h1>Please sign in</h1></html>", type: "text/html; charset=utf-8", etag: '"p"' });
  for (const header of [false, true]) {
    await tab.call({ op: "open", source: made.url, header, options: { cache: "opfs" } });
    const { error } = header ? await tab.call({ op: "open", source: made.url, header }) : await tab.call({ op: "read", seed: made.seed, to: 4 });
    expect(error?.code).toBe("E_NOT_A_MODEL");
    expect(error?.message).toContain("Please sign in");
    expect(error?.message).toContain("status 20");
    expect(error?.message).toContain("text/html");
    await tab.call({ op: "close" });
  }
  server.serve(made.path, made.file);
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome.error).toBeNull();
  expect(outcome.cachedBytes).toBeGreaterThanOrEqual(8 * MIB);
});

test("no Range: the whole file from zero, also after a cut and after a reload", async ({ tab, server }) => {
  const made = madeUp(server, LONG, { faults: { noRange: true, cuts: [3 * MIB + 9] } });
  await tab.must({ op: "open", source: made.url, header: true });
  await tab.must({ op: "read", seed: made.seed, to: 1000 });
  await tab.must({ op: "close" });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 9 * MIB });
  await tab.must({ op: "close" });
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome).toMatchObject({ error: null, cachedBytes: 0, networkBytes: LONG });
  expect(server.requests(made.path).every(({ status, start }) => status === 200 && start === 0)).toBe(true);
});

test("gzip on the way: lengths are not trusted, the bytes are right", async ({ tab, server }) => {
  const made = madeUp(server, SIZE, { faults: { gzip: true } });
  const opened = await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  expect(opened.size).toBeNull();
  await tab.must({ op: "read", seed: made.seed, to: SIZE });
  expect(await tab.must({ op: "finish" })).toMatchObject({ size: SIZE });
  expect(await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).toMatchObject({ error: null, networkBytes: 0 });
});

test("a changed ETag between two visits: all of the new file, nothing of the old", async ({ tab, server }) => {
  const made = madeUp(server, LONG);
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 10 * MIB });
  await tab.must({ op: "close" });
  const now = { seed: 9001, size: 11 * MIB };
  server.serve(made.path, now);
  const outcome = await tab.load(made.url, now, { cache: "opfs", sha256: sha256(now) });
  expect(outcome).toMatchObject({ error: null, cachedBytes: 0, networkBytes: now.size, size: now.size });
  expect(await tab.load(made.url, now, { cache: "opfs" })).toMatchObject({ error: null, networkBytes: 0 });
});

test("a changed ETag in the middle of a read is E_CHANGED, and the next load reads the new file", async ({ tab, server }) => {
  const made = madeUp(server, 12 * MIB, { faults: { cuts: [9 * MIB + 1] } });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: MIB });
  const now = { seed: 9002, size: 12 * MIB };
  server.serve(made.path, now);
  expect((await tab.call({ op: "read", seed: made.seed, from: MIB, to: made.size })).error).toMatchObject({ code: "E_CHANGED" });
  await tab.must({ op: "close" });
  expect(await tab.load(made.url, now, { cache: "opfs", sha256: sha256(now) })).toMatchObject({ error: null, cachedBytes: 0 });
});

test("another origin: Range and the answer's own date instead of If-Range; hidden headers; a refusal is E_NETWORK", async ({ tab, server }) => {
  const made = madeUp(server, LONG, { faults: { cuts: [MIB], hideHeaders: true } });
  const url = server.otherUrl + made.path;
  await tab.must({ op: "open", source: url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 9 * MIB });
  await tab.must({ op: "close" });
  const outcome = await tab.load(url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome.error).toBeNull();
  expect(outcome.cachedBytes).toBeGreaterThanOrEqual(8 * MIB);
  expect(server.requests(made.path).every(({ method, ifRange }) => method === "GET" && ifRange === null)).toBe(true);
  const header = await tab.must({ op: "open", source: url, header: true });
  expect(header.size).toBe(made.size);
  await tab.must({ op: "close" });
  made.file.faults = { noCors: true };
  for (const header of [false, true]) {
    const { error } = await tab.call({ op: "open", source: url, header });
    expect(error?.code).toBe("E_NETWORK");
    expect(error?.message).toContain("CORS");
    expect(error?.message).toContain("down");
  }
  const gone = await tab.call({ op: "open", source: "http://localhost:9/model.gguf" });
  expect(gone.error).toMatchObject({ code: "E_NETWORK" });
});

test("without ETag and date a session goes on by length, another visit begins anew", async ({ tab, server }) => {
  const made = madeUp(server, LONG, { faults: { noValidators: true, cuts: [7 * MIB + 1] } });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 9 * MIB });
  await tab.must({ op: "close" });
  const again = server.requests(made.path)[1];
  // An error discards what the browser holds of a body, up to a few MiB: those bytes come a second time.
  expect(again?.start).toBeGreaterThan(3 * MIB);
  expect(await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).toMatchObject({ error: null, cachedBytes: 0 });
});

test("fewer bytes than announced is E_LENGTH", async ({ tab, server }) => {
  const made = madeUp(server, SIZE, { faults: { announceMore: 100 } });
  const outcome = await tab.load(made.url, { ...made, size: SIZE + 100 }, { cache: "opfs" });
  expect(outcome.error).toMatchObject({ code: "E_LENGTH" });
  expect(outcome.error?.message).toContain(String(SIZE));
});

test("a 206 with another range than asked for is not believed", async ({ tab, server }) => {
  const made = madeUp(server, LONG, { faults: { rangeShift: 3, cuts: [MIB + 5] } });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  await tab.must({ op: "read", seed: made.seed, to: 9 * MIB });
  await tab.must({ op: "close" });
  expect(await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) })).toMatchObject({ error: null, cachedBytes: 0 });
  await tab.must({ op: "delete" });
  await tab.must({ op: "open", source: made.url, header: true });
  await tab.must({ op: "read", seed: made.seed, to: 3 * MIB });
});

test("a connection that always breaks is E_DOWNLOAD, and what came is kept", async ({ tab, server }) => {
  // Not all at once: what lies unread in the browser when the connection ends, is lost with it.
  const made = madeUp(server, SIZE, { faults: { cuts: [2 * MIB + 1], cutEvery: 0, bytesPerSecond: 8 * MIB } });
  await tab.must({ op: "open", source: made.url, options: { cache: "opfs" } });
  const { error } = await tab.call({ op: "read", seed: made.seed, to: SIZE });
  expect(error?.code).toBe("E_DOWNLOAD");
  expect(error?.message).toMatch(new RegExp(`at byte \\d+ of ${SIZE}`));
  await tab.must({ op: "close" });
  expect(server.requests(made.path).length).toBe(6);
  delete made.file.faults;
  const outcome = await tab.load(made.url, made, { cache: "opfs", sha256: sha256(made) });
  expect(outcome.error).toBeNull();
  expect(outcome.cachedBytes).toBeGreaterThanOrEqual(MIB);
  expect(outcome.cachedBytes + outcome.networkBytes).toBe(SIZE);
});

test("headers go with every request", async ({ tab, server }) => {
  const made = madeUp(server, SIZE);
  const outcome = await tab.load(server.otherUrl + made.path, made, { headers: { Authorization: "Bearer x" } });
  expect(outcome.error).toBeNull();
  expect(server.requests(made.path).map(({ method, authorization }) => [method, authorization])).toEqual([
    ["OPTIONS", null],
    ["GET", "Bearer x"],
  ]);
});
