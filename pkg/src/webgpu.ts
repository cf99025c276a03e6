/** The adapter as the browser tells of it: the engine learns less than the page. */
import { chordError } from "./errors.js";
import type { AdapterInfo } from "./types.js";

interface Gpu {
  requestAdapter(options?: { powerPreference?: "high-performance" }): Promise<Adapter | null>;
}

interface Adapter {
  info: { vendor: string; architecture: string; device: string; description: string; isFallbackAdapter?: boolean };
  limits: { maxStorageBufferBindingSize: number; maxBufferSize: number };
}

async function adapter(): Promise<Adapter | null> {
  const gpu = (navigator as Navigator & { gpu?: Gpu }).gpu;
  return (await gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
}

function describe({ info }: Adapter): AdapterInfo {
  const name = info.description || info.device || [info.vendor, info.architecture].filter(Boolean).join(" ") || "unnamed";
  return { name, backend: "webgpu", type: info.isFallbackAdapter ? "cpu" : "other", driver: [info.vendor, info.architecture].filter(Boolean).join(" ") };
}

/** The adapter, or null where the browser offers none. */
export async function adapterInfo(): Promise<AdapterInfo | null> {
  const found = await adapter();
  return found && describe(found);
}

/** What a model's buffers must stay within. */
export async function adapterLimits(): Promise<{ maxBinding: number; maxBuffer: number } | null> {
  const found = await adapter();
  return found && { maxBinding: found.limits.maxStorageBufferBindingSize, maxBuffer: found.limits.maxBufferSize };
}

const BACK_WITHIN_MS = 10_000;
const ASK_EVERY_MS = 200;

/** After a lost device: a browser whose GPU process has died offers no adapter until it has started another. */
export async function adapterReturns(signal: AbortSignal): Promise<void> {
  const until = performance.now() + BACK_WITHIN_MS;
  while (!(await adapter()) && performance.now() < until && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

/** The adapter, or an error that says which of the reasons it is. */
export async function requireAdapter(): Promise<AdapterInfo> {
  if (!("gpu" in navigator)) {
    throw chordError(
      "E_NO_WEBGPU",
      isSecureContext ? "this browser has no WebGPU" : "WebGPU needs a secure page (https or localhost)",
      isSecureContext ? "Use a current Chrome, Edge, Firefox or Safari; on Linux WebGPU may have to be switched on in the browser's settings." : "Open the page over https.",
    );
  }
  const found = await adapterInfo();
  if (!found) {
    throw chordError("E_NO_ADAPTER", "WebGPU finds no GPU that it may use", "Update the graphics driver, switch hardware acceleration on in the browser's settings, or try another browser.");
  }
  return found;
}
