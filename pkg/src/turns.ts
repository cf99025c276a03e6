/** One at a time, in the order of asking. */
import { aborted } from "./errors.js";

/** A queue in front of something that only one request may have. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for the turn; gives what ends it. A signal that fires while waiting gives the place up. */
  async take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) {
      throw aborted(signal.reason);
    }
    const before = this.#last;
    let release = () => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#last = before.then(() => mine);
    let onAbort = () => {};
    const stopped = new Promise<never>((_, reject) => {
      onAbort = () => reject(aborted(signal.reason));
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      await Promise.race([before, stopped]);
      return release;
    } catch (error) {
      release();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
