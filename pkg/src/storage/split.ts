/** A split model (`NAME-00001-of-00003.gguf` and so on): its parts one after another, each a source of its own. */
import type { OpenedSource } from "../source.js";
import type { ModelPart, ModelSource } from "../types.js";
import { aborted, unknownSize, wrongUse } from "./faults.js";
import type { DownloadProgress, OpenOptions } from "./options.js";

type Open = (part: ModelPart, options: OpenOptions) => Promise<OpenedSource>;

const PART = /^(.*-)(\d{5})(-of-)(\d{5})(\.gguf)$/;

/** The parts of a split model in order; null for a whole file. The addresses of all are known from that of any. */
export function partsOf(source: ModelSource): readonly ModelPart[] | null {
  if (Array.isArray(source)) {
    return (source as readonly ModelPart[]).toSorted(byNumber);
  }
  return typeof source === "string" || source instanceof URL ? partUrls(source) : null;
}

function partUrls(source: string | URL): string[] | null {
  const url = new URL(source, self.location.href);
  const cut = url.pathname.lastIndexOf("/") + 1;
  const [, stem, number, of, count, end] = PART.exec(url.pathname.slice(cut)) ?? [];
  if (count === undefined || Number(count) < 2 || Number(number) < 1 || Number(number) > Number(count)) {
    return null;
  }
  return Array.from({ length: Number(count) }, (_, i) => {
    const part = new URL(url);
    part.pathname = `${url.pathname.slice(0, cut)}${stem}${String(i + 1).padStart(5, "0")}${of}${count}${end}`;
    return part.href;
  });
}

/** Files come in any order when several are chosen; what has no number stays where it is. */
function byNumber(a: ModelPart, b: ModelPart): number {
  const [x, y] = [a, b].map((part) => (part instanceof File ? PART.exec(part.name)?.[2] : undefined));
  return x !== undefined && y !== undefined ? Number(x) - Number(y) : 0;
}

export class SplitSource implements OpenedSource {
  readonly parts: number[];
  readonly size: number;
  /** Parts that were read and closed. */
  private readonly done = { networkBytes: 0, cachedBytes: 0, size: 0 };
  private closed = false;
  private active = 0;

  private constructor(
    private readonly sources: readonly ModelPart[],
    /** The part that is read, and those behind it as far as their headers are wanted. */
    private current: OpenedSource,
    private headers: OpenedSource[],
    private readonly openPart: (part: ModelPart) => Promise<OpenedSource>,
    private readonly onDownload: OpenOptions["onDownload"],
  ) {
    this.parts = [current, ...headers].map((part, i) => {
      if (part.size === null) {
        throw unknownSize(`part ${i + 1} of the split model`);
      }
      return part.size;
    });
    this.size = this.parts.reduce((sum, part) => sum + part, 0);
  }

  /** Parts are read with `openPart`, one after another; the headers of those behind the first with `openHeader`, before. */
  static async open(sources: readonly ModelPart[], options: OpenOptions, openPart: Open, openHeader: Open): Promise<OpenedSource> {
    const [first, ...others] = sources;
    if (first === undefined) {
      throw wrongUse("the list of parts is empty", "Give the parts of a split model, or one file.");
    }
    if (others.length === 0) {
      return openPart(first, options);
    }
    if (options.sha256 !== undefined) {
      throw wrongUse(`sha256 is the sum of one file, and this model has ${sources.length}`, "Leave sha256 out for a split model.");
    }
    let split: SplitSource | undefined;
    const told = { ...options, onDownload: (progress: DownloadProgress) => split?.tell(progress) };
    const silent = { ...options, onDownload: undefined };
    const opening = await Promise.allSettled([openPart(first, told), ...others.map((part) => openHeader(part, silent))]);
    const opened = opening.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    try {
      const failed = opening.find((one) => one.status === "rejected");
      if (failed) {
        throw failed.reason;
      }
      const [current, ...headers] = opened as [OpenedSource, ...OpenedSource[]];
      split = new SplitSource(sources, current, headers, (part) => openPart(part, told), options.onDownload);
      return split;
    } catch (error) {
      await Promise.all(opened.map((part) => part.close()));
      throw error;
    }
  }

  get networkBytes(): number {
    return this.sum("networkBytes");
  }

  get cachedBytes(): number {
    return this.sum("cachedBytes");
  }

  get cacheFailed(): string | null {
    return this.current.cacheFailed;
  }

  readHeader(part: number, offset: number, length: number): Promise<Uint8Array> {
    const header = this.headers[part - 1];
    if (!header) {
      throw wrongUse(`the header of part ${part + 1} is read after the weights`, "This is a defect of wasm-chord: please report it.");
    }
    return header.read(offset, length);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    while (this.active < this.parts.length - 1 && offset >= this.done.size + this.activeSize) {
      await this.next();
    }
    return this.current.read(offset - this.done.size, length);
  }

  async finish(): Promise<void> {
    while (this.active < this.parts.length - 1) {
      await this.next();
    }
    await this.current.finish();
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([this.current.close(), this.closeHeaders()]);
  }

  private get activeSize(): number {
    return this.parts[this.active] ?? 0;
  }

  /** Weights are read: the headers have been. The part is taken to its end, and the next one opened. */
  private async next(): Promise<void> {
    await this.closeHeaders();
    await this.current.finish();
    const next = this.sources[this.active + 1];
    if (next === undefined || this.closed) {
      throw aborted();
    }
    this.done.networkBytes += this.current.networkBytes;
    this.done.cachedBytes += this.current.cachedBytes;
    this.done.size += this.activeSize;
    this.active += 1;
    this.current = await this.openPart(next);
    if (this.closed) {
      await this.current.close();
      throw aborted();
    }
  }

  private async closeHeaders(): Promise<void> {
    const { headers } = this;
    this.headers = [];
    await Promise.all(
      headers.map((header) => {
        this.done.networkBytes += header.networkBytes;
        return header.close();
      }),
    );
  }

  private sum(what: "networkBytes" | "cachedBytes"): number {
    const headers = what === "networkBytes" ? this.headers : [];
    return [this.current, ...headers].reduce((sum, part) => sum + part[what], this.done[what]);
  }

  private tell({ loaded, cached, bytesPerSecond }: DownloadProgress): void {
    const { size, cachedBytes } = this.done;
    this.onDownload?.({ loaded: size + loaded, total: this.size, cached: cachedBytes + cached, bytesPerSecond });
  }
}
