/** A streamed answer: an async iterator that is fed from events. */

/** Chunks of a running request. It is read once; leaving the loop early stops the request. */
export interface ChunkStream<T> extends AsyncIterableIterator<T, undefined> {
  /** Stops the request; the iteration is over, without an error. */
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): ChunkStream<T>;
}

interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

const DONE = { done: true, value: undefined } as const;

/** The feeding side of a `ChunkStream`. What is pushed before somebody reads is kept. */
export class ChunkQueue<T> implements ChunkStream<T> {
  readonly #chunks: T[] = [];
  readonly #waiting: Waiting<T>[] = [];
  readonly #stop: () => void;
  #over = false;
  #error: { thrown: unknown } | null = null;

  /** `stop` is called when the reader leaves before the end. */
  constructor(stop: () => void) {
    this.#stop = stop;
  }

  push(chunks: T[]): void {
    if (this.#over) {
      return;
    }
    for (const value of chunks) {
      const reader = this.#waiting.shift();
      if (reader) {
        reader.resolve({ done: false, value });
      } else {
        this.#chunks.push(value);
      }
    }
  }

  end(): void {
    this.#over = true;
    for (const reader of this.#waiting.splice(0)) {
      reader.resolve(DONE);
    }
  }

  /** Ends with an error, thrown once: after the chunks that are still unread, or at once instead of them. */
  fail(error: unknown, atOnce: boolean): void {
    if (this.#over) {
      return;
    }
    this.#over = true;
    if (atOnce) {
      this.#chunks.length = 0;
    }
    const [first, ...others] = this.#waiting.splice(0);
    if (first) {
      first.reject(error);
    } else {
      this.#error = { thrown: error };
    }
    for (const reader of others) {
      reader.resolve(DONE);
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#chunks.length > 0) {
      return Promise.resolve({ done: false, value: this.#chunks.shift() as T });
    }
    if (this.#error) {
      const { thrown } = this.#error;
      this.#error = null;
      return Promise.reject(thrown);
    }
    if (this.#over) {
      return Promise.resolve(DONE);
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#chunks.length = 0;
    this.#error = null;
    if (!this.#over) {
      this.end();
      this.#stop();
    }
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
