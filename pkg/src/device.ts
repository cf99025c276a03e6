/** Where a model runs: the browser knows more of its adapter than the engine learns. */
import { chordError } from "./errors.js";
import { withSubgroups } from "./subgroups.js";
import { threadsFor } from "./threads.js";
import type { AdapterInfo, DeviceChoice, DeviceInfo } from "./types.js";

interface Gpu {
  requestAdapter(options?: { powerPreference?: "high-performance" }): Promise<Adapter | null>;
}

interface Adapter {
  info: { vendor: string; architecture: string; device: string; description: string; isFallbackAdapter?: boolean };
  limits: { maxStorageBufferBindingSize: number; maxBufferSize: number };
  features: ReadonlySet<string>;
  requestDevice(descriptor?: { requiredFeatures?: Iterable<string> }): Promise<unknown>;
}

/** What a model's buffers must stay within: each binding, each buffer and, where that is known, all together. */
export interface Limits {
  maxBinding: number;
  maxBuffer: number;
  total?: number;
}

/** What was asked for: a device, and threads for the processor. */
export interface Asked {
  device: DeviceChoice;
  threads?: number;
}

/** A device that has been chosen, or asked for and not there. */
export interface Chosen {
  device: DeviceInfo;
  adapter: AdapterInfo | null;
  limits: Limits | null;
  /** Whether kernels may use subgroups. */
  subgroups: boolean;
}

const ASKED = "asked for";
/** Adapters that compute on the processor, by the words that their drivers use of themselves. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|microsoft basic render|\bwarp\b/i;
/** One buffer of the engine's memory, and that memory, which 32 bits address; code and stack need a little of it. */
const CPU_LIMITS: Limits = { maxBinding: 2 ** 31 - 1, maxBuffer: 2 ** 31 - 1, total: 2 ** 32 - 2 ** 27 };

function gpu(): Gpu | undefined {
  return (navigator as Navigator & { gpu?: Gpu }).gpu;
}

async function requestAdapter(): Promise<Adapter | null> {
  return (await gpu()?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
}

function isSoftware({ info }: Adapter): boolean {
  return info.isFallbackAdapter === true || SOFTWARE.test([info.vendor, info.architecture, info.device, info.description].join(" "));
}

function describe(adapter: Adapter): AdapterInfo {
  const { info } = adapter;
  const made = [info.vendor, info.architecture].filter(Boolean).join(" ");
  return { name: info.description || info.device || made || "unnamed", backend: "webgpu", type: isSoftware(adapter) ? "cpu" : "other", driver: made };
}

/** The processor. `reason`: why not a GPU. */
export function onCpu(reason: string, threads: number): Chosen {
  const name = `CPU, ${threads} thread${threads === 1 ? "" : "s"}`;
  return { device: { kind: "cpu", reason, threads }, adapter: { name, backend: "cpu", type: "cpu", driver: "" }, limits: CPU_LIMITS, subgroups: false };
}

function onGpu(adapter: Adapter | null, reason: string): Chosen {
  return {
    device: { kind: "gpu", reason, threads: 0 },
    adapter: adapter && describe(adapter),
    limits: adapter && { maxBinding: adapter.limits.maxStorageBufferBindingSize, maxBuffer: adapter.limits.maxBufferSize },
    subgroups: adapter !== null && withSubgroups(adapter),
  };
}

/** Why there is no WebGPU at all. */
function missing(): string {
  return isSecureContext ? "this browser has no WebGPU" : "WebGPU needs a secure page (https or localhost)";
}

/**
 * The device for what was asked: a GPU in software, which is slower than the processor itself, only where a GPU was asked for.
 * One that is asked for and not there has no `adapter`.
 */
export async function chooseDevice({ device: asked, threads }: Asked): Promise<Chosen> {
  const cpu = (reason: string) => onCpu(reason, threadsFor(threads));
  if (asked === "cpu") {
    return cpu(ASKED);
  }
  if (asked === "gpu") {
    return onGpu(await requestAdapter(), ASKED);
  }
  if (!gpu()) {
    return cpu(missing());
  }
  // An adapter that cannot be asked for is none.
  const adapter = await requestAdapter().catch(() => null);
  if (!adapter) {
    return cpu("WebGPU finds no GPU that it may use");
  }
  return isSoftware(adapter) ? cpu(`the only GPU, ${describe(adapter).name}, is software`) : onGpu(adapter, "a GPU is there");
}

/** The device, or an error that says why the GPU that was asked for is not there. */
export async function requireDevice(asked: Asked): Promise<Chosen & { adapter: AdapterInfo }> {
  if (asked.device === "gpu" && !gpu()) {
    const help = isSecureContext
      ? 'Use a current Chrome, Edge, Firefox or Safari (on Linux WebGPU may have to be switched on in the browser\'s settings), or load with device: "auto".'
      : 'Open the page over https, or load with device: "auto".';
    throw chordError("E_NO_WEBGPU", missing(), help);
  }
  const chosen = await chooseDevice(asked);
  if (!chosen.adapter) {
    const help = 'Update the graphics driver, switch hardware acceleration on in the browser\'s settings, or load with device: "auto".';
    throw chordError("E_NO_ADAPTER", "WebGPU finds no GPU that it may use", help);
  }
  return { ...chosen, adapter: chosen.adapter };
}

const BACK_WITHIN_MS = 10_000;
const ASK_EVERY_MS = 200;

/** After a lost device: a browser whose GPU process has died offers no adapter until it has started another. */
export async function adapterReturns(signal: AbortSignal): Promise<void> {
  const until = performance.now() + BACK_WITHIN_MS;
  while (!(await requestAdapter()) && performance.now() < until && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}
