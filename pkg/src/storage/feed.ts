/** The pieces of a URL: from the cache where they are there and whole, else from the network and into the cache. */
import { Download, type DownloadOptions } from "./download.js";
import { Entry } from "./entry.js";
import { changedFile, notAModel } from "./faults.js";
import { sameVersion } from "./http.js";
import { firstMissing, type Identity } from "./journal.js";
import { BLOCK, PIECE, READ_AHEAD, type Bytes, type Feed, type OpenOptions } from "./options.js";
import { askPersistence } from "./persist.js";
import { ReadAhead } from "./read-ahead.js";

const MAGIC = [0x47, 0x47, 0x55, 0x46];

export class UrlFeed implements Feed {
  cachedBytes = 0;
  cacheFailed: string | null = null;
  private index = 0;
  /** Memory of pieces that were used: new memory for each costs more than reading it. */
  private readonly spare: Bytes[] = [];
  private readonly readAhead = new ReadAhead();
  private earlierBytes = 0;
  private download: Download | null = null;
  private entry: Entry | null = null;
  /** What the bytes delivered here are of. */
  private identity: Identity = { size: null, etag: null, lastModified: null };
  /** The entry holds another version, or none: it is emptied once the first piece proves to be of a model. */
  private outdated = false;
  private stopped = false;

  private constructor(
    private readonly url: string,
    private readonly options: OpenOptions,
  ) {}

  /**
   * Opened as far as it takes to know the version of the file: a complete entry asks nobody, else one request is under way.
   * A signal that aborts while this waits must call `cancel` on the feed that `onMake` gets.
   */
  static async open(url: string, options: OpenOptions, onMake: (feed: UrlFeed) => void): Promise<UrlFeed> {
    const feed = new UrlFeed(url, options);
    onMake(feed);
    try {
      if (options.cache === "opfs") {
        await feed.openEntry();
        await feed.startReadingAhead();
      }
      await feed.connect();
    } catch (error) {
      feed.cancel();
      await feed.close();
      throw error;
    }
    return feed;
  }

  /** Goes on with a download that is under way from the file's first byte; nothing is stored. */
  static on(download: Download, options: OpenOptions): UrlFeed {
    const feed = new UrlFeed(download.url, options);
    feed.download = download;
    feed.identity = download.identity;
    return feed;
  }

  /** The complete entry of the cache without the network; null where there is none. */
  static async cached(url: string, options: OpenOptions): Promise<UrlFeed | null> {
    const entry = await Entry.openComplete(url, options.sha256).catch(() => null);
    if (!entry) {
      return null;
    }
    const feed = new UrlFeed(url, options);
    feed.adopt(entry);
    return feed;
  }

  get size(): number | null {
    return this.identity.size;
  }

  get networkBytes(): number {
    return this.earlierBytes + (this.download?.received ?? 0);
  }

  get unproven(): boolean {
    return this.outdated || !this.entry?.proves(this.options.sha256);
  }

  private async openEntry(): Promise<void> {
    try {
      const { url, options } = this;
      const entry =
        (await Entry.openComplete(url, options.sha256)) ?? (await Entry.openForWriting(url, options.sha256)) ?? (await Entry.openComplete(url, options.sha256, true));
      if (entry) {
        this.adopt(entry);
      } else {
        this.cacheFailed = "another tab is using this entry of the cache";
      }
    } catch (error) {
      this.cacheFailed = `the private file system is not to be had: ${describe(error)}`;
    }
  }

  private async startReadingAhead(): Promise<void> {
    const file = this.entry?.shared;
    if (file && !this.outdated) {
      await this.readAhead.start(file, this.size ?? 0);
    }
  }

  private adopt(entry: Entry): void {
    this.entry = entry;
    if (entry.journal) {
      const { size, etag, lastModified } = entry.journal;
      this.identity = { size, etag, lastModified };
    }
    this.outdated = entry.journal === null;
  }

  /** Begins the download at the first missing piece, so that a changed file shows before anything of the old one is delivered. */
  private async connect(): Promise<void> {
    const missing = this.entry ? firstMissing(this.entry.checksums) : 0;
    if (missing > 0 && this.identity.size !== null && missing * PIECE >= this.identity.size) {
      return;
    }
    const known = this.entry?.journal ? this.identity : null;
    const download = this.begin(missing * PIECE, null);
    await download.start(known);
    if (download.at < missing * PIECE) {
      this.outdated = true;
    }
    if (download.at === 0) {
      this.identity = download.identity;
      this.outdated = this.entry !== null;
    } else {
      download.identity = { ...this.identity, size: this.identity.size ?? download.identity.size };
      this.identity = download.identity;
    }
    await this.makeRoom();
  }

  private begin(at: number, end: number | null): Download {
    this.end();
    this.download = new Download(this.url, at, end, downloadOptions(this.options));
    if (this.stopped) {
      this.download.stop();
    }
    return this.download;
  }

  private end(): void {
    this.download?.stop();
    this.earlierBytes += this.download?.received ?? 0;
    this.download = null;
  }

  /** Asks to be kept, and takes the space for the whole file now: a load that finds none at the end has written for nothing. */
  private async makeRoom(): Promise<void> {
    if (!this.entry?.writable) {
      return;
    }
    await askPersistence();
    try {
      this.entry.reserve(this.identity.size ?? 0);
    } catch (error) {
      await this.giveUpCache(`no space for ${this.identity.size} bytes: ${describe(error)}`, this.outdated);
    }
  }

  async next(): Promise<Bytes | null> {
    const at = this.index * PIECE;
    if (this.size !== null && at >= this.size && (!this.download || this.download.at !== at || (await this.download.ended()))) {
      return null;
    }
    const piece = (await this.fromCache()) ?? (await this.fromNetwork(at));
    this.index++;
    return piece.length === 0 ? null : piece;
  }

  private async fromCache(): Promise<Bytes | null> {
    if (!this.entry || this.outdated || this.entry.checksums[this.index] === undefined) {
      return null;
    }
    const length = Math.min(PIECE, (this.size ?? Infinity) - this.index * PIECE);
    const piece = await this.entry.read(this.index, length, this.spare.pop());
    if (piece) {
      this.cachedBytes += piece.length;
      this.readAhead.reached((this.index + 1) * PIECE);
    } else if (!this.entry.writable) {
      await this.openForRepair();
    }
    return piece;
  }

  /** A damaged piece in an entry that is open for reading: opens it for writing, or goes on without it. */
  private async openForRepair(): Promise<void> {
    await this.readAhead.stop();
    await this.entry?.close();
    this.entry = null;
    try {
      this.entry = await Entry.openForWriting(this.url, this.options.sha256);
    } catch (error) {
      this.cacheFailed = describe(error);
    }
    if (!this.entry?.journal) {
      await this.entry?.close();
      this.entry = null;
      this.cacheFailed ??= "the entry is damaged, and another tab is using it";
    }
  }

  reuse(piece: Bytes): void {
    const cached = this.entry?.checksums[this.index] !== undefined;
    if (cached && piece.buffer.byteLength === PIECE && this.spare.length < READ_AHEAD) {
      this.spare.push(piece);
    }
  }

  private async fromNetwork(at: number): Promise<Bytes> {
    const download = this.download?.at === at ? this.download : await this.seek(at);
    const piece = await download.read(PIECE);
    this.identity = download.identity;
    if (this.index === 0 && MAGIC.some((byte, i) => piece[i] !== byte)) {
      throw notAModel(this.url, download.status, download.type, piece);
    }
    await this.store(piece);
    return piece;
  }

  /** A download from `at` up to the next piece that is in the cache. */
  private async seek(at: number): Promise<Download> {
    let next = this.index + 1;
    const checksums = this.entry?.checksums ?? [];
    while (next < checksums.length && checksums[next] === undefined) {
      next++;
    }
    const download = this.begin(at, next < checksums.length ? next * PIECE : null);
    await download.start(this.identity);
    if (sameVersion(this.identity, download.identity) === false) {
      await this.discard();
      throw changedFile(this.url);
    }
    while (download.at < at) {
      await download.read(Math.min(PIECE, at - download.at));
    }
    download.identity.size ??= this.identity.size;
    return download;
  }

  private async store(piece: Bytes): Promise<void> {
    const { entry } = this;
    if (!entry?.writable || piece.length === 0) {
      return;
    }
    const found = entry.checksum(piece);
    const before = this.outdated ? undefined : entry.checksums[this.index];
    if (before !== undefined && before !== found) {
      await this.discard();
      throw changedFile(this.url);
    }
    try {
      if (this.outdated) {
        entry.restart(this.identity);
        this.outdated = false;
      }
      entry.write(this.index, piece, found);
      if ((this.index + 1) % BLOCK === 0) {
        entry.commit();
      }
    } catch (error) {
      await this.giveUpCache(`the cache could not be written: ${describe(error)}`, true);
    }
  }

  /** Goes on without the cache; what could not be completed must not fill the origin's space, which the page's own data needs too. */
  private async giveUpCache(reason: string, remove: boolean): Promise<void> {
    const entry = this.entry;
    this.cacheFailed = reason;
    if (remove) {
      this.entry = null;
      await entry?.remove().catch(() => undefined);
    } else {
      entry?.stopWriting();
    }
  }

  async finish(sha256: string | null): Promise<void> {
    if (this.entry?.writable && this.size !== null) {
      try {
        this.entry.complete(this.size, sha256);
      } catch (error) {
        await this.giveUpCache(`the cache could not be written: ${describe(error)}`, true);
      }
    }
  }

  async discard(): Promise<void> {
    const entry = this.entry;
    this.entry = null;
    await (entry?.writable ? entry.remove() : entry?.close());
  }

  cancel(): void {
    this.stopped = true;
    this.download?.stop();
  }

  async close(): Promise<void> {
    this.end();
    await this.readAhead.stop();
    await this.entry?.close().catch((error: unknown) => {
      this.cacheFailed ??= describe(error);
    });
  }
}

export function downloadOptions(options: OpenOptions): DownloadOptions {
  return { headers: options.headers ?? {}, retryMs: options.retryMs, stallMs: options.stallMs };
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
