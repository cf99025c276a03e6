/** Reading a feed forwards: pieces are fetched a little ahead, the last ones are held to look back, the whole is hashed on the way. */
import { aborted, ChordError } from "../errors.js";
import type { OpenedSource } from "../source.js";
import { throwIfAborted, unreadable, wrongHash, wrongLength, wrongUse } from "./faults.js";
import type { RunningHash } from "./hash.js";
import { LOOK_BACK, type Bytes, type Feed, type OpenOptions } from "./options.js";
import { Meter } from "./meter.js";

export class ForwardSource implements OpenedSource {
  private readonly meter: Meter;
  private readonly queue: Promise<Bytes | null>[] = [];
  private last: Promise<Bytes | null> = Promise.resolve(null);
  /** Pieces taken from the queue that a read may still reach. */
  private held: { at: number; bytes: Bytes }[] = [];
  /** What the last read gave, and the next one overwrites: new memory for each costs more than filling it. */
  private given: Bytes = new Uint8Array();
  /** Bytes taken from the queue. */
  private taken = 0;
  /** Bytes that left the feed. */
  private arrived = 0;
  private closing: Promise<void> | null = null;
  private readonly onAbort: () => void;

  /** `ahead`: pieces fetched before they are asked for. `hash`: present where the whole file is to be hashed. `what`: the source, for messages. */
  constructor(
    private readonly what: string,
    private readonly feed: Feed,
    private readonly options: OpenOptions,
    private readonly ahead: number,
    private readonly hash: RunningHash | null,
  ) {
    this.meter = new Meter(feed, options.onDownload);
    this.onAbort = () => void this.close().catch(() => undefined);
    options.signal?.addEventListener("abort", this.onAbort, { once: true });
  }

  get size(): number | null {
    return this.feed.size;
  }

  get networkBytes(): number {
    return this.feed.networkBytes;
  }

  get cachedBytes(): number {
    return this.feed.cachedBytes;
  }

  get cacheFailed(): string | null {
    return this.feed.cacheFailed;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = offset + length;
    const start = this.held[0]?.at ?? this.taken;
    if (offset < start) {
      throw wrongUse(`${this.what} is read forwards: byte ${offset} was passed (now at ${this.taken})`, "This is a defect of wasm-chord: please report it.");
    }
    if (this.size !== null && end > this.size) {
      throw wrongLength(this.what, end, this.size);
    }
    if (this.given.length < length) {
      this.given = new Uint8Array(length);
    }
    const bytes = this.given.subarray(0, length);
    const copy = (piece: { at: number; bytes: Bytes }): void => {
      const from = Math.max(offset, piece.at);
      const to = Math.min(end, piece.at + piece.bytes.length);
      if (from < to) {
        bytes.set(piece.bytes.subarray(from - piece.at, to - piece.at), from - offset);
      }
    };
    this.held.forEach(copy);
    while (this.taken < end) {
      const piece = await this.take();
      if (!piece) {
        throw wrongLength(this.what, end, this.taken);
      }
      copy(piece);
    }
    throwIfAborted(this.options.signal);
    return bytes;
  }

  async finish(): Promise<void> {
    while (await this.take()) {
      this.held = [];
    }
    const { size } = this.feed;
    if (size !== null && size !== this.taken) {
      await this.feed.discard();
      await this.close();
      throw wrongLength(this.what, size, this.taken);
    }
    const sha256 = this.hash?.digest() ?? null;
    const expected = this.options.sha256?.toLowerCase();
    if (sha256 !== null && expected !== undefined && sha256 !== expected) {
      await this.feed.discard();
      await this.close();
      throw wrongHash(this.what, expected, sha256);
    }
    await this.feed.finish(sha256);
    this.meter.report(this.arrived, true);
    await this.close();
  }

  close(): Promise<void> {
    this.options.signal?.removeEventListener("abort", this.onAbort);
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.feed.cancel();
    await this.last.catch(() => undefined);
    this.queue.length = 0;
    this.held = [];
    await this.feed.close();
  }

  /** The next piece, hashed and held. */
  private async take(): Promise<{ at: number; bytes: Bytes } | null> {
    throwIfAborted(this.options.signal);
    if (this.closing) {
      throw wrongUse(`${this.what} is closed`, "Open it again to read on.");
    }
    do {
      this.last = this.last.then(() => this.fetch());
      this.last.catch(() => undefined);
      this.queue.push(this.last);
    } while (this.queue.length <= this.ahead);
    const next = this.queue.shift() ?? this.last;
    const bytes = await this.orAborted(next);
    if (!bytes) {
      return null;
    }
    this.hash?.update(bytes);
    const piece = { at: this.taken, bytes };
    this.taken += bytes.length;
    this.held.push(piece);
    while (this.held[0] && this.held[0].at + this.held[0].bytes.length <= piece.at - LOOK_BACK) {
      this.feed.reuse?.(this.held[0].bytes);
      this.held.shift();
    }
    return piece;
  }

  private async fetch(): Promise<Bytes | null> {
    if (this.closing) {
      throw aborted();
    }
    const bytes = await this.feed.next();
    this.arrived += bytes?.length ?? 0;
    this.meter.report(this.arrived, false);
    return bytes;
  }

  /** The piece, or at once E_ABORTED when the signal says so. */
  private async orAborted(next: Promise<Bytes | null>): Promise<Bytes | null> {
    const { signal } = this.options;
    let stop: (() => void) | undefined;
    try {
      return await new Promise<Bytes | null>((resolve, reject) => {
        stop = () => reject(aborted(signal?.reason));
        signal?.addEventListener("abort", stop, { once: true });
        next.then(resolve, reject);
      });
    } catch (error) {
      if (error instanceof ChordError) {
        throw error;
      }
      if (error instanceof DOMException && error.name === "AbortError") {
        throw aborted(signal?.reason);
      }
      throw unreadable(this.what, error);
    } finally {
      if (stop) {
        signal?.removeEventListener("abort", stop);
      }
    }
  }
}
