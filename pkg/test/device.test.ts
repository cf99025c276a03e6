/** Which device a model gets, by what the browser offers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseDevice, requireDevice } from "../src/device.js";
import { threadsFor } from "../src/threads.js";
import { engineUrl } from "../src/vectors.js";

const LIMITS = { maxStorageBufferBindingSize: 128, maxBufferSize: 256 };

/** A browser: null has WebGPU and no adapter for it, undefined no WebGPU. */
function browser(info?: Record<string, unknown> | null, secure = true): void {
  const adapter = info && { info: { vendor: "", architecture: "", device: "", description: "", ...info }, limits: LIMITS, features: new Set<string>() };
  const value = info === undefined ? {} : { gpu: { requestAdapter: async () => adapter } };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
  Object.defineProperty(globalThis, "isSecureContext", { value: secure, configurable: true });
}

const HARDWARE = { vendor: "nvidia", architecture: "ada", description: "RTX" };

test("auto takes a hardware GPU", async () => {
  browser(HARDWARE);
  const { device, adapter, limits } = await requireDevice({ device: "auto" });
  assert.deepEqual(device, { kind: "gpu", reason: "a GPU is there", threads: 0 });
  assert.deepEqual(adapter, { name: "RTX", backend: "webgpu", type: "other", driver: "nvidia ada" });
  assert.deepEqual(limits, { maxBinding: 128, maxBuffer: 256 });
});

test("auto takes the processor where there is no GPU, and says why", async () => {
  const reasons: [Parameters<typeof browser>, RegExp][] = [
    [[], /has no WebGPU/],
    [[undefined, false], /needs a secure page/],
    [[null], /finds no GPU/],
    [[{ vendor: "google", architecture: "swiftshader" }], /the only GPU, google swiftshader, is software/],
    [[{ description: "llvmpipe (LLVM 19)" }], /llvmpipe .* is software/],
    [[{ vendor: "microsoft", description: "Microsoft Basic Render Driver" }], /is software/],
    [[{ ...HARDWARE, isFallbackAdapter: true }], /is software/],
  ];
  for (const [offered, reason] of reasons) {
    browser(...offered);
    const { device, adapter, limits } = await requireDevice({ device: "auto" });
    assert.equal(device.kind, "cpu");
    assert.equal(device.threads, 1);
    assert.match(device.reason, reason);
    assert.equal(adapter.backend, "cpu");
    assert.ok(limits && limits.maxBuffer < 2 ** 31);
  }
});

test("an adapter that cannot be asked for is none", async () => {
  const requestAdapter = async () => {
    throw new Error("blocked");
  };
  Object.defineProperty(globalThis, "navigator", { value: { gpu: { requestAdapter } }, configurable: true });
  assert.equal((await chooseDevice({ device: "auto" })).device.kind, "cpu");
});

test("gpu takes one in software, and is an error where there is none", async () => {
  browser({ vendor: "google", architecture: "swiftshader" });
  const { device, adapter } = await requireDevice({ device: "gpu" });
  assert.deepEqual(device, { kind: "gpu", reason: "asked for", threads: 0 });
  assert.equal(adapter.type, "cpu");
  browser(null);
  await assert.rejects(requireDevice({ device: "gpu" }), { code: "E_NO_ADAPTER" });
  // A plan is answered all the same: whether it fits stays open.
  assert.deepEqual(await chooseDevice({ device: "gpu" }), { device: { kind: "gpu", reason: "asked for", threads: 0 }, adapter: null, limits: null, subgroups: false });
  browser();
  await assert.rejects(requireDevice({ device: "gpu" }), { code: "E_NO_WEBGPU", message: "this browser has no WebGPU" });
  browser(undefined, false);
  await assert.rejects(requireDevice({ device: "gpu" }), { code: "E_NO_WEBGPU", message: /secure page/ });
});

test("cpu takes the processor beside a GPU", async () => {
  browser(HARDWARE);
  assert.deepEqual((await requireDevice({ device: "cpu" })).device, { kind: "cpu", reason: "asked for", threads: 1 });
});

test("threads are for a page that may share memory, and as many as asked for", () => {
  Object.defineProperty(globalThis, "navigator", { value: { hardwareConcurrency: 32 }, configurable: true });
  const isolated = (value: boolean) => Object.defineProperty(globalThis, "crossOriginIsolated", { value, configurable: true });
  isolated(false);
  assert.deepEqual([threadsFor(undefined), threadsFor(4)], [1, 1]);
  isolated(true);
  assert.deepEqual([threadsFor(undefined), threadsFor(4), threadsFor(16)], [8, 4, 16]);
  const { waitAsync } = Atomics as { waitAsync?: unknown };
  try {
    delete (Atomics as { waitAsync?: unknown }).waitAsync;
    assert.equal(threadsFor(4), 1);
  } finally {
    Object.assign(Atomics, { waitAsync });
    isolated(false);
  }
});

test("the build fits the vectors that WebAssembly has", () => {
  const { validate } = WebAssembly;
  // Node 20 has plain vectors; later ones relaxed ones too.
  assert.match(engineUrl(false).href, /engine\/chord_web(_relaxed)?_bg\.wasm$/);
  assert.match(engineUrl(true).href, /engine\/chord_web(_relaxed)?_threads_bg\.wasm$/);
  try {
    WebAssembly.validate = () => false;
    assert.throws(() => engineUrl(false), { code: "E_NO_SIMD" });
  } finally {
    WebAssembly.validate = validate;
  }
});
