// Keeps what the page has loaded, so that it works without a connection.
const CACHE = "larq-dense-VERSION";
const PAGE = ["./", "page.js", "worker.js", "larq-dense.js", "engine.js", "resampling.js",
  "thread.js", "style.css", "engine.wasm", "engine-threads.wasm", "networks.json"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(PAGE)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  const outdated = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(outdated());
});

self.addEventListener("fetch", (event) => {
  const answer = async () => {
    const kept = await caches.match(event.request);
    if (kept) return kept;
    const response = await fetch(event.request);
    if (response.ok && event.request.method === "GET") {
      const cache = await caches.open(CACHE);
      await cache.put(event.request, response.clone());
    }
    return response;
  };
  if (new URL(event.request.url).origin === self.location.origin) event.respondWith(answer());
});
