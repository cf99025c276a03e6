/** What a served file is, and how its delivery goes wrong. A test keeps the object and changes it between loads. */

export interface Faults {
  /** Offsets in the file at which the connection breaks, each once. */
  cuts?: number[];
  /** Every response breaks after so many bytes of its body. */
  cutEvery?: number;
  /** The response stops at this offset and stays open without a byte more, once. */
  stallAt?: number;
  bytesPerSecond?: number;
  /** Range is ignored: always 200 and the whole file. */
  noRange?: boolean;
  /** 200 with Content-Encoding: gzip, Range ignored. */
  gzip?: boolean;
  /** This status instead of the file, so many times (default: always). */
  status?: number;
  statusTimes?: number;
  /** No Access-Control-Allow-Origin. */
  noCors?: boolean;
  /** Content-Range and ETag are not exposed to other origins. */
  hideHeaders?: boolean;
  /** Neither ETag nor Last-Modified. */
  noValidators?: boolean;
  /** Added to the size that Content-Length and Content-Range announce; the connection ends after the bytes there are. */
  announceMore?: number;
  /** A 206 begins so many bytes after the one asked for. */
  rangeShift?: number;
}

export interface ServedFile {
  /** Bytes, where they are made up from `seed`. */
  size?: number;
  seed?: number;
  /** Or the bytes themselves; with `size`, zeros follow them. */
  body?: string | Uint8Array;
  type?: string;
  etag?: string;
  /** An HTTP date. */
  lastModified?: string;
  headers?: Record<string, string>;
  faults?: Faults;
}

/** One request as it was answered. */
export interface Served {
  method: string;
  range: string | null;
  ifRange: string | null;
  authorization: string | null;
  status: number;
  /** First byte of the file in the body, and how many bytes of the body were sent. */
  start: number;
  bytes: number;
}
