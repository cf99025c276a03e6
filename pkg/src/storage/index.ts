/** The bytes of a model in the browser. `openSource` and `openHeader` are for a dedicated worker; the cache's list for any place. */
import type { OpenedSource } from "../source.js";
import type { ModelPart, ModelSource } from "../types.js";
import { aborted, throwIfAborted, wrongUse } from "./faults.js";
import { UrlFeed } from "./feed.js";
import { ForwardSource } from "./forward.js";
import { runningHash, type RunningHash } from "./hash.js";
import { HeaderFeed } from "./header.js";
import { READ_AHEAD, type Feed, type OpenOptions } from "./options.js";
import { blobSource, bufferSource } from "./random.js";
import { partsOf, SplitSource } from "./split.js";
import { StreamFeed } from "./stream.js";
import { cacheable, fileUrl } from "./url.js";

export { cacheDelete, cacheList, type CacheEntry } from "./manage.js";
export { askPersistence } from "./persist.js";
export type { DownloadProgress, OpenOptions } from "./options.js";

type WholeSource = ModelPart | ReadableStream<Uint8Array>;

/** Opens a model for reading all of it, forwards. Whoever opens closes. An abort of the signal closes too, and keeps what is verified. */
export async function openSource(source: ModelSource, options: OpenOptions): Promise<OpenedSource> {
  throwIfAborted(options.signal);
  const parts = partsOf(source);
  return parts ? SplitSource.open(parts, options, openWhole, openWholeHeader) : openWhole(source as WholeSource, options);
}

async function openWhole(source: WholeSource, options: OpenOptions): Promise<OpenedSource> {
  const hash = options.sha256 === undefined ? null : await runningHash();
  const held = heldSource(source, options, hash);
  if (held) {
    return held;
  }
  if (source instanceof ReadableStream) {
    return new ForwardSource("the stream", new StreamFeed(source), options, 0, hash);
  }
  const url = urlOf(source);
  const cache = cacheable(url) ? options.cache : "none";
  const feed = await opening(options.signal, (onMake) => UrlFeed.open(url, { ...options, cache }, onMake));
  return new ForwardSource(url, feed, options, READ_AHEAD, feed.unproven ? hash : null);
}

/** Opens a model for reading its header, without downloading more than that. `finish` and SHA-256 mean nothing here. */
export async function openHeader(source: ModelSource, options: OpenOptions): Promise<OpenedSource> {
  throwIfAborted(options.signal);
  const parts = partsOf(source);
  return parts ? SplitSource.open(parts, options, openWholeHeader, openWholeHeader) : openWholeHeader(source as WholeSource, options);
}

async function openWholeHeader(source: WholeSource, options: OpenOptions): Promise<OpenedSource> {
  const held = heldSource(source, options, null);
  if (held) {
    return held;
  }
  if (source instanceof ReadableStream) {
    throw wrongUse("a stream can be read once and so cannot be planned first", "Plan with the URL or the File that the stream comes from.");
  }
  const url = urlOf(source);
  const kept = options.cache === "opfs" && cacheable(url) ? await UrlFeed.cached(url, options) : null;
  const feed = kept ?? (await opening(options.signal, (onMake) => HeaderFeed.open(url, options, onMake)));
  return new ForwardSource(url, feed, { ...options, sha256: undefined }, 0, null);
}

function heldSource(source: WholeSource, options: OpenOptions, hash: RunningHash | null): OpenedSource | null {
  if (source instanceof Blob) {
    return blobSource(source, options, hash);
  }
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) {
    return bufferSource(source instanceof ArrayBuffer ? new Uint8Array(source) : source, options, hash);
  }
  return null;
}

function urlOf(source: unknown): string {
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw wrongUse("the source is neither URL, Blob, ArrayBuffer, Uint8Array nor ReadableStream", "Give one of these.");
  }
  return fileUrl(source);
}

/** Waits for a feed to open; an abort ends the wait at once and closes the feed behind it. */
async function opening<T extends Feed>(signal: AbortSignal | undefined, open: (onMake: (feed: Feed) => void) => Promise<T>): Promise<T> {
  let made: Feed | null = null;
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => {
      made?.cancel();
      reject(aborted(signal?.reason));
    };
    signal?.addEventListener("abort", onAbort, { once: true });
  });
  const opened = open((feed) => {
    made = feed;
  });
  // What opens although nobody waits any more lets go of its locks.
  opened.then(
    (feed) => (signal?.aborted ? feed.close() : undefined),
    () => undefined,
  );
  try {
    return await Promise.race([opened, stopped]);
  } finally {
    if (onAbort) {
      signal?.removeEventListener("abort", onAbort);
    }
  }
}
