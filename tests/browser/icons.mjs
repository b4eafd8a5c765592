/**
 * Draws the icons of the page from its `icon.svg`, as a browser does. Its arguments are the browser and the directory:
 * `node icons.mjs /usr/bin/chromium ../../web-static`
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from './browser.mjs';

/** A mask may cut off a fifth on every side and all corners: what is drawn is smaller there and its ground is square. */
const ICONS = [
  { name: 'icon-180.png', size: 180, isSquare: true },
  { name: 'icon-192.png', size: 192 },
  { name: 'icon-512.png', size: 512 },
  { name: 'icon-mask.png', size: 512, isSquare: true, scale: 0.75 },
];

const [executable, directory] = process.argv.slice(2);
const drawing = await readFile(join(directory, 'icon.svg'), 'utf8');
const { browser, page } = await open(executable);
for (const { name, size, isSquare = false, scale = 1 } of ICONS) {
  await page.setViewportSize({ width: size, height: size });
  const ground = isSquare ? drawing.match(/fill="(#[0-9a-f]+)"/)[1] : 'transparent';
  await page.setContent(`<body style="margin:0;background:${ground}">${drawing}`);
  await page.locator('svg').evaluate((svg, by) => Object.assign(svg.style, { display: 'block', transform: `scale(${by})` }), scale);
  await page.screenshot({ path: join(directory, name), omitBackground: true });
}
await browser.close();
