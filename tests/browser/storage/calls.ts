/** What a test asks its worker for, and what comes back. */
import type { DownloadProgress, OpenOptions } from "../../../pkg/src/storage/index.js";

interface MadeUp {
  kind: "blob" | "file" | "array" | "buffer" | "stream";
  seed: number;
  size: number;
  /** Of a file. */
  name?: string;
}

/** An address, a made-up file of this kind, or such parts of a split model. */
export type Source = string | MadeUp | (string | MadeUp)[];

export interface OpenCall {
  op: "open";
  source: Source;
  header?: boolean;
  abortAfterMs?: number;
  options?: Partial<Pick<OpenOptions, "cache" | "sha256" | "headers" | "retryMs" | "stallMs">>;
}

export interface ReadCall {
  op: "read";
  seed: number;
  from?: number;
  to: number;
  step?: number;
  /** Where the part with this seed begins in the source. */
  begin?: number;
  /** Through `readHeader` of this part. */
  part?: number;
}

export type Call =
  | OpenCall
  | ReadCall
  | { op: "finish" | "close" | "abort" | "list" | "files" | "forbidFiles" | "readAhead" }
  | { op: "abortSoon"; ms: number }
  | { op: "delete"; url?: string }
  | { op: "damage"; file: string; at: number }
  /** Keeps a file of the cache open for writing, as a browser without shared handles would. */
  | { op: "hold"; file: string };

export interface Outcome {
  size: number | null;
  networkBytes: number;
  cachedBytes: number;
  cacheFailed: string | null;
  progress: DownloadProgress[];
  value: unknown;
  error: { code: string; message: string; help: string } | null;
}
