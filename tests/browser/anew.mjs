/**
 * Receives in a page that does not live to see the end, and goes on. The only argument is JSON: `{kind, executable, links, ends}`:
 * each end is `{how, at}` with `at` the part of it that has arrived by then. With `reload` the page is loaded anew and has to
 * go on by itself; with `kill` the whole browser is killed, and one that begins with what it has left opens the next link.
 * Prints one line of JSON: what was offered and kept, and what was saved.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from './driver.mjs';

const { kind, executable, links, ends } = JSON.parse(process.argv[2]);

const profile = await mkdtemp(join(tmpdir(), 'profile-'));
const told = { complaints: [], opened: 0 };
let browser = await Browser.launch(kind, executable, { profile });

/** A page that is asked whether it agrees. */
async function open(link) {
  told.opened += 1;
  const page = await browser.page();
  await page.goto(link);
  await page.shown('#found');
  await page.click('#receive');
  await page.shown('#confirm');
  return page;
}

/** Waits until so much has arrived, or it is over; tells what is shown then. */
function reached(page, part) {
  return page.until((enough) => {
    const shown = document.querySelector('main section:not([hidden])').id;
    const isThere = shown === 'receiving' && document.getElementById('progress').value >= enough;
    return isThere || ['verifying', 'done', 'failed'].includes(shown) ? shown : '';
  }, part);
}

try {
  let page = await open(links.shift());
  told.notes = [await page.text('#offer-note')];
  await page.click('#accept');
  for (const { how, at } of ends) {
    // It may have arrived before.
    if ((await reached(page, at)) !== 'receiving') break;
    if (how === 'reload') {
      await page.page.reload();
      await page.shown('#reconnecting', '#receiving', '#verifying', '#done', '#failed');
      await page.shown('#receiving', '#verifying', '#done', '#failed');
    } else {
      browser.kill();
      browser = await Browser.launch(kind, executable, { profile });
      page = await open(links.shift());
      told.notes.push(await page.text('#offer-note'));
      await page.click('#accept');
    }
  }
  told.end = await page.shown('#done', '#failed');
  told.saved = told.end === '#done' ? await page.saveAll() : [await page.text('#failed')];
  told.title = await page.title();
  const left = (prefix) => page.page.evaluate(async (wanted) => {
    const names = [];
    if (navigator.storage) for await (const name of (await navigator.storage.getDirectory()).keys()) names.push(name);
    return [...names, ...(await indexedDB.databases()).map(({ name }) => name)].filter((name) => name.startsWith(wanted));
  }, prefix);
  told.places = (await left('send-')).length;
  await page.click('#again');
  await page.shown('#enter');
  const end = Date.now() + 10_000;
  do told.left = await left('send-'); while (told.left.length > 0 && Date.now() < end);
  told.complaints = [...page.seen.complaints, ...(await page.violations())];
} catch (error) {
  told.error = String(error);
}
console.log(JSON.stringify(told));
await browser.close();
await rm(profile, { recursive: true, force: true });
