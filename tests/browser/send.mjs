/**
 * Sends from a browser. The only argument is JSON: `{browser, address, files, …}` with paths of files to choose, and who
 * receives: `receiver: {program, args, env, directory}` is a command in whose arguments `CODE` is replaced; without it a second
 * page receives, by the link. `text` is written instead of choosing files; `tokens` are given in turn to a private server, which wants
 * none from the tab afterwards. `guess` lets a command with a wrong code try first; `early` one with the right code, which gets nowhere. `stop` is who ends it once bytes move:
 * `sender`, `receiver`, or `page`, which is closed, whereupon the receiver looks for it and is stopped. With `pauses` the
 * receiver stands still in between, until the page has noticed. `size` is that of both pages. `isUdpBlocked` says that WebRTC is of no use to the browser. Prints one line of JSON: what was shown, and what was seen on the way.
 */
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { heading, open, openBeside, saveAll } from './browser.mjs';

const { browser: executable, address, files, text, tokens, receiver, guess, early, stop, pauses, size, isUdpBlocked } = JSON.parse(process.argv[2]);
const options = size ? { viewport: size, hasTouch: true, isMobile: true } : {};
const { browser, page, seen } = await open(executable, options);
const children = [];
const told = { codes: [], saved: [], title: '' };

/** Runs a command with this code, and gives how it ended. */
function run({ program, args, env, directory }, code) {
  const child = spawn(program, args.map((argument) => argument.replace('CODE', code)), { cwd: directory, env });
  children.push(child);
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (out += data));
  const ended = once(child, 'close').then(([status]) => ({ status, out }));
  return { child, ended };
}

/** Once a command has said this. */
async function said({ stdout }, text) {
  for await (const [data] of on(stdout, 'data')) if (String(data).includes(text)) return;
}

/** The code that is shown, once it is another than the last. */
async function nextCode() {
  await page.waitForFunction((last) => {
    const code = document.getElementById('inviting-code');
    return code?.offsetParent && code.textContent && code.textContent !== last;
  }, told.codes.at(-1) ?? '');
  told.codes.push(await page.locator('#inviting-code').textContent());
  return told.codes.at(-1);
}

/** What a page says to compare. */
const words = (of, place) => of.locator(`${place}:visible b`).textContent();

/** Whether anything of the page is wider than the page. */
const isTooWide = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

const shownEnd = () => page.locator('#sent:visible, #failed:visible').waitFor();

// Everything that was ever said while somebody waits, however short.
await page.addInitScript(() => {
  const awaited = new Set();
  const look = () => awaited.add(document.getElementById('awaiting-title')?.textContent ?? '');
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  Object.assign(window, { awaited });
});

if (isUdpBlocked) {
  // Nothing but TURN may be used, and there is none.
  await page.context().addInitScript(() => {
    const { RTCPeerConnection } = window;
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor() {
        super({ iceServers: [], iceTransportPolicy: 'relay' });
      }
    };
  });
}

try {
  await page.goto(address);
  await page.getByRole('button', { name: 'Send files' }).waitFor();
  told.requestsBeforeTap = [...seen.requests];
  await page.getByRole('button', { name: 'Send files' }).click();
  await heading(page, 'Send files');
  told.socketsBeforeTap = seen.sockets.length;
  if (text) {
    await page.getByRole('button', { name: 'Write a text' }).click();
    await page.getByLabel('Text').fill(text);
  } else {
    await page.locator('#files').setInputFiles(files);
  }
  told.chosen = await page.locator('#chosen .name').allTextContents();
  told.isTooWide = await isTooWide();
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  told.refusals = [];
  for (const token of tokens ?? []) {
    await heading(page, 'This server is private');
    await page.waitForFunction((was) => document.getElementById('private-error').textContent !== was, told.refusals.at(-1));
    told.refusals.push(await page.locator('#private-error').textContent());
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
  }
  let code = await nextCode();
  told.isTooWide ||= await isTooWide();
  told.link = await page.locator('#inviting-link').textContent();
  told.hasPicture = (await page.locator('#inviting-qr svg path').count()) === 1;
  if (guess) {
    const [nameplate, password] = code.split('-');
    const wrong = `${nameplate}-${password === '0000' ? '1111' : '0000'}`;
    told.guessed = await run(guess, wrong).ended;
    code = await nextCode();
    told.notice = await page.locator('#inviting-notice').textContent();
  }
  if (early) {
    told.early = await run(early, code).ended;
    told.codes.push(await page.locator('#inviting-code').textContent());
  }
  if (receiver) {
    const { child, ended } = run(receiver, code);
    if (pauses) {
      await page.locator('#sending-progress:not([value="0"])').waitFor();
      child.kill('SIGSTOP');
      await page.locator('#reconnecting:visible').waitFor();
      child.kill('SIGCONT');
    }
    if (stop) {
      await page.locator('#sending-amount:not(:empty)').waitFor();
      if (stop === 'sender') await page.locator('#sending .stop-sending').click();
      if (stop === 'receiver') child.kill('SIGINT');
      if (stop === 'page') {
        // It may come back: the receiver waits for it until it is stopped.
        await Promise.all([said(child, '"reconnecting"'), page.close()]);
        child.kill('SIGINT');
      }
    }
    if (stop !== 'page') await shownEnd();
    told.received = await ended;
  } else {
    const other = await openBeside(page, seen);
    await other.goto(told.link);
    await other.locator('#receive').click();
    await other.locator('#accept').waitFor();
    told.words = [await words(page, '#awaiting-words'), await words(other, '#confirm-words')];
    await other.locator('#accept').click();
    if (stop) {
      await page.locator('#sending-amount:not(:empty)').waitFor();
      if (stop === 'sender') await page.locator('#sending .stop-sending').click();
      if (stop === 'receiver') await other.locator('#receiving .cancel').click();
      await other.locator('#failed:visible').waitFor();
    } else {
      await other.locator('#done:visible, #failed:visible').waitFor();
      if (text) told.text = await other.locator('.preview pre').textContent();
      else told.saved = await saveAll(other);
    }
    told.otherTitle = await other.locator('main section:visible h1').textContent();
    await shownEnd();
  }
  if (stop !== 'page') told.awaited = await page.evaluate(() => [.../** @type {any} */ (window).awaited]);
  if (stop !== 'page') told.path = await page.locator('#sending-path').textContent();
  if (stop !== 'page') told.title = await page.locator('main section:visible h1').textContent();
} catch (error) {
  told.error = String(error);
  told.text = await page.locator('main').innerText().catch(() => '');
}
for (const child of children) child.kill('SIGKILL');
console.log(JSON.stringify({ ...told, ...seen }));
await browser.close();
