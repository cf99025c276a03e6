/**
 * An HTTP server for the browser tests.
 *
 *     const server = await startServer({ roots: { "/": "web/dist", "/models/": ".cache/models" } });
 *     const file = server.serve("/big.gguf", { size: 2.5e9, seed: 1, faults: { bytesPerSecond: 1e6 } });
 *     file.faults = { status: 404 };            // takes effect with the next request
 *     server.requests("/big.gguf");             // what was asked for and sent
 *     await server.close();
 *
 * It listens on every address of this machine: `server.url` is http://localhost, `server.otherUrl` another origin (127.0.0.1).
 * Files of the roots are served with Range, ETag and their MIME type. Queries are ignored. No answer may be stored by the browser.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createReadStream, statSync } from "node:fs";
import { extname, join, normalize, resolve, sep } from "node:path";
import type { Served, ServedFile } from "./faults.ts";
import { deliver, type Content } from "./deliver.ts";
import { fileBytes } from "./bytes.ts";

export type { Faults, Served, ServedFile } from "./faults.ts";

export interface TestServer {
  url: string;
  otherUrl: string;
  /** Serves this path; the object stays the caller's to change. */
  serve(path: string, file: ServedFile): ServedFile;
  requests(path: string): Served[];
  /** Forgets what was counted. */
  reset(): void;
  close(): Promise<void>;
}

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".wasm": "application/wasm",
  ".txt": "text/plain; charset=utf-8",
  ".gguf": "application/octet-stream",
};

/** What lets a page's workers share memory. */
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/**
 * `roots`: folder by path prefix (which ends in "/"), the longest prefix wins. `port` 0, the default, takes a free one. `isolated`: its
 * pages are cross-origin isolated.
 */
export async function startServer(options: { roots?: Record<string, string>; port?: number; isolated?: boolean } = {}): Promise<TestServer> {
  const served = new Map<string, ServedFile>();
  const log = new Map<string, Served[]>();
  const roots = Object.entries(options.roots ?? {}).sort((a, b) => b[0].length - a[0].length);

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    const file = served.get(path);
    const content = file ? contentOf(path, file) : contentOnDisk(path, roots);
    const entry: Served = {
      method: request.method ?? "GET",
      range: request.headers.range ?? null,
      ifRange: (request.headers["if-range"] as string | undefined) ?? null,
      authorization: request.headers.authorization ?? null,
      status: 0,
      start: 0,
      bytes: 0,
    };
    log.set(path, [...(log.get(path) ?? []), entry]);
    if (options.isolated && content) {
      Object.assign(content.headers, ISOLATED);
    }
    await deliver(request, response, content, file?.faults ?? {}, entry);
  };

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      // A client that went away is what many tests do on purpose.
      if (!request.destroyed && !response.headersSent) {
        response.writeHead(500, { "Content-Type": "text/plain" }).end(String(error));
      } else {
        response.destroy();
      }
    });
  });
  await new Promise<void>((done) => server.listen(options.port ?? 0, done));
  const port = (server.address() as AddressInfo).port;
  return {
    url: `http://localhost:${port}`,
    otherUrl: `http://127.0.0.1:${port}`,
    serve(path, file) {
      served.set(path, file);
      return file;
    },
    requests: (path) => log.get(path) ?? [],
    reset: () => log.clear(),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function contentOf(path: string, file: ServedFile): Content {
  const type = file.type ?? TYPES[extname(path)] ?? "application/octet-stream";
  const common = {
    type,
    etag: file.etag ?? `"${file.seed ?? 0}-${file.size ?? 0}"`,
    lastModified: file.lastModified ?? "Mon, 02 Mar 2026 08:00:00 GMT",
    headers: { ...file.headers },
  };
  if (file.body !== undefined) {
    const bytes = typeof file.body === "string" ? new TextEncoder().encode(file.body) : file.body;
    const zeros = new Uint8Array(65536);
    const part = (at: number, end: number) => (at < bytes.length ? bytes.subarray(at, end) : zeros.subarray(0, end - at));
    return { ...common, size: file.size ?? bytes.length, chunks: (from, to) => slices(from, to, part, bytes.length) };
  }
  const seed = file.seed ?? 0;
  return { ...common, size: file.size ?? 0, chunks: (from, to) => slices(from, to, (at, end) => fileBytes(seed, at, end - at)) };
}

/** No slice reaches over `seam`. */
async function* slices(from: number, to: number, part: (at: number, end: number) => Uint8Array, seam = 0): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    const end = Math.min(to, at + 65536, at < seam ? seam : Infinity);
    yield part(at, end);
    at = end;
  }
}

function contentOnDisk(path: string, roots: [string, string][]): Content | null {
  const root = roots.find(([prefix]) => path.startsWith(prefix));
  if (!root) {
    return null;
  }
  const folder = resolve(root[1]);
  let name = normalize(join(folder, path.slice(root[0].length)));
  if (name !== folder && !name.startsWith(folder + sep)) {
    return null;
  }
  let stat = statSync(name, { throwIfNoEntry: false });
  if (stat?.isDirectory()) {
    name = join(name, "index.html");
    stat = statSync(name, { throwIfNoEntry: false });
  }
  if (!stat?.isFile()) {
    return null;
  }
  return {
    type: TYPES[extname(name)] ?? "application/octet-stream",
    etag: `"${stat.size.toString(16)}-${Math.floor(stat.mtimeMs).toString(16)}"`,
    lastModified: stat.mtime.toUTCString(),
    headers: {},
    size: stat.size,
    chunks: (from, to) => (to > from ? createReadStream(name, { start: from, end: to - 1 }) : slices(0, 0, () => new Uint8Array())),
  };
}
