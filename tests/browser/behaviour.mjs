/**
 * Does what people do, by keyboard and by ear too, and tells what went wrong. The only argument is JSON: `{browser,
 * address}`. Prints one line of JSON: the claims that were tried, and the problems.
 */
import assert from 'node:assert/strict';
import { HOSTILE, MOVIE, SEVERAL, failing, openScripted } from './scripted.mjs';

const { browser: executable, address } = JSON.parse(process.argv[2]);

/** Presses Tab until the focus is where it should go, as somebody does who sees where it is. */
async function tabTo(page, id) {
  for (let presses = 0; presses < 12; presses += 1) {
    if (await page.evaluate((wanted) => document.activeElement.id === wanted, id)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the keyboard does not get to ${id}`);
}

const focusedHeading = (page) => page.evaluate(() => document.activeElement.matches('h1') && document.activeElement.textContent);
const types = async (screens) => (await screens.asked()).map(({ type }) => type);
const locks = (page) => page.evaluate(() => window.locks.map(({ released }) => released));

/** @type {Record<string, (screens: import('./scripted.mjs').Screens, page: import('playwright-core').Page) => Promise<void>>} */
const CLAIMS = {
  'everything can be done by keyboard': async (screens, page) => {
    await screens.load();
    await page.keyboard.type('48-2093');
    await page.keyboard.press('Enter');
    await screens.awaitAsked('look');
    await screens.tell({ type: 'found', trace: 'a' }, { type: 'reached' });
    assert.equal(await focusedHeading(page), 'Connecting');
    await screens.tell({ type: 'offer', files: [MOVIE], size: MOVIE.size, isStream: false, leftOut: 0 });
    assert.equal(await focusedHeading(page), 'Receive this file?');
    await tabTo(page, 'accept');
    await page.keyboard.press('Enter');
    assert.equal(await focusedHeading(page), 'Receiving');
    await screens.tell({ type: 'done', files: [{ ...MOVIE, sha256: 'ab' }, { ...SEVERAL[0], sha256: 'cd' }] });
    assert.equal(await focusedHeading(page), 'Received and verified');
    for (let presses = 0; presses < 2; presses += 1) await page.keyboard.press('Tab');
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
    assert.equal(download.suggestedFilename(), MOVIE.path);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Save again', 'the focus stays at the file');
    assert.equal(await page.locator('#done-title').textContent(), 'Received and verified', 'one is not saved yet');
    await page.getByRole('button', { name: 'Save', exact: false }).nth(1).click();
    assert.equal(await page.locator('#done-title').textContent(), 'Saved');
  },

  'names of the other side are text and nothing else': async (screens, page) => {
    await screens.confirm({ files: HOSTILE, size: 8 });
    const names = await page.locator('#offer .name').allTextContents();
    assert.deepEqual(names, HOSTILE.map(({ path }) => path.replace('\u202e', '\ufffd')));
    assert.equal(await page.locator('#offer :is(img, script, a)').count(), 0);
    assert.deepEqual(await page.locator('#offer .name').evaluateAll((all) => [...new Set(all.map((name) => name.tagName))]), ['BDI']);
    await screens.tap('accept');
    for (const { path } of HOSTILE) {
      await screens.tell({ type: 'file', path });
      assert.equal(await page.locator('#current').textContent(), path.replace('\u202e', '\ufffd'));
    }
    await screens.tell({ type: 'done', files: HOSTILE.map((file) => ({ ...file, sha256: 'ab' })) });
    assert.equal(await page.locator('#saved :is(img, script, a)').count(), 0);
  },

  'a listener is told of progress, and not all the time': async (screens, page) => {
    await screens.confirm();
    await screens.tap('accept');
    await page.evaluate(() => {
      window.heard = [];
      const status = document.getElementById('status');
      new MutationObserver(() => window.heard.push(status.textContent)).observe(status, { childList: true });
    });
    for (let second = 1; second <= 60; second += 1) {
      await screens.pass(1000);
      await screens.tell({ type: 'progress', done: (MOVIE.size / 60) * second });
    }
    const heard = await page.evaluate(() => window.heard);
    assert.ok(heard.length >= 4 && heard.length <= 9, `${heard.length} announcements in a minute: ${heard}`);
    assert.ok(heard.every((words) => /^\d+% received\. (about .* left|a few seconds left)$/.test(words)), `${heard}`);
  },

  'whoever sends is told of progress too': async (screens, page) => {
    await screens.sending();
    await screens.pass(16_000);
    await screens.tell({ type: 'progress', done: 150_000 });
    assert.match(await page.locator('#status').textContent(), /^50% sent\./);
    assert.match(await page.title(), /^50%/);
  },

  'a text is neither empty nor endless, and is there again when it was not sent': async (screens, page) => {
    await screens.choose();
    await screens.tap('choose-write');
    const send = () => page.locator('#write-form button').click();
    await send();
    assert.match(await page.locator('#write-error').textContent(), /nothing to send/);
    assert.ok(!(await types(screens)).includes('send'));
    await page.locator('#words').fill('a word');
    await send();
    const { paths, isText } = (await screens.asked()).find(({ type }) => type === 'send');
    await screens.tell({ type: 'failed', why: 'long-text' });
    assert.match(await page.locator('#write-error').textContent(), /at most one megabyte/);
    await send();
    assert.deepEqual([paths, isText], [['text.txt'], true]);
    await screens.tell({ type: 'failed', why: 'expired' });
    await screens.tap('send-again');
    assert.equal(await page.locator('#words').inputValue(), 'a word');
    await screens.tap('write-back');
    assert.equal(await page.locator('#chosen li').count(), 0, 'a text is none of the files');
  },

  'a token is asked for once per tab': async (screens, page) => {
    const tokens = async () => (await screens.asked()).filter(({ type }) => type === 'send').map(({ token }) => token);
    await screens.refused();
    await page.locator('#token').fill('of this server');
    await page.keyboard.press('Enter');
    assert.deepEqual(await tokens(), [undefined, 'of this server']);
    await screens.awaiting();
    assert.deepEqual(await tokens(), ['of this server'], 'also after the page was loaded anew');
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    await page.evaluate(() => sessionStorage.clear());
  },

  'a phone shares what belongs to its photos, and nothing else or too large': async (screens, page) => {
    const shares = () => page.locator('#saved').getByRole('button', { name: /^Share / }).allTextContents();
    await page.addInitScript(() => {
      const { matchMedia } = window;
      window.isPhone = true;
      window.matchMedia = (query) => (query === '(pointer: coarse)' ? { matches: window.isPhone } : matchMedia.call(window, query));
      window.shared = [];
      navigator.share = async ({ files }) => void window.shared.push(...files.map(({ name, type }) => `${name} ${type}`));
    });
    await screens.done(SEVERAL);
    assert.equal((await shares()).length, 2, 'two pictures, no document');
    await page.locator('#saved').getByRole('button', { name: /^Share / }).first().click();
    assert.match((await page.evaluate(() => window.shared))[0], /\.jpeg image\/jpeg$/);
    assert.equal(await page.locator('#done-title').textContent(), 'Received and verified', 'nobody knows what became of it');
    await page.addInitScript(() => (window.isPhone = false));
    await screens.done(SEVERAL);
    assert.deepEqual(await shares(), [], 'a desktop has downloads');
  },

  'the screen stays on while bytes arrive, and no longer': async (screens, page) => {
    await screens.confirm();
    assert.deepEqual(await locks(page), []);
    await screens.tap('accept');
    await page.waitForFunction(() => window.locks.length === 1);
    await screens.tell({ type: 'progress', done: 1 }, { type: 'reconnecting' }, { type: 'resumed', isAccepted: true }, { type: 'verifying' });
    assert.deepEqual(await locks(page), [false]);
    await screens.tell({ type: 'done', files: [] });
    assert.deepEqual(await locks(page), [true]);
  },

  'a browser that thinks about the screen is not asked again': async (screens, page) => {
    await screens.confirm();
    await page.evaluate(() => {
      const { request } = navigator.wakeLock;
      window.grants = [];
      navigator.wakeLock.request = () => new Promise((resolve) => window.grants.push(() => resolve(request())));
    });
    await screens.tap('accept');
    await screens.tell({ type: 'reconnecting' });
    await page.evaluate(() => window.grants.forEach((grant) => grant()));
    await screens.tell({ type: 'done', files: [] });
    assert.deepEqual(await locks(page), [true], 'a lock that is forgotten would stay');
  },

  'what a person wants is asked for': async (screens, page) => {
    await screens.connecting();
    await page.locator('#connecting .cancel').click();
    await screens.confirm();
    assert.ok(!(await types(screens)).includes('accept'), 'nothing is accepted by itself');
    await screens.tap('decline');
    assert.ok((await types(screens)).includes('decline'));
    for (const screen of ['receiving', 'paused', 'reconnecting']) {
      await screens.receiving();
      if (screen !== 'receiving') await screens.tell({ type: screen });
      await page.locator(`#${screen} .cancel`).click();
      assert.equal((await types(screens)).at(-1), 'cancel');
    }
  },

  'a person pauses and goes on': async (screens, page) => {
    await screens.receiving();
    await screens.tap('pause');
    assert.equal((await types(screens)).at(-1), 'pause');
    await screens.tell({ type: 'paused' });
    assert.match(await page.locator('#paused-kept').textContent(), /840 MB of 2 GB/);
    await screens.tap('go-on');
    assert.equal((await types(screens)).at(-1), 'go-on');
    await screens.tell({ type: 'resumed', isAccepted: true });
    assert.ok(await page.locator('#receiving').isVisible());
  },

  'storage that is full is a choice': async (screens, page) => {
    for (const [choice, asked] of [['retry', {}], ['target', { target: { file: 'chosen' } }], ['stop', {}]]) {
      await screens.receiving();
      await page.evaluate(() => (window.showSaveFilePicker = async () => 'chosen'));
      await screens.tell({ type: 'full' });
      assert.match(await page.locator('#full-kept').textContent(), /840 MB of 2 GB/);
      assert.ok(await page.locator('#full-download').isHidden(), 'who can choose a place needs no other');
      await screens.tap(`full-${choice}`);
      await screens.awaitAsked('full');
      assert.deepEqual((await screens.asked()).at(-1), { type: 'full', choice, ...asked });
    }
    await screens.receiving();
    await page.evaluate(() => delete window.showSaveFilePicker);
    await screens.tell({ type: 'full' });
    assert.ok(await page.locator('#full-target').isHidden());
    await screens.tap('full-download');
    assert.deepEqual((await screens.asked()).at(-1), { type: 'full', choice: 'download' });
  },

  'who changes their mind about where to save is asked again': async (screens, page) => {
    await screens.confirm({ size: 2e9 });
    await page.evaluate(() => (window.showSaveFilePicker = async () => Promise.reject(new DOMException('no', 'AbortError'))));
    await screens.tap('accept-target');
    await page.evaluate(() => (window.showSaveFilePicker = async ({ suggestedName }) => suggestedName));
    assert.ok(!(await types(screens)).includes('accept'));
    await screens.tap('accept-target');
    await screens.awaitAsked('accept');
    const name = await page.locator('#offer .name').textContent();
    assert.deepEqual((await screens.asked()).at(-1), { type: 'accept', target: { file: name } });
    await screens.confirm({ size: 2e9, mustChoose: true });
    assert.ok(await page.locator('#accept').isHidden(), 'there is no room in the browser');
    await screens.confirm({ size: 1e6 });
    assert.ok(await page.locator('#accept-target').isHidden(), 'not worth the question');
  },

  'a text is shown, whatever its name is': async (screens, page) => {
    const sha256 = '0'.repeat(64);
    await screens.confirm({ files: [{ path: 'a.png', size: 5 }], size: 5, isText: true });
    assert.equal(await focusedHeading(page), 'Receive this text?');
    await screens.tap('accept');
    await page.evaluate((digest) => {
      const content = new Blob(['<b>hi']);
      window.scripted.onmessage({ data: { type: 'done', files: [{ path: 'a.png', size: 5, sha256: digest, content, isPlaced: false }] } });
    }, sha256);
    await page.locator('#saved pre', { hasText: '<b>hi' }).waitFor();
    assert.ok(await page.getByRole('button', { name: 'Copy the text' }).isVisible());
    assert.equal(await focusedHeading(page), 'Received and verified');
  },

  'a page that is looked at again, or has another network, asks whether the connection is there': async (screens, page) => {
    await screens.receiving();
    for (const type of ['online', 'pageshow']) {
      const before = (await types(screens)).filter((asked) => asked === 'awake').length;
      await page.evaluate((event) => window.dispatchEvent(new Event(event)), type);
      assert.equal((await types(screens)).filter((asked) => asked === 'awake').length, before + 1, type);
    }
  },

  'a transfer goes on where it broke off': async (screens, page) => {
    await screens.receiving();
    await screens.tell({ type: 'reconnecting' });
    assert.equal(await focusedHeading(page), 'Reconnecting');
    assert.match(await page.locator('#kept').textContent(), /840 MB of 2 GB/);
    await screens.pass(60_000);
    await screens.tell({ type: 'resumed', isAccepted: true });
    await screens.pass(5000);
    await screens.tell({ type: 'progress', done: 990e6 });
    // 150 MB in the five seconds since, and in what the test itself takes.
    assert.match(await page.locator('#speed').textContent(), /^(30|2\d(\.\d)?) MB\/s$/, 'the break does not count');
    assert.match(await page.locator('#left').textContent(), /^about (35|40|45|50) seconds left$/);
  },

  'what used nothing up can be tried again at once': async (screens, page) => {
    await failing('server-busy')(screens);
    assert.equal(await page.locator('#failed-text').getAttribute('role'), 'alert');
    await screens.tap('try-again');
    await page.locator('#connecting').waitFor();
    assert.equal(await focusedHeading(page), 'Connecting');
    assert.equal((await types(screens)).at(-1), 'receive');
    await failing('wrong-code')(screens);
    assert.ok(await page.locator('#try-again').isHidden());
    await screens.tap('other-code');
    assert.ok(await page.locator('#code').evaluate((input) => input === document.activeElement));
  },

  'nothing is asked of anybody before a tap': async (screens, page) => {
    await screens.found();
    assert.deepEqual(await types(screens), []);
    assert.equal(page.url(), address);
    assert.equal(await page.evaluate(() => document.referrer), '');
  },

  'another language is spoken at once, and again the next time': async (screens, page) => {
    await screens.confirm({ files: SEVERAL, size: 1_679_213 });
    await page.locator('#language').selectOption('de');
    await page.locator('html[lang=de]').waitFor();
    assert.equal(await page.locator('#confirm-title').textContent(), '4 Dateien empfangen?');
    assert.match(await page.locator('#confirm-total').textContent(), /1,7\sMB/);
    await screens.load();
    assert.equal(await page.locator('#enter h1').textContent(), 'Dateien empfangen');
    await page.locator('#language').selectOption('en');
    await page.locator('html[lang=en]').waitFor();
  },

  'the best of the languages that a browser asks for is spoken': async (screens, page) => {
    await screens.load();
    const chosen = await page.evaluate(async () => {
      const { preferred } = await import('./text.js');
      return [['de-AT'], ['zh-CN'], ['zh-TW', 'fr'], ['xx', 'es-419'], ['ar'], []].map(preferred);
    });
    assert.deepEqual(chosen, ['de', 'zh-Hans', 'fr', 'es', 'en', 'en']);
  },

  'nothing moves for those who asked for that': async (screens, page) => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    for (const state of ['connecting', 'verifying']) {
      await (state === 'connecting' ? screens.connecting() : screens.receiving());
      if (state === 'verifying') await screens.tell({ type: 'verifying' });
      assert.equal(await page.evaluate(() => document.getAnimations().length), 0, state);
    }
    await page.emulateMedia({ reducedMotion: null });
  },

  'a browser that cannot receive is told why': async (screens, page) => {
    await page.addInitScript(() => delete window.RTCPeerConnection);
    await screens.load();
    assert.equal(await focusedHeading(page), 'This browser cannot receive');
  },
};

const { browser, page, seen, screens } = await openScripted(executable, address, { locale: 'en-US' });
const problems = [];
for (const [claim, hold] of Object.entries(CLAIMS)) {
  await hold(screens, page).catch((error) => problems.push(`${claim}: ${error.message}`));
}
await browser.close();
console.log(JSON.stringify({ claims: Object.keys(CLAIMS).length, problems: [...problems, ...seen.complaints] }));
