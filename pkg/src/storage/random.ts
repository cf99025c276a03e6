/** Sources that are here already, whole: a file or a buffer, read where it pleases. */
import type { OpenedSource } from "../source.js";
import { aborted, throwIfAborted, unreadable, wrongHash, wrongLength } from "./faults.js";
import type { RunningHash } from "./hash.js";
import { Meter } from "./meter.js";
import { PIECE, type OpenOptions } from "./options.js";

type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

export class HeldSource implements OpenedSource {
  readonly networkBytes = 0;
  readonly cachedBytes = 0;
  readonly cacheFailed = null;
  private hashed = 0;
  private loaded = 0;
  private readonly meter: Meter;

  /** `hash`: present where the whole is to be hashed. */
  constructor(
    private readonly what: string,
    readonly size: number,
    private readonly readAt: ReadAt,
    private readonly options: OpenOptions,
    private readonly hash: RunningHash | null,
  ) {
    this.meter = new Meter(this, options.onDownload);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    throwIfAborted(this.options.signal);
    const end = offset + length;
    if (end > this.size) {
      throw wrongLength(this.what, end, this.size);
    }
    await this.hashUpTo(offset);
    const bytes = await this.bytes(offset, length);
    if (this.hash && end > this.hashed) {
      this.hash.update(bytes.subarray(this.hashed - offset));
      this.hashed = end;
    }
    this.loaded = Math.max(this.loaded, end);
    this.meter.report(this.loaded, false);
    return bytes;
  }

  async finish(): Promise<void> {
    await this.hashUpTo(this.size);
    this.meter.report(this.size, true);
    const expected = this.options.sha256?.toLowerCase();
    const sha256 = this.hash?.digest();
    if (expected !== undefined && sha256 !== undefined && sha256 !== expected) {
      throw wrongHash(this.what, expected, sha256);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private async hashUpTo(offset: number): Promise<void> {
    while (this.hash && this.hashed < offset) {
      const bytes = await this.bytes(this.hashed, Math.min(PIECE, offset - this.hashed));
      this.hash.update(bytes);
      this.hashed += bytes.length;
    }
  }

  private async bytes(offset: number, length: number): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = await this.readAt(offset, length);
    } catch (error) {
      throw unreadable(this.what, error);
    }
    const { signal } = this.options;
    if (signal?.aborted) {
      throw aborted(signal.reason);
    }
    return bytes;
  }
}

export function blobSource(blob: Blob, options: OpenOptions, hash: RunningHash | null): OpenedSource {
  const name = blob instanceof File ? `the file ${blob.name}` : "the blob";
  return new HeldSource(name, blob.size, async (at, length) => new Uint8Array(await blob.slice(at, at + length).arrayBuffer()), options, hash);
}

export function bufferSource(bytes: Uint8Array, options: OpenOptions, hash: RunningHash | null): OpenedSource {
  return new HeldSource("the buffer", bytes.length, (at, length) => Promise.resolve(bytes.subarray(at, at + length)), options, hash);
}
