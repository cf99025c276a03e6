/**
 * Keeps the page for offline use: every file of the build, under one version. Everything else passes by:
 * models are cached by the package itself. It also isolates the page, whatever its host sends: on the processor a model then has threads
 * from the second visit on.
 */
export {};

declare const self: ServiceWorkerGlobalScope;

// Filled in by the build.
const VERSION = "__VERSION__";
const FILES = JSON.parse("__FILES__") as string[];

const PREFIX = "wasm-chord-page-";
const CACHE = PREFIX + VERSION;

async function keep(): Promise<void> {
  const cache = await caches.open(CACHE);
  // Past the HTTP cache: names without a hash may be stale there.
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "no-cache" })));
}

async function dropOlder(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) {
      await caches.delete(name);
    }
  }
  await self.clients.claim();
}

/** The name among FILES that answers this address; null for what is not of the page. */
function fileOf(request: Request): string | null {
  const scope = self.registration.scope;
  const address = request.url.split(/[?#]/, 1)[0] ?? "";
  if (request.method !== "GET" || request.headers.has("range") || !address.startsWith(scope)) {
    return null;
  }
  const name = address.slice(scope.length) || "index.html";
  return FILES.includes(name) ? name : null;
}

async function answer(name: string, request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const response = (await cache.match(name)) ?? (await fetch(request));
  // The others need no header, and a module that is passed on as it is keeps what the browser compiled of it.
  return /\.(html|js)$/.test(name) ? isolated(response) : response;
}

/** The document, or a worker's script, with the headers that let workers share memory. */
function isolated(response: Response): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(response.body, { status, statusText, headers });
}

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(dropOlder()));
self.addEventListener("message", (event) => {
  if (event.data === "activate") {
    void self.skipWaiting();
  }
});
self.addEventListener("fetch", (event) => {
  const name = fileOf(event.request);
  if (name !== null) {
    event.respondWith(answer(name, event.request));
  }
});
