/**
 * Shows the page inside a page of somebody else, as a server sends it and as a host does that sends no headers. The only
 * argument is JSON: `{kind, executable, address}` with the page of the server. Prints one line of JSON: what each of them
 * loaded and showed there, and of the host without headers what it showed by itself.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { Browser } from './driver.mjs';

const { kind, executable, address } = JSON.parse(process.argv[2]);
const PAGE = new URL('../../web-static/', import.meta.url);
/** What a browser insists on. */
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** How long it may take until something is so inside a frame, and how long between two looks: milliseconds. */
const PATIENCE = 30_000;
const LOOK = 50;

/** Who was named as having led to a file of the host. */
const referrers = [];

/** A server on a port of its own; gives its address. */
async function serve(answer) {
  const server = createServer(answer);
  await new Promise((listening) => server.listen(0, 'localhost', () => listening()));
  return { server, address: `http://localhost:${server.address().port}/` };
}

/** The files as they are, as any host sends them. */
async function answerFile(request, response) {
  const name = new URL(request.url, 'http://host').pathname.slice(1) || 'index.html';
  if (request.headers.referer) referrers.push(`${name}: ${request.headers.referer}`);
  try {
    const content = await readFile(new URL(name, PAGE));
    response.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream' }).end(content);
  } catch {
    response.writeHead(404).end();
  }
}

/** A page with another one in it. Its own address says which. */
function answerFrame(request, response) {
  const inside = new URL(request.url, 'http://host').searchParams.get('inside');
  const page = `<!doctype html><title>outside</title><link rel="icon" href="data:,">
    <iframe src="${inside}" width="800" height="600" onload="window.isLoaded = true"></iframe>`;
  response.writeHead(200, { 'Content-Type': 'text/html' }).end(page);
}

/** Opens a page with `inside` in it, once that has loaded or was refused. */
async function frame(inside) {
  const page = await browser.page();
  await page.goto(`${outside.address}?inside=${encodeURIComponent(inside)}`);
  await page.page.waitForFunction('window.isLoaded');
  return page;
}

/** Waits until it is so inside a frame. A driver that compiles what it waits for there would break the page's policy. */
async function until(frame, isSo) {
  const end = Date.now() + PATIENCE;
  while (!(await frame.evaluate(isSo))) {
    if (Date.now() > end) throw new Error(`not so in ${frame.url()}: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

const browser = await Browser.launch(kind, executable);
const outside = await serve(answerFrame);
const host = await serve(answerFile);
const told = {};
try {
  const alone = await browser.page();
  await alone.goto(host.address);
  await alone.shown('#enter');
  told.alone = { heading: await alone.text('#enter h1'), complaints: alone.seen.complaints, referrers: [...referrers] };

  const refused = await frame(address);
  told.refused = refused.seen.requests.filter((request) => request.startsWith(address));

  const shown = await frame(`${host.address}#1.secret`);
  const inner = shown.page.frames().find((each) => each.url().startsWith(host.address));
  await until(inner, () => document.documentElement.lang && document.title.startsWith('Open this page by itself'));
  // Whoever frames a page can lead it to another link.
  await inner.evaluate(() => window.addEventListener('hashchange', () => (window.hasChanged = true)));
  await shown.page.$eval('iframe', (element, link) => (element.src = link), `${host.address}#1.another`);
  await until(inner, () => window.hasChanged);
  told.shown = await inner.evaluate(() => {
    const isSeen = (part) => part.checkVisibility();
    const controls = [...document.querySelectorAll('button, input, a, select option')].filter(isSeen);
    return {
      heading: [...document.querySelectorAll('h1')].filter(isSeen).map((heading) => heading.textContent),
      controls: controls.map((control) => control.outerHTML),
    };
  });
} catch (error) {
  told.error = String(error);
}
console.log(JSON.stringify(told));
await browser.close();
for (const { server } of [outside, host]) server.close();
