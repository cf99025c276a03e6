/** Progress of a download, at most ten times a second, with its speed over the last seconds. */
import type { DownloadProgress, Feed } from "./options.js";

type Counted = Pick<Feed, "size" | "networkBytes" | "cachedBytes">;

const EVERY_MS = 100;
const WINDOW_MS = 3000;

export class Meter {
  private readonly samples: { at: number; bytes: number }[] = [];
  private reported = -Infinity;

  constructor(
    private readonly of: Counted,
    private readonly tell: ((progress: DownloadProgress) => void) | undefined,
  ) {}

  /** `last`: tell in any case. */
  report(loaded: number, last: boolean): void {
    const now = performance.now();
    if (!this.tell || (!last && now - this.reported < EVERY_MS)) {
      return;
    }
    this.reported = now;
    this.samples.push({ at: now, bytes: this.of.networkBytes });
    while (this.samples.length > 2 && now - (this.samples[0]?.at ?? now) > WINDOW_MS) {
      this.samples.shift();
    }
    this.tell({ loaded, total: this.of.size, cached: this.of.cachedBytes, bytesPerSecond: this.speed() });
  }

  private speed(): number {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return first && last && last.at > first.at ? ((last.bytes - first.bytes) / (last.at - first.at)) * 1000 : 0;
  }
}
