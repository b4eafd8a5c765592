/**
 * Receives once and watches what that costs. The only argument is JSON: `{browser, executable, link}`. Prints one line of
 * JSON: `seconds` from consent to the verified file, and by how many bytes the page's processes `grew` meanwhile at most: in
 * Chromium, for Firefox does not say which they are.
 */
import { readFile } from 'node:fs/promises';
import { Browser } from './driver.mjs';

const { browser: kind, executable, link } = JSON.parse(process.argv[2]);
/** Between two looks at its memory: milliseconds. Whoever looks takes time from it. */
const LOOK = 500;

const browser = await Browser.launch(kind, executable);
try {
  const page = await browser.page();
  await page.goto(link);
  await page.shown('#found');
  await page.click('#receive');
  await page.shown('#confirm');
  const ids = kind === 'chromium' ? await browser.pageProcesses() : [];
  const before = await resident(ids);
  const began = performance.now();
  let most = before;
  const watching = setInterval(async () => (most = Math.max(most, await resident(ids))), LOOK);
  await page.click('#accept');
  const end = await page.page.evaluate(ended);
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watching);
  if (end !== '#done') throw new Error(await page.text(end));
  console.log(JSON.stringify({ seconds, grew: most - before }));
} finally {
  await browser.close();
}

/** Which end is shown, once one is. Runs in the page, which is not asked again and again. */
function ended() {
  const ends = ['#done', '#failed'];
  return new Promise((resolve) => {
    const look = () => {
      const end = ends.find((selector) => document.querySelector(selector)?.checkVisibility());
      if (end) resolve(end);
    };
    new MutationObserver(look).observe(document.querySelector('main'), { subtree: true, attributeFilter: ['hidden'] });
    look();
  });
}

/** Bytes of memory that the processes of all pages have resident. @param {number[]} ids */
async function resident(ids) {
  const sizes = await Promise.all(ids.map(residentOf));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** @param {number} id  Of a process, which may be gone. */
async function residentOf(id) {
  const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}
