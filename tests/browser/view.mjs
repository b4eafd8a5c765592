/**
 * Looks at every screen as different people do, and tells what is wrong with it. The only argument is JSON:
 * `{browser, address, languages, reasons}`. Prints one line of JSON: the problems, each with the screen that it is on.
 */
import { readFile } from 'node:fs/promises';
import { STATES, failing, openScripted } from './scripted.mjs';

const { browser: executable, address, languages, reasons } = JSON.parse(process.argv[2]);
const axe = await readFile(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
/** WCAG up to 2.2 at level AA, and what is good practice besides. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const SMALL = { viewport: { width: 320, height: 568 } };
/** The smallest thing that a finger hits: CSS pixels. */
const TARGET = 44;

const problems = [];
const told = { screens: 0 };

/** Runs in the page: what anybody would notice, whoever they are. */
function inspect(target) {
  const found = [];
  const isSeen = (part) => part.checkVisibility() && part.getClientRects().length > 0;
  const seen = (selector) => [...document.querySelectorAll(selector)].filter(isSeen);
  if (seen('h1').length !== 1) found.push(`${seen('h1').length} headings`);
  if (seen('main > section').length !== 1) found.push('not one screen');
  if (seen('button.primary').length > 1) found.push('more than one primary button');
  for (const part of seen('h1, p[data-text], button, label, li')) {
    if (!part.textContent.trim()) found.push(`nothing is said by ${part.outerHTML}`);
  }
  for (const part of seen('button, input, select')) {
    const { width, height } = part.getBoundingClientRect();
    if (Math.min(width, height) < target) found.push(`too small: ${part.outerHTML}`);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) found.push(`${scrollWidth - clientWidth} px too wide`);
  if (/undefined|NaN|\{\w+\}/.test(document.querySelector('main').innerText.replace('{name} {count}', ''))) {
    found.push(`a text has a hole: ${document.querySelector('main').innerText}`);
  }
  return found;
}

/** Visits screens with one kind of browser; `look` adds what it finds. */
async function visit(options, states, look) {
  const { browser, page, seen, screens } = await openScripted(executable, address, options);
  for (const [name, reach] of states) {
    await reach(screens, page);
    told.screens += 1;
    for (const problem of await look(page)) problems.push(`${name} ${JSON.stringify(options)}: ${problem}`);
  }
  problems.push(...seen.complaints);
  await browser.close();
}

/** @param {import('playwright-core').Page} page  With a violation and where it is. */
async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags, resultTypes: ['violations'] }), RULES);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
}

/** What is wrong with where the keyboard is. */
const lost = (page) => page.evaluate(() => (document.activeElement.closest('section') ? [] : ['the focus is nowhere']));
const inspected = (page) => page.evaluate(inspect, TARGET);

/** What is wrong in other languages, whose words are longer. */
async function translated(page) {
  const found = [];
  for (const language of [...languages.filter((tag) => tag !== 'en'), 'en']) {
    await page.locator('#language').selectOption(language);
    await page.locator(`html[lang="${language}"]`).waitFor();
    found.push(...(await inspected(page)).map((problem) => `${language}: ${problem}`));
  }
  return found;
}

const states = Object.entries(STATES);
const [first, ...others] = reasons;
const failures = others.map((why) => [`failed: ${why}`, (screens) => screens.tell({ type: 'failed', why })]);
const locale = 'en-US';
const byAll = async (page) => [...(await lost(page)), ...(await violations(page)), ...(await translated(page))];
const inTheDark = async (page) => [...(await inspected(page)), ...(await violations(page))];
await visit({ ...SMALL, locale, colorScheme: 'light' }, [...states, ['failed', failing(first)]], byAll);
await visit({ ...SMALL, locale, colorScheme: 'dark' }, [...states, ['failed', failing(first)]], inTheDark);
await visit({ viewport: { width: 1280, height: 800 }, locale }, [['failed', failing(first)], ...failures], inspected);
console.log(JSON.stringify({ ...told, problems }));
