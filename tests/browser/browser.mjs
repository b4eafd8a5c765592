/** A browser with one page, and everything that page must never do written down. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';

/** How long anything may take: milliseconds. */
const PATIENCE = 30_000;

/** Not every build of a browser knows every feature that the header may switch off; it says so. */
const FOREIGN = 'Error with Permissions-Policy header: Unrecognized feature';

/**
 * @param {string} executablePath
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function open(executablePath, options = {}) {
  const args = ['--disable-features=WebRtcHideLocalIpsWithMdns'];
  // The browser's sandbox does not work for a superuser.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  const browser = await chromium.launch({ executablePath, args });
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const seen = { complaints: [], requests: [], sockets: [] };
  context.on('request', (request) => seen.requests.push(request.url()));
  watch(page, seen);
  return { browser, page, seen };
}

/**
 * @param {import('playwright-core').Page} page
 * @param {{complaints: string[], requests: string[], sockets: string[]}} seen  What is added to.
 */
function watch(page, seen) {
  page.on('console', (message) => {
    // Violations of the policy are errors on the console, those of the worker too.
    const isComplaint = ['error', 'warning'].includes(message.type()) && !message.text().startsWith(FOREIGN);
    if (isComplaint) seen.complaints.push(message.text());
  });
  page.on('pageerror', (error) => seen.complaints.push(String(error)));
  page.on('websocket', (socket) => seen.sockets.push(socket.url()));
}

/** Another page of the same browser, whose complaints are `seen` as well. */
export async function openBeside(page, seen) {
  const other = await page.context().newPage();
  watch(other, seen);
  return other;
}

/** Whether a heading with these words is there to be seen. */
export async function heading(page, words) {
  await page.getByRole('heading', { name: words }).waitFor();
}

/** Clicks `Save` for every file, and tells what was saved: name, length and SHA-256. */
export async function saveAll(page) {
  const saved = [];
  for (const button of await page.locator('#saved').getByRole('button', { name: /^Save / }).all()) {
    const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
    const content = await readFile(await download.path());
    const sha256 = createHash('sha256').update(content).digest('hex');
    saved.push({ name: download.suggestedFilename(), size: content.length, sha256 });
  }
  return saved;
}
