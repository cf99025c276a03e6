/** The pieces of a ReadableStream, which is read once and whose size shows at its end. */
import { unreadable, wrongUse } from "./faults.js";
import { PIECE, type Bytes, type Feed } from "./options.js";

export class StreamFeed implements Feed {
  size: number | null = null;
  readonly networkBytes = 0;
  readonly cachedBytes = 0;
  readonly cacheFailed = null;
  readonly unproven = true;
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private chunk: Uint8Array = new Uint8Array();
  private at = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    if (stream.locked) {
      throw wrongUse("the stream is being read already", "Give a stream that nobody has taken a reader of.");
    }
    this.reader = stream.getReader();
  }

  async next(): Promise<Bytes | null> {
    const bytes = new Uint8Array(PIECE);
    let filled = 0;
    while (filled < PIECE && (this.chunk.length > 0 || (await this.pull()))) {
      const part = this.chunk.subarray(0, PIECE - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.chunk = this.chunk.subarray(part.length);
    }
    this.at += filled;
    if (filled < PIECE) {
      this.size = this.at;
    }
    return filled === 0 ? null : bytes.slice(0, filled);
  }

  private async pull(): Promise<boolean> {
    let result: ReadableStreamReadResult<Uint8Array>;
    try {
      result = await this.reader.read();
    } catch (error) {
      throw unreadable("the stream", error);
    }
    if (!result.done && !(result.value instanceof Uint8Array)) {
      throw wrongUse("the stream carries something else than Uint8Array", "Give a stream of bytes, such as the body of a Response.");
    }
    this.chunk = result.value ?? new Uint8Array();
    return !result.done;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }

  cancel(): void {
    this.reader.cancel().catch(() => undefined);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
