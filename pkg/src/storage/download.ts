/** Bytes of a URL from an offset on, over as many connections as it takes. */
import { brokenDownload, changedFile, httpError, wrongLength } from "./faults.js";
import { ask, discard, Passing, sameVersion, type Answer } from "./http.js";
import type { Identity } from "./journal.js";
import type { Bytes } from "./options.js";

const ATTEMPTS = 5;
const RETRY_MS = 250;
const STALL_MS = 30_000;

export interface DownloadOptions {
  headers: Record<string, string>;
  retryMs?: number | undefined;
  stallMs?: number | undefined;
}

type BodyReader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

export class Download {
  /** The file as the first answer described it; the size becomes known at the end where it was not. */
  identity: Identity = { size: null, etag: null, lastModified: null };
  /** Status and type of the first answer. */
  status = 0;
  type = "";
  /** Bytes that came over the network, those that were skipped included. */
  received = 0;
  private reader: BodyReader | null = null;
  private chunk: Uint8Array = new Uint8Array();
  /** Bytes of the body to pass over: the server sends the whole file, and this much is here already. */
  private skip = 0;
  private failures = 0;
  private answered = false;
  /** The server's ranges are not to be used. */
  private whole = false;
  /** The last connection ended as if all had been sent. */
  private endedCleanly = false;
  private connection = new AbortController();
  private stopped = false;
  private lastError: unknown = null;

  constructor(
    readonly url: string,
    /** Offset of the next byte. */
    public at: number,
    /** First byte no longer wanted; null: up to the end. */
    private end: number | null,
    private readonly options: DownloadOptions,
  ) {}

  /**
   * Connects, before anything else. `known` is the version that is here already. Where the server has another one, or no ranges,
   * the download begins at 0 and goes to the end: `at` says so.
   */
  async start(known: Identity | null): Promise<void> {
    const wanted = this.at;
    let answer = await this.connect(known);
    const placed = !answer.beyond && !answer.misplaced;
    const follows = wanted === 0 || (known !== null && sameVersion(known, answer) === true);
    if (!placed || (answer.start > 0 && !follows)) {
      await discard(answer.response);
      this.whole = answer.misplaced;
      this.at = 0;
      this.end = null;
      answer = await this.connect(null);
      if (answer.beyond) {
        throw httpError(this.url, 416);
      }
    }
    if (answer.start < wanted) {
      this.end = null;
    }
    this.begin(answer);
  }

  /** Goes on with an answer to a request without Range. */
  static from(url: string, answer: Answer, options: DownloadOptions): Download {
    const download = new Download(url, 0, null, options);
    download.begin(answer);
    return download;
  }

  private begin(answer: Answer): void {
    this.answered = true;
    this.at = answer.start;
    this.identity = { size: answer.size, etag: answer.etag, lastModified: answer.lastModified };
    this.status = answer.response.status;
    this.type = answer.response.headers.get("Content-Type") ?? "";
    this.take(answer.response);
  }

  private take(response: Response): void {
    this.reader = (response.body?.getReader() as BodyReader | undefined) ?? null;
  }

  /** The next `length` bytes; fewer at the end only. */
  async read(length: number): Promise<Bytes> {
    const limit = this.end === null ? length : Math.min(length, this.end - this.at);
    let bytes = new Uint8Array(limit);
    let filled = 0;
    while (filled < limit) {
      if (this.chunk.length === 0 && !(await this.pull())) {
        bytes = bytes.slice(0, filled);
        break;
      }
      const part = this.chunk.subarray(0, limit - filled);
      bytes.set(part, filled);
      this.chunk = this.chunk.subarray(part.length);
      filled += part.length;
      this.at += part.length;
    }
    return bytes;
  }

  /** Whether the file ends here, which only the transfer's own end shows. */
  async ended(): Promise<boolean> {
    return this.chunk.length === 0 && !(await this.pull());
  }

  /** Gets the next chunk; false at the end of the file. */
  private async pull(): Promise<boolean> {
    for (;;) {
      const size = this.identity.size;
      if (size !== null && this.at >= size && (await this.atEnd(size))) {
        return false;
      }
      const chunk = await this.receive();
      if (chunk === null) {
        if (this.identity.size === null && this.endedCleanly) {
          this.identity.size = this.at;
          return false;
        }
        await this.reconnect();
        continue;
      }
      this.received += chunk.length;
      const skipped = Math.min(this.skip, chunk.length);
      this.skip -= skipped;
      if (skipped < chunk.length) {
        this.failures = 0;
        this.chunk = chunk.subarray(skipped);
        return true;
      }
    }
  }

  /** All announced bytes are here: true unless the transfer has more, which is allowed where an encoding was hidden from this page. */
  private async atEnd(size: number): Promise<boolean> {
    const more = await this.receive();
    if (more === null) {
      return true;
    }
    if (this.status === 206 || new URL(this.url).origin === self.location.origin) {
      throw wrongLength(this.url, size, this.at + more.length);
    }
    this.identity.size = null;
    this.received += more.length;
    this.chunk = more;
    return false;
  }

  /** The next bytes of this connection; null where it ended or broke. */
  private async receive(): Promise<Uint8Array | null> {
    this.endedCleanly = false;
    if (!this.reader) {
      this.endedCleanly = true;
      return null;
    }
    const connection = this.connection;
    const timer = setTimeout(() => connection.abort(new Error("the connection brought nothing for too long")), this.options.stallMs ?? STALL_MS);
    try {
      for (;;) {
        const { done, value } = await this.reader.read();
        if (done || value.length > 0) {
          this.endedCleanly = done;
          return done ? null : value;
        }
      }
    } catch (error) {
      this.throwIfStopped();
      this.lastError = error;
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  private async reconnect(): Promise<void> {
    const clean = this.endedCleanly;
    this.drop();
    if (this.failures >= ATTEMPTS) {
      throw clean && this.identity.size !== null
        ? wrongLength(this.url, this.identity.size, this.at)
        : brokenDownload(this.url, this.at, this.identity.size, ATTEMPTS, this.lastError);
    }
    await this.pause(0);
    const answer = await this.connect(this.identity);
    const { size } = this.identity;
    if (answer.beyond) {
      throw size === null ? changedFile(this.url) : wrongLength(this.url, size, answer.size ?? this.at);
    }
    if (answer.misplaced) {
      await discard(answer.response);
      this.whole = true;
      return this.reconnect();
    }
    if (sameVersion(this.identity, answer) === false) {
      await discard(answer.response);
      throw answer.etag !== null && answer.etag === this.identity.etag && size !== null && answer.size !== null
        ? wrongLength(this.url, size, answer.size)
        : changedFile(this.url);
    }
    this.skip = this.at - answer.start;
    this.take(answer.response);
  }

  /** An answer, with new attempts where a failure may pass. Without any answer before, a refused request is final. */
  private async connect(known: Identity | null): Promise<Answer> {
    for (;;) {
      this.throwIfStopped();
      this.connection = new AbortController();
      const timer = setTimeout(() => this.connection.abort(new Error("no answer for too long")), this.options.stallMs ?? STALL_MS);
      try {
        const from = this.whole ? 0 : this.at;
        const end = this.whole ? null : this.end;
        return await ask({ url: this.url, from, end, headers: this.options.headers, known, signal: this.connection.signal });
      } catch (error) {
        this.throwIfStopped();
        const passing = error instanceof Passing ? error : null;
        if (!passing && !this.connection.signal.aborted) {
          throw error;
        }
        this.lastError = passing?.error ?? error;
        const refused = passing !== null && "code" in passing.error && passing.error.code === "E_NETWORK";
        if (refused && !this.answered) {
          throw passing.error;
        }
        if (this.failures >= ATTEMPTS) {
          throw passing && !refused ? passing.error : brokenDownload(this.url, this.at, this.identity.size, ATTEMPTS, this.lastError);
        }
        await this.pause(passing?.waitMs ?? 0);
      } finally {
        clearTimeout(timer);
      }
    }
  }

  private async pause(least: number): Promise<void> {
    const wait = Math.max(least, (this.options.retryMs ?? RETRY_MS) * 2 ** this.failures);
    this.failures++;
    const connection = (this.connection = new AbortController());
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      connection.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.throwIfStopped();
  }

  private throwIfStopped(): void {
    if (this.stopped) {
      throw new DOMException("the download was stopped", "AbortError");
    }
  }

  private drop(): void {
    this.connection.abort();
    this.reader?.cancel().catch(() => undefined);
    this.reader = null;
    this.chunk = new Uint8Array();
  }

  /** Ends the connection, and a `read` that waits. */
  stop(): void {
    this.stopped = true;
    this.drop();
  }
}
