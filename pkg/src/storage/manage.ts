/** The cache's list, and deleting from it: in a page as in a worker. */
import { DownloadError } from "../errors.js";
import { dataName, folder, journalName, readSmall, removeFile } from "./disk.js";
import { keyOf } from "./hash.js";
import { bytesKept, parseJournal } from "./journal.js";
import { hold } from "./locks.js";
import { fileUrl } from "./url.js";

export interface CacheEntry {
  url: string;
  /** Bytes of the whole file; null where the server did not say and the download has not ended. */
  size: number | null;
  cachedBytes: number;
  /** Loads without the network. */
  complete: boolean;
  /** Milliseconds since 1970. */
  lastUsed: number;
}

/** What is kept, the last used first. */
export async function cacheList(): Promise<CacheEntry[]> {
  const entries: CacheEntry[] = [];
  for (const key of await keys()) {
    const file = await readSmall(await folder(false), journalName(key)).catch(() => null);
    const journal = file && parseJournal(file.bytes);
    if (file && journal) {
      const { url, size, complete } = journal;
      entries.push({ url, size, complete, cachedBytes: bytesKept(journal), lastUsed: file.modified });
    }
  }
  return entries.sort((a, b) => b.lastUsed - a.lastUsed);
}

/** Deletes the entry of this URL, or all. Throws E_CACHE_BUSY, after the others, where one is being read or written. */
export async function cacheDelete(url?: string): Promise<void> {
  const wanted = url === undefined ? await keys() : [await keyOf(fileUrl(url))];
  let busy = 0;
  for (const key of wanted) {
    busy += (await remove(key)) ? 0 : 1;
  }
  if (busy > 0) {
    throw new DownloadError(
      "E_CACHE_BUSY",
      url === undefined ? `${busy} entries of the cache are in use` : `the cache's entry of ${url} is in use`,
      "Dispose of the model that reads it, here and in other tabs, then delete again.",
    );
  }
}

async function keys(): Promise<string[]> {
  const found = new Set<string>();
  try {
    const directory = (await folder(false)) as unknown as { keys(): AsyncIterable<string> };
    for await (const name of directory.keys()) {
      found.add(name.replace(/\..*$/, ""));
    }
  } catch {
    // No private file system, or nothing in it yet.
  }
  return [...found];
}

async function remove(key: string): Promise<boolean> {
  const release = await hold(key, "exclusive");
  if (!release) {
    return false;
  }
  try {
    const directory = await folder(false).catch(() => null);
    if (directory) {
      await removeFile(directory, journalName(key));
      await removeFile(directory, dataName(key));
    }
    return true;
  } catch {
    return false;
  } finally {
    await release();
  }
}
