/** SHA-256 of a whole file, step by step, and what tells whether a piece in the cache is still what was written. */
import { createSHA256, createXXHash64 } from "hash-wasm";

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

/** Hexadecimal digits of a checksum. */
export const CHECKSUM_DIGITS = 16;

/**
 * XXH64 of a piece: a change within any 8 bytes is always found, any other but one in 2^64. It need not withstand anybody, since who can write the
 * piece can write the journal; SHA-256 says no more and takes ten times as long, which would be half of a warm start.
 */
export type Checksum = (bytes: Uint8Array) => string;

export async function checksum(): Promise<Checksum> {
  const hash = await createXXHash64();
  return (bytes) => hash.init().update(bytes).digest("hex");
}

/** Name of a URL's entry in the cache. */
export async function keyOf(url: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
