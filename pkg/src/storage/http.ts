/** One request for bytes of a URL, and what its answer says about them. */
import { httpError, networkError } from "./faults.js";
import type { Identity } from "./journal.js";

/** A failure after which the same request may succeed. */
export class Passing extends Error {
  constructor(
    readonly error: Error,
    /** Least pause that the server asks for, in ms. */
    readonly waitMs: number,
  ) {
    super(error.message);
  }
}

export interface Answer extends Identity {
  response: Response;
  /** Offset in the file of the body's first byte: the one asked for, or 0 where the server sends the whole file. */
  start: number;
  /** The range cannot be had: the file is no longer than where it begins (`size` says how long, where the server told). */
  beyond: boolean;
  /** A 206 whose range is another one than asked for, or is not to be seen: its bytes cannot be placed. */
  misplaced: boolean;
}

export interface Ask {
  url: string;
  from: number;
  /** First byte no longer wanted; null: up to the end. */
  end: number | null;
  headers: Record<string, string>;
  /** What is known of the file; null before the first answer. */
  known: Identity | null;
  signal: AbortSignal;
}

const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_WAIT_MS = 30_000;

/** Throws Passing for what may be tried again, E_HTTP for the rest. */
export async function ask(what: Ask): Promise<Answer> {
  const headers = new Headers(what.headers);
  const ranged = what.from > 0 || what.end !== null;
  if (ranged) {
    headers.set("Range", `bytes=${what.from}-${what.end === null ? "" : what.end - 1}`);
    const validator = ifRange(what.known);
    // To another origin this header would need the server's leave (a preflight); there the answer's own ETag or date is compared.
    if (validator !== null && new URL(what.url).origin === self.location.origin) {
      headers.set("If-Range", validator);
    }
  }
  let response: Response;
  try {
    response = await fetch(what.url, { headers, signal: what.signal, cache: "no-store" });
  } catch (error) {
    throw what.signal.aborted ? error : new Passing(networkError(what.url, error), 0);
  }
  if (!response.ok && response.status !== 416) {
    await discard(response);
    const error = httpError(what.url, response.status);
    throw RETRIED.has(response.status) ? new Passing(error, retryAfter(response)) : error;
  }
  return read(what, response, ranged);
}

async function read(what: Ask, response: Response, ranged: boolean): Promise<Answer> {
  const identity = { etag: response.headers.get("ETag"), lastModified: response.headers.get("Last-Modified") };
  const answer = { ...identity, response, start: 0, size: null, beyond: false, misplaced: false };
  if (response.status === 416) {
    await discard(response);
    const size = /^bytes \*\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "");
    return { ...answer, size: size ? Number(size[1]) : null, beyond: true };
  }
  if (response.status === 206 && ranged) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("Content-Range") ?? "");
    if (range) {
      const size = range[2] === "*" ? (what.known?.size ?? null) : Number(range[2]);
      return { ...answer, start: what.from, size, misplaced: Number(range[1]) !== what.from };
    }
    // Content-Range is hidden from other origins unless the server exposes it: then the length must be the one of the rest.
    const size = what.known?.size ?? null;
    const length = response.headers.get("Content-Length");
    const expected = size === null ? null : Math.min(what.end ?? size, size) - what.from;
    return { ...answer, start: what.from, size, misplaced: expected === null || length === null || Number(length) !== expected };
  }
  const length = response.headers.get("Content-Length");
  const encoding = response.headers.get("Content-Encoding") ?? "identity";
  // Content-Length counts what is transferred: with an encoding it is not the file's length.
  return { ...answer, size: length !== null && encoding === "identity" ? Number(length) : null };
}

/** A validator that If-Range accepts: a strong ETag, else the date. */
function ifRange(known: Identity | null): string | null {
  return known?.etag && !known.etag.startsWith("W/") ? known.etag : (known?.lastModified ?? null);
}

/** Whether the answer is of the same version of the file; null where nothing tells. */
export function sameVersion(known: Identity, answer: Identity): boolean | null {
  if (known.size !== null && answer.size !== null && known.size !== answer.size) {
    return false;
  }
  if (known.etag !== null && answer.etag !== null) {
    return bare(known.etag) === bare(answer.etag);
  }
  if (known.lastModified !== null && answer.lastModified !== null) {
    return known.lastModified === answer.lastModified;
  }
  return null;
}

const bare = (etag: string): string => etag.replace(/^W\//, "");

function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After") ?? 0);
  return Number.isFinite(seconds) ? Math.min(LONGEST_WAIT_MS, Math.max(0, seconds * 1000)) : 0;
}

/** Ends a response whose body nobody wants. */
export async function discard(response: Response): Promise<void> {
  try {
    await response.body?.cancel();
  } catch {
    // It had ended already.
  }
}
