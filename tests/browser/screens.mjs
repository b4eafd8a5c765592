/**
 * Takes a picture of every state of the page, on a phone and on a desktop, light and dark. The only argument is JSON:
 * `{browser, address, send, out}` with the page's address, the path of `send`, and a directory for the pictures.
 */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { heading, open } from './browser.mjs';

const { browser: executable, address, send, out } = JSON.parse(process.argv[2]);
const SCREENS = { phone: { width: 390, height: 844 }, small: { width: 320, height: 568 }, desktop: { width: 1280, height: 800 } };
const senders = [];
process.on('exit', () => senders.forEach((sender) => sender.kill('SIGKILL')));
const directory = await mkdtemp(join(tmpdir(), 'screens-'));
await mkdir(out, { recursive: true });
const file = async (name, size) => {
  await writeFile(join(directory, name), '');
  await truncate(join(directory, name), size);
  return join(directory, name);
};
const large = await file('Holiday in the mountains.mp4', 2e9);
const several = [
  await file('report.pdf', 231_000),
  await file('größe 日本語 with quite a long name that does not fit into a single line.jpeg', 1_400_000),
  await file('empty.txt', 0),
];

/** Starts a sender and gives its code and link. */
async function offer(...paths) {
  const child = spawn(send, [...paths, '--server', address, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
  senders.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line);
    if (event.event === 'code') return { child, code: event.code, link: event.link };
  }
  throw new Error('no code');
}

for (const [screen, viewport] of Object.entries(SCREENS)) {
  for (const colorScheme of ['light', 'dark']) {
    const isTouch = screen !== 'desktop';
    const { browser, page } = await open(executable, { viewport, colorScheme, hasTouch: isTouch, isMobile: isTouch });
    const picture = (name) => page.screenshot({ path: join(out, `${name}-${screen}-${colorScheme}.png`) });
    const tap = (name) => page.getByRole('button', { name, exact: true }).click();

    await page.goto(address);
    await picture('1-enter');
    await page.getByLabel('Code').fill('123456789');
    await tap('Receive');
    await page.locator('#code-error:not(:empty)').waitFor();
    await picture('2-mistake');

    const mute = await offer(...several);
    await page.goto(mute.link);
    await heading(page, 'Someone is sending you files');
    await picture('3-found');
    mute.child.kill('SIGSTOP');
    await tap('Receive');
    await page.locator('#slow').waitFor();
    await picture('4-connecting');
    await tap('Cancel');
    await heading(page, 'Cancelled');
    await picture('5-cancelled');
    await page.goto('about:blank');

    const many = await offer(...several);
    await page.goto(many.link);
    await heading(page, 'Someone is sending you files');
    await tap('Receive');
    await page.locator('#confirm').waitFor();
    await picture('6-confirm');
    await tap('Accept');
    await heading(page, 'Received and verified');
    await picture('7-done-several');

    const one = await offer(large);
    await page.goto('about:blank');
    await page.goto(one.link);
    await heading(page, 'Someone is sending you files');
    await tap('Receive');
    await page.locator('#confirm').waitFor();
    await tap('Accept');
    await page.locator('#left:not(:empty)').waitFor();
    await picture('8-receiving');
    await tap('Cancel');
    await heading(page, 'Cancelled');

    for (const sender of senders.splice(0)) sender.kill('SIGKILL');
    await browser.close();
  }
}
await rm(directory, { recursive: true });
