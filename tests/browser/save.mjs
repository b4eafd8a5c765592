/**
 * Receives in a browser by link and saves everything at once. The only argument is JSON: `{browser, link, out, folder, plain,
 * size}`: the archive goes to the path `out`; with `folder` everything goes to a folder as well; `plain` is a browser without
 * service workers and pickers, as over plain http. Prints one line of JSON: what was saved, what previews show, and what was
 * seen on the way.
 */
import { createHash } from 'node:crypto';
import { open } from './browser.mjs';

const { browser: executable, link, out, folder, plain, size } = JSON.parse(process.argv[2]);
const options = size ? { viewport: size, hasTouch: true, isMobile: true } : {};
const { browser, page, seen } = await open(executable, options);
const told = { title: '', previews: {}, folder: [] };

/** No script can answer the browser's own question for a folder: the origin's own file system does. */
function pretendFolder() {
  window.showDirectoryPicker = async () => {
    const root = await navigator.storage.getDirectory();
    return root.getDirectoryHandle('chosen', { create: true });
  };
}

function takeAway() {
  delete window.showDirectoryPicker;
  delete window.showSaveFilePicker;
  Object.defineProperty(navigator, 'serviceWorker', { value: undefined });
}

/** Path and content of everything in the folder that was chosen, in base64. */
async function readFolder() {
  const root = await navigator.storage.getDirectory();
  const found = [];
  const walk = async (directory, path) => {
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind === 'directory') {
        await walk(handle, `${path}${name}/`);
      } else {
        const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
        found.push([path + name, btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))]);
      }
    }
  };
  await walk(await root.getDirectoryHandle('chosen'), '');
  return found;
}

/** What each preview shows once it is opened: an element with what it needs to be judged. */
async function lookAtPreviews() {
  const found = {};
  for (const item of await page.locator('#saved li').all()) {
    const name = await item.locator('.name').textContent();
    const preview = item.locator('details.preview');
    if ((await preview.count()) === 0) {
      found[name] = null;
      continue;
    }
    if (!(await preview.evaluate((details) => details.open))) await preview.locator('summary').click();
    const place = preview.locator('div');
    await place.locator('img, video, audio, pre, :scope:not(:empty)').first().waitFor();
    found[name] = await place.evaluate(async (shown) => {
      const media = shown.querySelector('img, video, audio');
      if (media instanceof HTMLImageElement) await media.decode().catch(() => {});
      const element = shown.firstElementChild?.localName ?? null;
      return { element, text: shown.querySelector('pre')?.textContent ?? shown.textContent, width: media?.naturalWidth ?? 0 };
    });
  }
  return found;
}

/** Who answers for the address of a download that is over, and for one that never was: the status, and whether a worker did. */
async function askAgain(address) {
  const other = await page.context().newPage();
  const answers = [];
  for (const each of [address, new URL('0123456789abcdef', address).href]) {
    // An answer without a page is an error as well.
    const [response] = await Promise.all([other.waitForResponse(each), other.goto(each).catch(() => {})]);
    answers.push([response.status(), response.fromServiceWorker()]);
  }
  await other.close();
  return answers;
}

try {
  if (plain) await page.addInitScript(takeAway);
  else await page.addInitScript(pretendFolder);
  await page.goto(link);
  await page.locator('#receive').click();
  await page.locator('#accept').click();
  await page.locator('#done:visible, #failed:visible').waitFor();
  told.previews = await lookAtPreviews();
  const copy = page.getByRole('button', { name: 'Copy the text' }).first();
  if (await copy.isVisible()) {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await copy.click();
    await page.getByRole('status').filter({ hasText: 'The text is copied.' }).waitFor({ state: 'attached' });
    told.copied = await page.evaluate(() => navigator.clipboard.readText());
  }
  told.hasFolder = await page.locator('#save-folder').isVisible();
  if (folder) {
    await page.locator('#save-folder').click();
    await page.locator('#save-state', { hasText: 'are saved' }).waitFor();
    // A second time: what is there stays. The state is empty from the click on.
    await page.locator('#save-folder').click();
    await page.locator('#save-state', { hasText: 'are saved' }).waitFor();
    told.folder = (await page.evaluate(readFolder)).map(([path, content]) => {
      const bytes = Buffer.from(content, 'base64');
      return { path, sha256: createHash('sha256').update(bytes).digest('hex') };
    });
  }
  if (out) {
    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save-archive').click()]);
    told.archive = download.suggestedFilename();
    told.isStreamed = !download.url().startsWith('blob:');
    await download.saveAs(out);
    if (told.isStreamed) told.again = await askAgain(download.url());
    await page.locator('#save-state', { hasText: 'are saved' }).waitFor();
  }
  told.title = await page.locator('main section:visible h1').textContent();
  told.isTooWide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
} catch (error) {
  told.error = String(error);
  told.text = await page.locator('main').innerText().catch(() => '');
}
console.log(JSON.stringify({ ...told, ...seen }));
await browser.close();
