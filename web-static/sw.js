/**
 * The page when its server is away: the files that it begins with, as they were last loaded. The network always comes
 * first, so this never holds an update back; and nothing else is ever kept, least of all what is received.
 */

const KEPT = 'send-shell';
/** Names below the place of this script. */
const SHELL = new Set([
  '',
  'app.js',
  'engine.js',
  'engine.worker.js',
  'failures.js',
  'icon-192.png',
  'icon.svg',
  'locales/de.json',
  'locales/en.json',
  'locales/es.json',
  'locales/fr.json',
  'locales/ja.json',
  'locales/zh-Hans.json',
  'manifest.webmanifest',
  'screen.js',
  'spool.js',
  'style.css',
  'text.js',
  'wire/wire.js',
  'wire/wire_bg.wasm',
]);
const root = new URL('.', self.location.href).href;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(Promise.all([...SHELL].map((name) => load(root + name, name))));
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const name = nameOf(event.request);
  // Whatever is not of the shell is none of this script's business.
  if (name !== undefined) event.respondWith(load(event.request, name));
});

/**
 * @param {Request} request
 * @returns {string | undefined}  Nothing if it is not for a file of the shell.
 */
function nameOf({ method, url }) {
  const { href } = new URL(url.split(/[?#]/)[0]);
  const name = href.slice(root.length);
  return method === 'GET' && href.startsWith(root) && SHELL.has(name) ? name : undefined;
}

/**
 * @param {RequestInfo} request
 * @param {string} name
 */
async function load(request, name) {
  const shell = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok && !response.redirected) await keep(shell, name, response.clone());
    return response;
  } catch (error) {
    const kept = await shell.match(root + name);
    if (kept) return kept;
    throw error;
  }
}

/**
 * Keeps what it says under its own name: the address of a visit may have the secret of a link at its end.
 *
 * @param {Cache} shell
 * @param {string} name
 * @param {Response} response
 */
async function keep(shell, name, { body, headers }) {
  // A disk that is full is no reason not to show the page.
  await shell.put(root + name, new Response(body, { headers })).catch(() => {});
}
