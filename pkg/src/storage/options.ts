/** What a source is opened with, and the sizes that storage works in. */

/** Bytes arrive, are checked and are stored in pieces of 1 MiB (the last one is shorter). */
export const PIECE = 1 << 20;
/** Pieces after which data is flushed and their checksums enter the journal: 8 MiB, the most that a crash costs. */
export const BLOCK = 8;
/** How far before the end of the last read the next one may begin. */
export const LOOK_BACK = PIECE;
/** Pieces fetched before they are asked for, and pieces of memory kept for the next. Together with what is held for looking back: under 16 MiB. */
export const READ_AHEAD = 4;

export type Bytes = Uint8Array<ArrayBuffer>;

/** Bytes of the file that are here, `cached` of them from the cache. `total` is null while the size is unknown. */
export interface DownloadProgress {
  loaded: number;
  total: number | null;
  cached: number;
  /** Over the network, within the last seconds. */
  bytesPerSecond: number;
}

export interface OpenOptions {
  cache: "opfs" | "none";
  /** Expected SHA-256 of the whole file, 64 hexadecimal digits. */
  sha256?: string | undefined;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  onDownload?: ((progress: DownloadProgress) => void) | undefined;
  /** Pause before the first new attempt, in ms; it doubles with each further one. Default 250. */
  retryMs?: number | undefined;
  /** A connection that brings nothing for so long, in ms, counts as broken. Default 30 000. */
  stallMs?: number | undefined;
}

/** A model's bytes from the beginning, piece by piece. */
export interface Feed {
  readonly size: number | null;
  readonly networkBytes: number;
  readonly cachedBytes: number;
  readonly cacheFailed: string | null;
  /** Whether a wanted SHA-256 is still to be computed: the cache does not vouch for it. */
  readonly unproven: boolean;
  /** The next piece, null after the last. Calls come one at a time. */
  next(): Promise<Bytes | null>;
  /** Takes a piece back whose memory nobody reads any more. */
  reuse?(piece: Bytes): void;
  /** All pieces were taken: an entry of the cache is complete, with this SHA-256 where it was computed. */
  finish(sha256: string | null): Promise<void>;
  /** The file is not what it should be: drops the entry of the cache. */
  discard(): Promise<void>;
  /** Ends a `next` that waits. */
  cancel(): void;
  /** After `cancel`, when no `next` runs: keeps what is verified, releases handles and locks. */
  close(): Promise<void>;
}
