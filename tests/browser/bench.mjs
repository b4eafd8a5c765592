/**
 * Receives once and watches what that costs. The only argument is JSON: `{browser, executable, link}`. Prints one line of
 * JSON: `seconds` from consent to the verified file, and by how many bytes the page's process `grew` meanwhile at most: in
 * Chromium, for Firefox does not say which it is. It is the one that worked most; the others are the browser's own pages, which it
 * still makes when the transfer begins.
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
  const before = kind === 'chromium' ? await browser.pageProcesses() : new Map();
  const ids = [...before.keys()];
  const sizes = await resident(ids);
  const most = [...sizes];
  const began = performance.now();
  const watching = setInterval(async () => (await resident(ids)).forEach((size, index) => (most[index] = Math.max(most[index], size))), LOOK);
  await page.click('#accept');
  const end = await page.page.evaluate(ended);
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watching);
  if (end !== '#done') throw new Error(await page.text(end));
  const after = kind === 'chromium' ? await browser.pageProcesses() : new Map();
  const worked = ids.map((id) => (after.get(id) ?? 0) - before.get(id));
  const own = worked.indexOf(Math.max(...worked));
  console.log(JSON.stringify({ seconds, grew: own < 0 ? 0 : most[own] - sizes[own] }));
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

/** Bytes of memory that each of these processes has resident. @param {number[]} ids */
function resident(ids) {
  return Promise.all(ids.map(residentOf));
}

/** @param {number} id  Of a process, which may be gone. */
async function residentOf(id) {
  const status = await readFile(`/proc/${id}/status`, 'utf8').catch(() => '');
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
}
