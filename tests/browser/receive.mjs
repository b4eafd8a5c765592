/**
 * Receives in a browser. The only argument is JSON: `{browser, address, code}` with a code to type at the page at
 * `address`, or `{browser, link}`. Prints one line of JSON: where the person ended up, and what was seen on the way.
 */
import { heading, open, saveAll } from './browser.mjs';

const { browser: executable, address, code, link } = JSON.parse(process.argv[2]);
const { browser, page, seen } = await open(executable);
const told = { saved: [], title: '' };
try {
  await page.goto(link ?? address);
  if (link) {
    await heading(page, 'Someone is sending you files');
    told.address = page.url();
    told.history = await page.evaluate(() => history.length);
  } else {
    await page.getByLabel('Code').fill(code);
  }
  told.socketsBeforeTap = seen.sockets.length;
  await page.getByRole('button', { name: 'Receive', exact: true }).click();
  const accept = page.locator('#accept');
  await page.locator('#confirm:visible, #failed:visible').waitFor();
  if (await accept.isVisible()) {
    told.offered = await page.locator('#offer .name').allTextContents();
    await accept.click();
    await page.locator('#done:visible, #failed:visible').waitFor();
    told.saved = await saveAll(page);
  }
  told.title = await page.locator('main section:visible h1').textContent();
} catch (error) {
  told.error = String(error);
  told.text = await page.locator('main').innerText().catch(() => '');
}
console.log(JSON.stringify({ ...told, ...seen }));
await browser.close();
