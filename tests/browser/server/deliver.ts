/** One answer: status and headers as the faults want them, then the body with its cuts and its pace. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createGzip } from "node:zlib";
import type { Faults, Served } from "./faults.ts";

export interface Content {
  size: number;
  type: string;
  etag: string;
  lastModified: string;
  headers: Record<string, string>;
  chunks(from: number, to: number): AsyncIterable<Uint8Array>;
}

export async function deliver(request: IncomingMessage, response: ServerResponse, content: Content | null, faults: Faults, entry: Served): Promise<void> {
  const headers = cors(faults);
  if (request.method === "OPTIONS") {
    entry.status = 204;
    response.writeHead(204, { ...headers, "Access-Control-Allow-Headers": "*, Authorization", "Access-Control-Allow-Methods": "GET, HEAD" }).end();
    return;
  }
  if (!content || refusal(faults)) {
    entry.status = content && faults.status ? faults.status : 404;
    response.writeHead(entry.status, { ...headers, "Content-Type": "text/plain", "Retry-After": "0" }).end(`status ${entry.status}\n`);
    return;
  }
  Object.assign(headers, content.headers, { "Content-Type": content.type, "Cache-Control": "no-store" });
  if (!faults.noValidators) {
    Object.assign(headers, { ETag: content.etag, "Last-Modified": content.lastModified });
  }
  if (faults.gzip) {
    await compressed(request, response, content, headers, entry);
    return;
  }
  const range = faults.noRange ? null : wanted(request, content);
  const announced = content.size + (faults.announceMore ?? 0);
  if (range && range.from >= content.size) {
    entry.status = 416;
    response.writeHead(416, { ...headers, "Content-Range": `bytes */${content.size}` }).end();
    return;
  }
  const from = range ? range.from + (faults.rangeShift ?? 0) : 0;
  const to = range ? Math.min(range.to, content.size) : content.size;
  // A range up to the end is announced as if the file had the announced size.
  const length = (to === content.size ? announced : to) - from;
  headers["Content-Length"] = String(length);
  if (!faults.noRange) {
    headers["Accept-Ranges"] = "bytes";
  }
  if (range) {
    headers["Content-Range"] = `bytes ${from}-${from + length - 1}/${announced}`;
  }
  entry.status = range ? 206 : 200;
  entry.start = from;
  response.writeHead(entry.status, headers).flushHeaders();
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  await body(response, content, from, to, faults, entry);
}

function cors(faults: Faults): Record<string, string> {
  if (faults.noCors) {
    return {};
  }
  const exposed: Record<string, string> = faults.hideHeaders ? {} : { "Access-Control-Expose-Headers": "ETag, Content-Range, Accept-Ranges, Content-Encoding" };
  return { "Access-Control-Allow-Origin": "*", ...exposed };
}

function refusal(faults: Faults): boolean {
  if (!faults.status) {
    return false;
  }
  if (faults.statusTimes === undefined) {
    return true;
  }
  faults.statusTimes -= 1;
  return faults.statusTimes >= 0;
}

/** The range to send, null for the whole file. An If-Range that does not hold makes it the whole file. */
function wanted(request: IncomingMessage, content: Content): { from: number; to: number } | null {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const ifRange = request.headers["if-range"];
  if (!match || (ifRange !== undefined && ifRange !== content.etag && ifRange !== content.lastModified)) {
    return null;
  }
  return { from: Number(match[1]), to: match[2] ? Number(match[2]) + 1 : content.size };
}

async function compressed(request: IncomingMessage, response: ServerResponse, content: Content, headers: Record<string, string>, entry: Served): Promise<void> {
  const gzip = createGzip({ level: 1 });
  entry.status = 200;
  response.writeHead(200, { ...headers, "Content-Encoding": "gzip" });
  gzip.pipe(response);
  request.on("close", () => gzip.destroy());
  for await (const chunk of content.chunks(0, content.size)) {
    entry.bytes += chunk.length;
    if (!gzip.write(chunk)) {
      await once(gzip, "drain");
    }
  }
  gzip.end();
}

async function body(response: ServerResponse, content: Content, from: number, to: number, faults: Faults, entry: Served): Promise<void> {
  const started = performance.now();
  const stop = stopping(faults, from, to);
  for await (const chunk of content.chunks(from, stop?.at ?? to)) {
    if (response.destroyed) {
      return;
    }
    if (!response.write(chunk)) {
      await drained(response);
    }
    if (response.destroyed) {
      return;
    }
    entry.bytes += chunk.length;
    if (faults.bytesPerSecond) {
      const due = (entry.bytes / faults.bytesPerSecond) * 1000 - (performance.now() - started);
      await sleep(Math.max(0, due));
    }
  }
  if (stop?.stall) {
    return;
  }
  if (stop || faults.announceMore) {
    // What was written goes out before the connection ends, so that the client got every byte up to the cut.
    response.socket?.end();
    return;
  }
  response.end();
}

/** Until the client took enough, or went away. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** Where this response ends early; a one-time cut or stall is used up. */
function stopping(faults: Faults, from: number, to: number): { at: number; stall: boolean } | null {
  const cut = faults.cuts?.filter((at) => at >= from && at < to).sort((a, b) => a - b)[0];
  if (cut !== undefined) {
    faults.cuts = faults.cuts?.filter((at) => at !== cut);
    return { at: cut, stall: false };
  }
  if (faults.stallAt !== undefined && faults.stallAt >= from && faults.stallAt < to) {
    const at = faults.stallAt;
    delete faults.stallAt;
    return { at, stall: true };
  }
  if (faults.cutEvery !== undefined && from + faults.cutEvery < to) {
    return { at: from + faults.cutEvery, stall: false };
  }
  return null;
}
