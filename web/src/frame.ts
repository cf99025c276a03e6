/** A hidden page gets no animation frames: work must not wait for them longer than this. */
const HIDDEN_MS = 250;

/** Work that runs at most once an animation frame, however often it is asked for. */
export class PerFrame {
  readonly #work: () => void;
  #frame = 0;
  #timer = 0;

  constructor(work: () => void) {
    this.#work = work;
  }

  ask(): void {
    if (this.#frame !== 0) {
      return;
    }
    this.#frame = requestAnimationFrame(() => this.now());
    this.#timer = setTimeout(() => this.now(), HIDDEN_MS);
  }

  /** Runs it at once, in place of the frame that was asked for. */
  now(): void {
    this.cancel();
    this.#work();
  }

  cancel(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = 0;
  }
}
