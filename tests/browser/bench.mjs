/**
 * Receives once and watches what that costs. The only argument is JSON: `{browser, executable, link}`. Prints one line of
 * JSON: `seconds` from consent to the verified file, and by how many bytes the page's processes `grew` meanwhile at most: in
 * Chromium, for Firefox does not say which they are.
 */
import { readFile } from 'node:fs/promises';
import { Browser } from './driver.mjs';

const { browser: kind, executable, link } = JSON.parse(process.argv[2]);
/** Between two looks: milliseconds. */
const LOOK = 100;

const browser = await Browser.launch(kind, executable);
try {
  const page = await browser.page();
  await page.goto(link);
  await page.shown('#found');
  await page.click('#receive');
  await page.shown('#confirm');
  const before = await resident();
  const began = performance.now();
  let most = before;
  const watching = setInterval(async () => (most = Math.max(most, await resident())), LOOK);
  await page.click('#accept');
  const end = await page.shown('#done', '#failed');
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watching);
  if (end !== '#done') throw new Error(await page.text(end));
  console.log(JSON.stringify({ seconds, grew: most - before }));
} finally {
  await browser.close();
}

/** Bytes of memory that the processes of all pages have resident. */
async function resident() {
  if (kind !== 'chromium') return 0;
  const sizes = await Promise.all((await browser.pageProcesses()).map(residentOf));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** @param {number} id  Of a process, which may be gone. */
async function residentOf(id) {
  const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}
