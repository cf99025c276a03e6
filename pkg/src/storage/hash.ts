/** SHA-256: of pieces by the browser, off this thread; of the whole file step by step. */
import { createSHA256 } from "hash-wasm";
import type { Bytes } from "./options.js";

export interface RunningHash {
  update(bytes: Uint8Array): void;
  /** Hexadecimal, once. */
  digest(): string;
}

export async function runningHash(): Promise<RunningHash> {
  const hash = await createSHA256();
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest("hex"),
  };
}

export async function digestOf(bytes: Bytes): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** Name of a URL's entry in the cache. */
export function keyOf(url: string): Promise<string> {
  return digestOf(new TextEncoder().encode(url));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
