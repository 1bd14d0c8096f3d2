// Keeps the files of the page, and nothing else: FILES and VERSION are written by the build.

const CACHE = `minixception-${VERSION}`;
const isOurs = (url) => FILES.includes(url.slice(self.registration.scope.length).split(/[?#]/)[0]);

self.addEventListener("install", (event) => {
  const first = FILES.filter((name) => !LATER.some((end) => name.endsWith(end)));
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(first.map((name) => new Request(name || "./", { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const forget = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("minixception-") && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
  };
  event.waitUntil(forget());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !isOurs(event.request.url)) return;
  const answer = async () => {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (kept) return kept;
    const response = await fetch(event.request);
    if (response.ok) await cache.put(event.request, response.clone());
    return response;
  };
  event.respondWith(answer());
});
