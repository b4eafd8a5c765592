/**
 * Chromium and Firefox behind one way of driving them: a browser with its downloads, and pages on which everything that a
 * page must never do is written down.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

/** How long nothing at all may change on a page that is waited for: milliseconds. */
const PATIENCE = 60_000;
/** Between two looks: milliseconds. */
const LOOK = 50;

/** What a browser says about a header that it does not know, or that means nothing on a page without https. */
const FOREIGN = /Permissions-Policy|Cross-Origin-Opener-Policy header has been ignored/;

/** Without hidden addresses: a machine that runs tests may have no multicast. Without questions about downloads. */
const FIREFOX = {
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'browser.download.folderList': 2,
  'browser.download.useDownloadDir': true,
  'browser.download.always_ask_before_handling_new_types': false,
  'browser.helperApps.neverAsk.saveToDisk': 'application/octet-stream',
};

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));

/** Bytes, if there is a file. */
const lengthOf = (path) => stat(path).then(({ size }) => size, () => undefined);

/** Looks until there is something, and gives it. */
async function eventually(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not to be seen: ${what}`);
    await sleep(LOOK);
  }
}

export class Browser {
  /**
   * @param {'chromium' | 'firefox'} kind
   * @param {string} executablePath
   * @param {{isPrivate?: boolean, quota?: number, profile?: string}} [limits]  A folder with what earlier browsers have left. For Firefox: every window is a private one; about how many
   *   bytes may be stored. Chromium is told by each page, see `limitStorage`.
   */
  static async launch(kind, executablePath, { isPrivate = false, quota, profile } = {}) {
    const downloads = await mkdtemp(join(tmpdir(), 'downloads-'));
    const args = [];
    let extraPrefsFirefox;
    if (kind === 'chromium') {
      args.push('--disable-features=WebRtcHideLocalIpsWithMdns', '--disable-gpu', '--disable-quic');
      args.push('--disable-background-networking', '--disable-component-update', '--disable-sync');
      // The browser's sandbox does not work for a superuser.
      if (process.getuid?.() === 0) args.push('--no-sandbox');
    } else {
      extraPrefsFirefox = { ...FIREFOX, 'browser.download.dir': downloads };
      if (isPrivate) extraPrefsFirefox['browser.privatebrowsing.autostart'] = true;
      // In KiB, and of all origins together.
      if (quota) extraPrefsFirefox['dom.quotaManager.temporaryStorage.fixedLimit'] = Math.ceil(quota / 1024);
    }
    const browser = kind === 'chromium' ? 'chrome' : 'firefox';
    const options = { browser, executablePath, args, extraPrefsFirefox, headless: true, protocolTimeout: 600_000, userDataDir: profile };
    return new Browser(kind, await puppeteer.launch(options), downloads);
  }

  constructor(kind, browser, downloads) {
    this.kind = kind;
    this.browser = browser;
    this.downloads = downloads;
  }

  async page() {
    const page = await this.browser.newPage();
    if (this.kind === 'chromium') {
      const session = await page.createCDPSession();
      const behavior = { behavior: 'allow', downloadPath: this.downloads };
      await session.send('Browser.setDownloadBehavior', behavior);
    }
    return Page.watch(this, page);
  }

  /** Waits for the next download to be complete; gives its name, length and SHA-256, and forgets it. */
  async download() {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const names = await readdir(this.downloads);
      const isRunning = names.some((name) => /\.(part|crdownload)$/.test(name) || name.startsWith('.'));
      if (names.length > 0 && !isRunning) {
        const path = join(this.downloads, names[0]);
        // Firefox puts an empty file in place before the one it writes to, and takes files away while it renames them.
        const size = await lengthOf(path);
        await sleep(LOOK);
        const isAlone = (await readdir(this.downloads)).length === names.length;
        const isSettled = isAlone && size !== undefined && (await lengthOf(path)) === size;
        if (isSettled) {
          const hash = createHash('sha256');
          for await (const part of createReadStream(path)) hash.update(part);
          await rm(path);
          return { name: names[0], size, sha256: hash.digest('hex') };
        }
      }
      if (Date.now() > end) throw new Error(`no download: ${names}`);
      await sleep(LOOK);
    }
  }

  /** The processes in which pages run, and how many seconds each has worked; of Chromium only. */
  async pageProcesses() {
    this.session ??= await this.browser.target().createCDPSession();
    const { processInfo } = await this.session.send('SystemInfo.getProcessInfo');
    return new Map(processInfo.filter(({ type }) => type === 'renderer').map(({ id, cpuTime }) => [id, cpuTime]));
  }

  /** Ends it as a power cut does. */
  kill() {
    process.kill(this.browser.process().pid, 'SIGKILL');
  }

  async close() {
    await this.browser.close();
    await rm(this.downloads, { recursive: true, force: true });
  }
}

export class Page {
  seen = { complaints: [], requests: [], sockets: 0 };

  static async watch(browser, page) {
    const watched = new Page();
    watched.browser = browser;
    watched.page = page;
    const { seen } = watched;
    page.on('console', (message) => {
      const isComplaint = ['error', 'warn', 'warning'].includes(message.type());
      if (isComplaint && !FOREIGN.test(message.text())) seen.complaints.push(message.text());
    });
    page.on('pageerror', (error) => seen.complaints.push(String(error)));
    page.on('request', (request) => {
      // The address that was opened is told with its fragment, which no browser sends.
      const isOpened = request.isNavigationRequest() && request.frame() === page.mainFrame();
      seen.requests.push(isOpened ? request.url().split('#')[0] : request.url());
    });
    page.on('dialog', (dialog) => dialog.accept().catch(() => {}));
    await page.evaluateOnNewDocument(() => {
      window.violations = [];
      document.addEventListener('securitypolicyviolation', (event) => {
        window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
      window.types = [];
      const { createObjectURL } = URL;
      URL.createObjectURL = (content) => {
        window.types.push(content.type);
        return createObjectURL(content);
      };
    });
    return watched;
  }

  /** @param {string} address  Always loads, even if only the fragment is new. */
  async goto(address) {
    await this.page.goto('about:blank');
    this.seen.requests.length = 0;
    await this.page.goto(address);
  }

  /** Lets the origin store so many bytes and no more. */
  async limitStorage(origin, quotaSize) {
    if (this.browser.kind === 'firefox') return;
    const session = await this.page.createCDPSession();
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize });
  }

  async click(selector) {
    await this.page.$eval(selector, (element) => element.click());
  }

  async type(selector, text) {
    await this.page.focus(selector);
    await this.page.type(selector, text);
  }

  text(selector) {
    return this.page.$eval(selector, (element) => element.textContent);
  }

  /** What the screen that is shown is called. */
  title() {
    return this.text('main section:not([hidden]) h1');
  }

  /** Saves every file, and tells what was saved. */
  async saveAll() {
    const saved = [];
    const count = await this.page.$$eval('#saved .save', (buttons) => buttons.length);
    for (let index = 0; index < count; index += 1) {
      await this.page.$$eval('#saved .save', (buttons, at) => buttons[at].click(), index);
      saved.push(await this.browser.download());
    }
    return saved;
  }

  /** Waits until one of these is to be seen, for as long as anything at all changes on the page; tells which. */
  async shown(...selectors) {
    let last;
    let end = Date.now() + PATIENCE;
    for (;;) {
      const [shown, text] = await this.page.evaluate((wanted) => {
        const found = wanted.find((selector) => document.querySelector(selector)?.checkVisibility());
        return [found, document.querySelector('main')?.innerText];
      }, selectors);
      if (shown) return shown;
      if (text !== last) [last, end] = [text, Date.now() + PATIENCE];
      if (Date.now() > end) throw new Error(`none of ${selectors} is shown, but: ${text}`);
      await sleep(LOOK);
    }
  }

  /** Its worker, once there is one. Firefox lets nobody in. */
  worker() {
    return eventually('a worker', () => this.page.workers()[0]);
  }

  /** Waits until something is the case in the page, whose policy forbids what puppeteer waits with. */
  until(look, argument) {
    return eventually(String(look), () => this.page.evaluate(look, argument));
  }

  async violations() {
    return this.page.evaluate(() => window.violations);
  }

  /** What everything was given out as that a blob was given an address for. */
  async types() {
    return this.page.evaluate(() => window.types);
  }
}
