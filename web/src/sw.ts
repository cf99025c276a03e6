/**
 * Keeps the page for offline use: every file of the build, under one version. Everything else passes by:
 * models are cached by the package itself.
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
  return (await cache.match(name)) ?? fetch(request);
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
