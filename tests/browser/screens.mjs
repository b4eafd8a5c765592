/**
 * Takes a picture of every screen of the page, on phones and desktops, light and dark. The only argument is JSON:
 * `{browser, address, out, send, language}` with the page's address, a directory for the pictures, the path of `send` for
 * one real transfer (left out: none), and a language (left out: English).
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { open } from './browser.mjs';
import { STATES, failing, openScripted } from './scripted.mjs';

const { browser: executable, address, out, send, language = 'en' } = JSON.parse(process.argv[2]);
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
const SCREENS = {
  'phone-light': { ...PHONE, colorScheme: 'light' },
  'phone-dark': { ...PHONE, colorScheme: 'dark' },
  'small-light': { ...PHONE, viewport: { width: 320, height: 568 }, colorScheme: 'light' },
  'desktop-light': { viewport: { width: 1280, height: 800 }, colorScheme: 'light' },
  'desktop-dark': { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
  'large-light': { viewport: { width: 3840, height: 2160 }, colorScheme: 'light' },
};
/** Failures look alike: these are the longest, the ones with other buttons, and the most usual one. */
const FAILURES = ['unknown-code', 'no-path', 'too-often', 'unsupported', 'version', 'cancelled'];

await mkdir(out, { recursive: true });
for (const [screen, options] of Object.entries(SCREENS)) {
  const { browser, page, screens } = await openScripted(executable, address, { ...options, locale: language });
  const picture = (name) => page.screenshot({ path: join(out, `${name}-${screen}.png`), fullPage: true });
  for (const [name, reach] of Object.entries(STATES)) {
    await reach(screens, page);
    await picture(name);
  }
  for (const why of FAILURES) {
    await failing(why)(screens);
    await picture(`failed-${why}`);
  }
  await page.addInitScript(() => Object.defineProperty(window, 'isSecureContext', { value: false }));
  await screens.load();
  await picture('insecure');
  await browser.close();
}
if (send) await takeReal();

/** One transfer with nothing scripted. */
async function takeReal() {
  const directory = await mkdtemp(join(tmpdir(), 'screens-'));
  const file = join(directory, 'Holiday in the mountains.mp4');
  await writeFile(file, '');
  await truncate(file, 2e9);
  const sender = spawn(send, [file, '--server', address, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => sender.kill('SIGKILL'));
  const { browser, page } = await open(executable, { ...SCREENS['phone-light'], locale: language });
  await page.goto(await link(sender));
  await page.locator('#receive').click();
  await page.locator('#accept').click();
  await page.locator('#left:not(:empty)').waitFor();
  await page.screenshot({ path: join(out, 'real-receiving.png'), fullPage: true });
  await page.locator('#receiving .cancel').click();
  await page.locator('#failed').waitFor();
  await browser.close();
  sender.kill('SIGKILL');
  await rm(directory, { recursive: true });
}

async function link(sender) {
  for await (const line of createInterface({ input: sender.stdout })) {
    const event = JSON.parse(line);
    if (event.event === 'code') return event.link;
  }
  throw new Error('the sender ended without a code');
}
