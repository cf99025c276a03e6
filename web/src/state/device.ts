/** Whether this browser can run a model at all, asked once. */
import { signal } from "@preact/signals";

export type Support = "unknown" | "ok" | "insecure" | "no-webgpu" | "no-adapter";

export const support = signal<Support>("unknown");

export async function checkSupport(): Promise<void> {
  if (!isSecureContext) {
    support.value = "insecure";
    return;
  }
  // Typed as always there, and absent in browsers without WebGPU.
  const gpu = (navigator as { gpu?: GPU }).gpu;
  if (gpu === undefined) {
    support.value = "no-webgpu";
    return;
  }
  try {
    support.value = (await gpu.requestAdapter()) === null ? "no-adapter" : "ok";
  } catch {
    support.value = "no-adapter";
  }
}
