/** Lost devices, counted: some are accidents, and some would happen again for ever. */

/** So many losses within this time, or with no token between them, are no accident. */
const LOSSES = 3;
const WITHIN_MS = 60_000;

export class Losses {
  /** When devices were lost, of late, in milliseconds. */
  #times: number[] = [];
  /** Losses since the last token, however long ago: loading and a prompt may take minutes. */
  #fruitless = 0;

  /** Counts a loss; says so where there are too many. */
  tooOften(now: number): string | null {
    this.#times = [...this.#times.filter((time) => now - time < WITHIN_MS), now];
    this.#fruitless += 1;
    if (this.#times.length >= LOSSES) {
      return `${LOSSES} times within ${WITHIN_MS / 1000} seconds`;
    }
    return this.#fruitless >= LOSSES ? `${LOSSES} times without a token in between` : null;
  }

  /** A token came that was not there before, or the losses have been reported. */
  progress(): void {
    this.#fruitless = 0;
  }

  /** Another device has taken over. */
  clear(): void {
    this.#times = [];
    this.#fruitless = 0;
  }
}
