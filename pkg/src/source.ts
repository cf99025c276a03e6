/** The bytes of a model as the engine reads them: opened once, read forwards. */

export interface OpenedSource {
  /** Bytes of the whole file; null while nobody knows them: a stream, or a transfer that the server compresses, before its end. */
  readonly size: number | null;
  /**
   * Exactly `length` bytes from `offset`, which stay what they are until the next read. Calls come one at a time and go forwards;
   * only the header's reader may have read up to 1 MiB beyond where the next read begins.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Bytes of each part of a split model, which follow one another here; absent for a whole file. */
  readonly parts?: number[];
  /** As `read`, from the beginning of a part; for the headers of parts behind the first, before any weights. */
  readHeader?(part: number, offset: number, length: number): Promise<Uint8Array>;
  /** After the last read: takes what was skipped, checks length and SHA-256, and closes the cache entry as complete. */
  finish(): Promise<void>;
  /** At any time: stops the download, keeps what is verified for the next attempt, releases locks. */
  close(): Promise<void>;
  /** Bytes that came over the network, and from the cache. */
  readonly networkBytes: number;
  readonly cachedBytes: number;
  /** Why nothing is kept although a cache was asked for (no space, another tab writes, no private file system); else null. */
  readonly cacheFailed: string | null;
}
