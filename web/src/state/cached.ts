/** Models whose bytes are kept in this browser. */
import { signal } from "@preact/signals";
import { Chord } from "wasm-chord";

export type CacheEntry = Awaited<ReturnType<typeof Chord.cache.list>>[number];

export const cached = signal<CacheEntry[]>([]);

export async function refreshCached(): Promise<CacheEntry[]> {
  try {
    const entries = await Chord.cache.list();
    cached.value = [...entries].sort((a, b) => b.lastUsed - a.lastUsed);
  } catch {
    // No private file system here: nothing is kept.
    cached.value = [];
  }
  return cached.value;
}

/** Without an address: all of them. */
export async function dropCached(url?: string): Promise<void> {
  try {
    await Chord.cache.delete(url);
  } finally {
    await refreshCached();
  }
}
