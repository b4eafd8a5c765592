/**
 * Receives in two tabs of one browser at once, and opens the link of the first in a third. The only argument is JSON:
 * `{kind, executable, links}` with two links. Prints one line of JSON: what became of each transfer, what the third tab said,
 * and how the first was then.
 */
import { Browser } from './driver.mjs';

const { kind, executable, links } = JSON.parse(process.argv[2]);
/** What a visit of long ago has left, which the next one deletes. */
const LEFT_BEHIND = 'send-1-left-behind';

const browser = await Browser.launch(kind, executable);
const told = {};
const seen = [];

/** A new tab with this link. */
async function open(link) {
  const page = await browser.page();
  seen.push(page);
  await page.goto(link);
  await page.shown('#found');
  return page;
}

/** Accepts what a tab was asked about. */
async function accept(page) {
  await page.shown('#confirm');
  await page.click('#accept');
}

/** Starts the worker of a tab, and lets it believe that it is 1970: what it stores looks as if it was left behind. */
async function startInThePast(page) {
  await page.page.$eval('#code', (input) => input.dispatchEvent(new Event('input')));
  const worker = await page.worker();
  await worker.evaluate(() => (Date.now = () => 2));
}

/** The names that the origin has stored something under. */
function stored({ page }) {
  return page.evaluate(async () => {
    const names = [];
    for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
    return names;
  });
}

async function end(page) {
  const saved = (await page.shown('#done', '#failed')) === '#done' ? await page.saveAll() : [];
  return { title: await page.title(), saved };
}

try {
  const second = await open(links[1]);
  await second.click('#receive');
  await second.shown('#confirm');

  const first = await open(links[0]);
  if (kind === 'chromium') await startInThePast(first);
  await first.click('#receive');
  await accept(first);
  await first.shown('#speed:not(:empty)');
  await accept(second);
  await first.page.evaluate(async (name) => (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true }), LEFT_BEHIND);

  const third = await open(links[0]);
  await third.click('#receive');
  await third.shown('#failed');
  told.again = { title: await third.title(), text: await third.text('#failed-text') };
  const isGone = (name) => navigator.storage.getDirectory().then((root) => root.getDirectoryHandle(name)).then(() => false, () => true);
  await third.until(isGone, LEFT_BEHIND);
  told.kept = await stored(third);
  told.meanwhile = [await first.title(), await second.title()];

  told.ends = [await end(first), await end(second)];
  for (const page of seen) page.seen.complaints.push(...(await page.violations()));
} catch (error) {
  told.error = String(error);
  told.titles = await Promise.all(seen.map((page) => page.title().catch(String)));
}
told.complaints = seen.flatMap((page) => page.seen.complaints);
console.log(JSON.stringify(told));
await browser.close();
