/**
 * How much a first visit loads, and what is there without the server. The only argument is JSON: `{browser, address,
 * code}` with a code of a sender that waits. Prints one line of JSON: what was loaded, and the problems.
 */
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { heading, open } from './browser.mjs';

const { browser: executable, address: server, code } = JSON.parse(process.argv[2]);
/** Of a first visit, the module of the protocol included. */
const MAX_REQUESTS = 12;
/** What the page weighs without the protocol: bytes, compressed. */
const MAX_SIZE = 24_000;

/** What the browser goes through to the server, so that the server can go away. */
const sockets = new Set();
const way = createServer((near) => {
  const far = connect(Number(new URL(server).port), new URL(server).hostname);
  for (const [from, to] of [[near, far], [far, near]]) {
    sockets.add(from);
    from.pipe(to).on('error', () => {});
    from.on('error', () => to.destroy()).on('close', () => sockets.delete(from));
  }
});
await new Promise((listening) => way.listen(0, 'localhost', () => listening()));
const address = `http://localhost:${way.address().port}/`;

const problems = [];
const loaded = [];
const { browser, page, seen } = await open(executable, { locale: 'de-DE' });
page.context().on('response', async (response) => {
  loaded.push(response.body().then((body) => ({ name: response.url().slice(address.length), size: gzipSync(body, { level: 9 }).length })));
});

await page.goto(address, { waitUntil: 'networkidle' });
await heading(page, 'Dateien empfangen');
const files = await Promise.all(loaded);
const size = files.filter(({ name }) => !name.startsWith('wire/')).reduce((sum, file) => sum + file.size, 0);
if (files.length > MAX_REQUESTS) problems.push(`${files.length} requests`);
if (size > MAX_SIZE) problems.push(`${size} bytes`);

// Whoever received something once has the page when the server is away, and not before.
const registered = () => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length);
assert.equal(await registered(), 0, 'a visit leaves nothing behind');
await page.locator('#code').fill(code);
await page.locator('#code-form button').click();
await page.locator('#accept').click();
await heading(page, 'Empfangen und geprüft');
await page.evaluate(() => navigator.serviceWorker.ready);
await page.locator('#saved button').first().click();
await page.goto(`${address}#secret`);
const kept = await page.evaluate(async () => {
  const requests = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
  return requests.flat().map(({ url }) => url);
});
const names = files.map(({ name }) => name);
for (const name of names) if (!kept.includes(address + name)) problems.push(`not there without the server: ${name}`);
for (const url of kept) if (/[?#]/.test(url) || !url.startsWith(address)) problems.push(`must not be kept: ${url}`);

way.close();
for (const socket of sockets) socket.destroy();
await page.goto('about:blank');
await page.goto(address);
await heading(page, 'Dateien empfangen');
// Whatever is answered now, the service worker answers.
const asked = [names.find((name) => name.endsWith('app.js')), 'healthz', 'v1/socket', '_dl/0123456789abcdef', 'x.html'];
const answered = await page.evaluate(async (names) => {
  const answers = await Promise.allSettled(names.map((name) => fetch(name)));
  const posted = await fetch('', { method: 'POST' }).then(() => ['POST'], () => []);
  return [...names.filter((_, index) => answers[index].status === 'fulfilled'), ...posted];
}, asked);
assert.deepEqual(answered, asked.slice(0, 1), 'the shell, and nothing else');
await page.locator('#code').fill('48-2093');
await page.locator('#code-form button').click();
await heading(page, 'Der Server ist nicht erreichbar');
await page.locator('#other-code').click();
await page.context().setOffline(true);
await page.locator('#offline:not(:empty)').waitFor();
await page.context().setOffline(false);
await page.locator('#offline').waitFor({ state: 'hidden' });
await browser.close();
const isOfNetwork = (text) => /ERR_(CONNECTION|INTERNET|EMPTY)|Failed to fetch/.test(text);
problems.push(...seen.complaints.filter((text) => !isOfNetwork(text)));
console.log(JSON.stringify({ requests: files, size, problems }));
