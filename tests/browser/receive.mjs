/**
 * Receives in a browser, one case after the other. The only argument is JSON: `{kind, executable, isPrivate, cases}`,
 * each case `{address, code}` with a code to type at the page at `address`, or `{link}`; `answer` may be `decline` or
 * `cancel`, or `leave` in the middle of a pause, `quota` how much may be stored, in bytes (Firefox takes that of the first case for all), `whenFull` what is chosen
 * then (`stop`, `cancel`, `download`, or `retry` and `target` with room for so much in `more`), `places` whether the browser can
 * ask where to save, `target` that the person says it when asked for consent, `isDownload` that the browser downloads what comes,
 * `halt` for how many milliseconds the person pauses in the middle, `freeze` for how many milliseconds the page stands still in the middle (Chromium), and `pauses` processes that stop in the
 * middle and go on once the page has noticed. `size` is that of a small screen. `path` in what is told is how the bytes came last. Prints one line of JSON: for each case where the person ended up, and
 * what was seen on the way.
 */
import { Browser } from './driver.mjs';

const { kind, executable, isPrivate, cases } = JSON.parse(process.argv[2]);
const browser = await Browser.launch(kind, executable, { isPrivate, quota: cases[0].quota });
const told = [];
/** Tabs that nobody here has opened. */
const others = async () => (await browser.browser.pages()).length - told.length;
const before = await others();
/** What Firefox says about a connection that was broken on purpose. */
const BROKEN = /WebRTC: ICE failed/;
// Pages stay open until the end: what they have to say last needs a moment.
for (const { address, code, link, answer, quota, whenFull, more, places, target, isDownload, halt, freeze, pauses, size } of cases) {
  const page = await browser.page();
  if (size) await page.page.setViewport({ ...size, hasTouch: kind === 'chromium', isMobile: kind === 'chromium' });
  const one = { saved: [], ...page.seen };
  told.push(one);
  try {
    if (places !== undefined) await page.page.evaluateOnNewDocument(pretendPlaces, places);
    if (quota) await page.limitStorage(new URL(link ?? address).origin, quota);
    await page.goto(link ?? address);
    if (link) {
      await page.shown('#found');
      one.address = page.page.url();
    } else {
      await page.type('#code', code);
    }
    one.requestsBeforeTap = [...page.seen.requests];
    await page.click(link ? '#receive' : '#code-form button');
    if ((await page.shown('#confirm', '#failed', '#enter .error:not(:empty)')) === '#confirm') {
      one.offered = await page.page.$$eval('#offer .name', (names) => names.map((name) => name.textContent));
      one.asked = await page.text('#confirm');
      one.isTooWide = await page.page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      await page.click(answer === 'decline' ? '#decline' : target ? '#accept-target' : '#accept');
      if (answer === 'cancel') {
        await page.shown('#speed:not(:empty)');
        await page.click('#cancel');
      }
      if (halt) one.halted = await rest(page, halt);
      if (freeze) await standStill(page, freeze);
      for (const id of pauses ?? []) await pause(page, id, one, answer === 'leave');
      if (whenFull) await choose(page, whenFull, () => page.limitStorage(new URL(link ?? address).origin, more), one);
      if ((await page.shown('#done', '#failed', '#full')) === '#done') {
        one.saved = await page.saveAll();
        if (target || whenFull === 'target') one.saved.push(...(await page.page.evaluate(readChosen)));
        // What was on its way when the choice was made, and all that came after it.
        if (isDownload || whenFull === 'download') one.saved.push(await browser.download());
      }
    }
    // It stays where it was written when another screen is shown.
    one.path = await page.page.$eval('#path', (path) => path.textContent);
    one.title = await page.title();
    one.types = await page.types();
    one.end = page.page.url();
    one.opened = (await others()) - before;
    one.complaints.push(...(await page.violations()));
  } catch (error) {
    one.error = String(error);
  }
}
told.forEach((one, index) => {
  if (cases[index].pauses || cases[index].freeze) one.complaints = one.complaints.filter((complaint) => !BROKEN.test(complaint));
});
console.log(JSON.stringify(told));
await browser.close();

/** The process stands still until the page says that the connection is gone; then the transfer goes on, or `isLeft`. */
async function pause(page, id, one, isLeft) {
  await page.shown('#receiving #progress:not([value="0"])');
  process.kill(id, 'SIGSTOP');
  await page.shown('#reconnecting');
  one.kept = [...(one.kept ?? []), await page.text('#kept')];
  if (isLeft) await page.click('#reconnecting .cancel');
  process.kill(id, 'SIGCONT');
  // Whoever tells the process something has to be there for that.
  while (isLeft && isAlive(id)) await new Promise((resolve) => setTimeout(resolve, 50));
  await page.shown('#receiving', '#verifying', '#done', '#failed');
}

/** Pauses, and goes on; what was there before and after. */
async function rest(page, time) {
  await page.shown('#receiving #progress:not([value="0"])');
  await page.click('#pause');
  await page.shown('#paused');
  const amounts = [await page.text('#paused-kept')];
  await new Promise((resolve) => setTimeout(resolve, time));
  amounts.push(await page.text('#paused-kept'));
  await page.click('#go-on');
  await page.shown('#receiving', '#verifying', '#done');
  return amounts;
}

/** As of a device whose screen is off. */
async function standStill(page, time) {
  await page.shown('#receiving #progress:not([value="0"])');
  const ids = [...(await browser.pageProcesses()).keys()];
  for (const id of ids) process.kill(id, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, time));
  for (const id of ids) process.kill(id, 'SIGCONT');
}

/** @param {number} id  Of a process that is waited for by the one that started it. */
function isAlive(id) {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}

/** There is no room, also when it is tried again; then the person stops, or makes room and goes on. */
async function choose(page, choice, makeRoom, one) {
  await page.shown('#full');
  // It goes on for less than a moment.
  await page.page.evaluate(async () => {
    const section = document.getElementById('receiving');
    const hasGoneOn = new Promise((resolve) => new MutationObserver(resolve).observe(section, { attributes: true }));
    document.getElementById('full-retry').click();
    await hasGoneOn;
  });
  await page.shown('#full');
  one.kept = await page.text('#full-kept');
  if (['retry', 'target'].includes(choice)) await makeRoom();
  // Who leaves the page cancels without having chosen.
  await page.click(choice === 'cancel' ? '#cancel' : `#full-${choice}`);
  await page.shown('#receiving', '#done', '#failed');
}

/** No script can answer the browser's own questions for a place: the origin's own file system does. Runs in the page. */
function pretendPlaces(isAble) {
  delete window.showSaveFilePicker;
  delete window.showDirectoryPicker;
  if (!isAble) return;
  const chosen = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true });
  window.showDirectoryPicker = chosen;
  window.showSaveFilePicker = async ({ suggestedName }) => (await chosen()).getFileHandle(suggestedName, { create: true });
}

/** Name, length and SHA-256 of everything in the place that was chosen, in the order of the names. Runs in the page. */
async function readChosen() {
  const found = [];
  const walk = async (directory, path) => {
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind === 'directory') {
        await walk(handle, `${path}${name}/`);
        continue;
      }
      const bytes = await (await handle.getFile()).arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      found.push({ name: path + name, size: bytes.byteLength, sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') });
    }
  };
  await walk(await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen'), '');
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}
