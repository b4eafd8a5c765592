/**
 * The page when its server is away: the files that it begins with, as they were when this script was new. The network always
 * comes first, so this never holds an update back; and nothing else is ever kept, least of all what is received.
 */

/** The server writes its own version here. */
const VERSION = 'unversioned';
/** Where everything lies but what is beside this script; nowhere else on a host that knows no versions. */
const PLACE = /^[0-9a-f]+$/.test(VERSION) ? `~${VERSION}/` : '';
const NAME = 'send-shell-';
const KEPT = NAME + VERSION;
const FILES = [
  'app.js',
  'engine.js',
  'engine.worker.js',
  'failures.js',
  'left.js',
  'locales/de.json',
  'locales/en.json',
  'locales/es.json',
  'locales/fr.json',
  'locales/ja.json',
  'locales/zh-Hans.json',
  'screen.js',
  'style.css',
  'text.js',
  'wire/wire.js',
  'wire/wire_bg.wasm',
];
/** Names below the place of this script. */
const SHELL = new Set(['', 'manifest.webmanifest', 'icon-192.png', 'icon.svg', ...FILES.map((file) => PLACE + file)]);
const root = new URL('.', self.location.href).href;

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(keepAll());
});

self.addEventListener('activate', (event) => event.waitUntil(forgetOthers().then(() => self.clients.claim())));

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
 * @param {Request} request
 * @param {string} name
 */
async function load(request, name) {
  try {
    return await fetch(request);
  } catch (error) {
    const kept = await (await caches.open(KEPT)).match(root + name);
    if (kept) return kept;
    throw error;
  }
}

/** All of one version or nothing. The names are the shell's own: the address of a visit may have a secret at its end. */
async function keepAll() {
  const shell = await caches.open(KEPT);
  await shell.addAll([...SHELL].map((name) => root + name));
}

async function forgetOthers() {
  const names = (await caches.keys()).filter((name) => name.startsWith(NAME) && name !== KEPT);
  await Promise.all(names.map((name) => caches.delete(name)));
}
