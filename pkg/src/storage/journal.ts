/**
 * The journal of a cache entry: lines of JSON, each appended once what it says is on the disk. A crash can tear the last line only,
 * and that line is then ignored.
 *
 *     {"version":2,"url":…,"size":…|null,"etag":…|null,"lastModified":…|null,"piece":1048576}
 *     {"at":0,"checksums":"<16 hexadecimal digits, XXH64, for each piece from `at` on>"}
 *     {"complete":true,"size":…,"sha256":…}
 */
import { CHECKSUM_DIGITS as DIGITS } from "./hash.js";
import { PIECE } from "./options.js";

const VERSION = 2;

/** What tells one version of a file on the server from another. */
export interface Identity {
  size: number | null;
  etag: string | null;
  lastModified: string | null;
}

export interface Journal extends Identity {
  url: string;
  /** By piece; undefined where it is missing. */
  checksums: (string | undefined)[];
  complete: boolean;
  sha256: string | null;
  /** Bytes of the journal up to the last good line. */
  length: number;
}

export function firstLine(url: string, identity: Identity): string {
  return line({ version: VERSION, url, size: identity.size, etag: identity.etag, lastModified: identity.lastModified, piece: PIECE });
}

export function checksumsLine(at: number, checksums: string[]): string {
  return line({ at, checksums: checksums.join("") });
}

export function completeLine(size: number, sha256: string | null): string {
  return line({ complete: true, size, sha256 });
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** Null where the first line is missing, torn or of another version: then nothing in the entry is of use. */
export function parseJournal(bytes: Uint8Array): Journal | null {
  const decoder = new TextDecoder();
  let journal: Journal | null = null;
  for (let from = 0; ; ) {
    const end = bytes.indexOf(10, from);
    if (end < 0) {
      return journal;
    }
    const fields = objectOf(decoder.decode(bytes.subarray(from, end)));
    from = end + 1;
    if (!journal) {
      journal = fields && begin(fields);
      if (!journal) {
        return null;
      }
    } else if (!fields || !apply(journal, fields)) {
      return journal;
    }
    journal.length = from;
  }
}

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function begin(fields: Record<string, unknown>): Journal | null {
  if (fields.version !== VERSION || fields.piece !== PIECE || typeof fields.url !== "string") {
    return null;
  }
  return {
    url: fields.url,
    size: typeof fields.size === "number" ? fields.size : null,
    etag: typeof fields.etag === "string" ? fields.etag : null,
    lastModified: typeof fields.lastModified === "string" ? fields.lastModified : null,
    checksums: [],
    complete: false,
    sha256: null,
    length: 0,
  };
}

function apply(journal: Journal, fields: Record<string, unknown>): boolean {
  if (fields.complete === true && typeof fields.size === "number") {
    journal.complete = true;
    journal.size = fields.size;
    journal.sha256 = typeof fields.sha256 === "string" ? fields.sha256 : null;
    return true;
  }
  if (typeof fields.at !== "number" || typeof fields.checksums !== "string" || fields.checksums.length % DIGITS !== 0) {
    return false;
  }
  for (let i = 0; i < fields.checksums.length / DIGITS; i++) {
    journal.checksums[fields.at + i] = fields.checksums.slice(i * DIGITS, (i + 1) * DIGITS);
  }
  return true;
}

/** Index of the first piece that is not there. */
export function firstMissing(checksums: (string | undefined)[]): number {
  let index = 0;
  while (checksums[index] !== undefined) {
    index++;
  }
  return index;
}

/** Bytes of the pieces that are there. */
export function bytesKept(journal: Journal): number {
  let kept = 0;
  journal.checksums.forEach((checksum, index) => {
    const end = (index + 1) * PIECE;
    kept += checksum === undefined ? 0 : Math.min(end, journal.size ?? end) - index * PIECE;
  });
  return kept;
}
