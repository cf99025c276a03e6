/** The beginning of a URL's file, range by range, so that planning does not download the model. */
import { Download } from "./download.js";
import { aborted, changedFile, httpError, notAModel } from "./faults.js";
import { UrlFeed, downloadOptions } from "./feed.js";
import { ask, discard, Passing, sameVersion, type Answer } from "./http.js";
import type { Identity } from "./journal.js";
import { PIECE, type Bytes, type Feed, type OpenOptions } from "./options.js";

const MAGIC = "GGUF";

export class HeaderFeed implements Feed {
  networkBytes = 0;
  readonly cachedBytes = 0;
  readonly cacheFailed = null;
  readonly unproven = false;
  private readonly stopping = new AbortController();
  private known: Identity | null = null;
  private at = 0;
  private first: Bytes | null = null;

  private constructor(
    private readonly url: string,
    private readonly options: OpenOptions,
  ) {}

  /** Ranges where the server has them, else the plain answer's beginning. */
  static async open(url: string, options: OpenOptions, onMake: (feed: Feed) => void): Promise<Feed> {
    const feed = new HeaderFeed(url, options);
    onMake(feed);
    let answer = await feed.ask(0);
    if (answer.response.status === 206 && !answer.misplaced) {
      await feed.begin(answer);
      return feed;
    }
    if (answer.beyond || answer.misplaced) {
      await discard(answer.response);
      answer = await feed.ask(null);
    }
    if (answer.beyond) {
      throw httpError(url, 416);
    }
    return UrlFeed.on(Download.from(url, answer, downloadOptions(options)), options);
  }

  get size(): number | null {
    return this.known?.size ?? null;
  }

  private async begin(answer: Answer): Promise<void> {
    this.known = { size: answer.size, etag: answer.etag, lastModified: answer.lastModified };
    this.first = await this.body(answer);
    if (new TextDecoder().decode(this.first.subarray(0, MAGIC.length)) !== MAGIC) {
      throw notAModel(this.url, answer.response.status, answer.response.headers.get("Content-Type") ?? "", this.first);
    }
  }

  async next(): Promise<Bytes | null> {
    let bytes = this.first;
    this.first = null;
    if (!bytes) {
      if (this.size !== null && this.at >= this.size) {
        return null;
      }
      bytes = await this.body(await this.further());
    }
    this.at += bytes.length;
    return bytes.length === 0 ? null : bytes;
  }

  private async further(): Promise<Answer> {
    const answer = await this.ask(this.at);
    if (answer.start !== this.at || answer.misplaced || answer.beyond || (this.known && sameVersion(this.known, answer) === false)) {
      await discard(answer.response);
      throw changedFile(this.url);
    }
    return answer;
  }

  private async ask(from: number | null): Promise<Answer> {
    const { headers, retryMs } = this.options;
    for (let attempt = 0; ; attempt++) {
      try {
        const end = from === null ? null : from + PIECE;
        return await ask({ url: this.url, from: from ?? 0, end, headers: headers ?? {}, known: this.known, signal: this.stopping.signal });
      } catch (error) {
        if (this.stopping.signal.aborted) {
          throw aborted();
        }
        const again = error instanceof Passing && (this.known !== null || !("code" in error.error) || error.error.code !== "E_NETWORK");
        if (!again || attempt === 2) {
          throw error instanceof Passing ? error.error : error;
        }
        await new Promise((resolve) => setTimeout(resolve, Math.max(error.waitMs, (retryMs ?? 250) * 2 ** attempt)));
      }
    }
  }

  private async body(answer: Answer): Promise<Bytes> {
    const bytes = new Uint8Array(await answer.response.arrayBuffer());
    this.networkBytes += bytes.length;
    return bytes;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }

  cancel(): void {
    this.stopping.abort();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
