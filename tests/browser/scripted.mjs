/** The page with a worker that says what a test wants: the screens can be seen without anything behind them. */
import { open } from './browser.mjs';

/**
 * @param {string} executable
 * @param {string} address  Of the page.
 * @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function openScripted(executable, address, options) {
  const opened = await open(executable, options);
  // Time is the test's: what takes seconds is there at once.
  await opened.page.clock.install();
  await opened.page.addInitScript(script);
  return { ...opened, screens: new Screens(opened.page, address) };
}

/** Takes the place of the worker, of the connection and of what the browser does besides. Runs in the page. */
function script() {
  // An empty page has neither.
  if (!navigator.serviceWorker) return;
  navigator.serviceWorker.register = async () => {};
  // Phones have it, and so do some desktops; a browser without a screen has not.
  navigator.canShare = () => true;
  window.locks = [];
  navigator.wakeLock.request = async () => {
    const lock = { released: false, release: async () => (lock.released = true) };
    window.locks.push(lock);
    return lock;
  };
  const asked = [];
  window.asked = asked;
  window.Worker = class {
    constructor() {
      window.scripted = this;
    }

    postMessage(message) {
      asked.push(message);
    }
  };
  const candidate = { candidateType: 'host', address: '192.168.1.20' };
  const pair = { type: 'candidate-pair', nominated: true, state: 'succeeded', localCandidateId: 'l', remoteCandidateId: 'r' };
  const stats = new Map([['l', candidate], ['r', candidate], ['p', pair]]);
  window.RTCPeerConnection = class {
    createDataChannel() {
      return {};
    }

    async setRemoteDescription() {}
    async setLocalDescription() {}
    async createAnswer() {
      return { sdp: '' };
    }

    async getStats() {
      return stats;
    }

    close() {}
  };
}

/** Brings a page to its screens, as the worker would. */
export class Screens {
  #page;
  #address;

  /**
   * @param {import('playwright-core').Page} page
   * @param {string} address
   */
  constructor(page, address) {
    this.#page = page;
    this.#address = address;
  }

  /** The page as one opens it, with `fragment` after its address. */
  async load(fragment = '') {
    await this.#page.goto('about:blank');
    await this.#page.goto(this.#address + fragment);
    await this.#page.locator('#language option').first().waitFor({ state: 'attached' });
  }

  /** @param {...object} events  From the worker. Files that are done get contents here. */
  async tell(...events) {
    await this.#page.evaluate((all) => {
      for (const event of all) {
        for (const file of event.files ?? []) file.content = new Blob(['content']);
        if (event.picture) event.picture = Uint8Array.from(event.picture);
        window.scripted.onmessage({ data: event });
      }
    }, events);
  }

  /** Everything that was asked of the worker. */
  asked() {
    return this.#page.evaluate(() => window.asked.map(({ salt, ...message }) => {
      for (const [key, value] of Object.entries(message)) if (value === undefined) delete message[key];
      return message;
    }));
  }

  /** Waits until something of this type was asked. */
  async awaitAsked(type) {
    await this.#page.waitForFunction((wanted) => window.asked.some((message) => message.type === wanted), type);
  }

  /** @param {number} time  Milliseconds, which are over at once. */
  async pass(time) {
    await this.#page.clock.fastForward(time);
  }

  async tap(id) {
    await this.#page.locator(`#${id}`).click();
  }

  async found() {
    await this.load('#link');
    await this.#page.locator('#found').waitFor();
  }

  /** @param {'server' | 'code' | 'path'} [at] */
  async connecting(at = 'code') {
    await this.found();
    await this.tap('receive');
    await this.awaitAsked('look');
    await this.tell({ type: 'found', trace: `${Math.random()}` });
    await this.awaitAsked('receive');
    if (at !== 'server') await this.tell({ type: 'reached' });
    if (at === 'path') await this.tell({ type: 'connect', sdp: '', iceServers: [], channel: 0 });
  }

  /** @param {Partial<{files: object[], size: number, isStream: boolean, leftOut: number}>} [offer] */
  async confirm(offer = {}) {
    await this.connecting('path');
    await this.tell({ type: 'offer', files: [MOVIE], size: MOVIE.size, isStream: false, leftOut: 0, ...offer });
  }

  /** @param {number} [done]  Bytes. */
  async receiving(done = 840e6, offer = {}) {
    await this.confirm(offer);
    await this.tap('accept');
    await this.tell({ type: 'file', path: MOVIE.path }, { type: 'progress', done: 0 });
    await this.pass(30_000);
    await this.tell({ type: 'progress', done });
    await this.#page.locator('#path:not(:empty)').waitFor();
  }

  /** @param {{name: string, mimeType: string, buffer: Buffer}[]} [files]  To send. */
  async choose(files = []) {
    await this.load();
    await this.tap('send');
    await this.#page.locator('#choose').waitFor();
    if (files.length > 0) await this.#page.locator('#files').setInputFiles(files);
  }

  async awaiting() {
    await this.choose(OWN);
    await this.tap('choose-send');
    await this.awaitAsked('send');
  }

  async refused() {
    await this.#page.evaluate(() => sessionStorage.clear());
    await this.awaiting();
    await this.tell({ type: 'failed', why: 'token' });
  }

  async inviting(more = {}) {
    await this.awaiting();
    await this.tell({ ...INVITATION, ...more });
  }

  async sending() {
    await this.inviting();
    await this.tell({ type: 'connect', iceServers: [], channel: 0 }, { type: 'offered' }, { type: 'accepted' });
    await this.#page.locator('#sending-path:not(:empty)').waitFor();
    await this.pass(3000);
    await this.tell({ type: 'progress', done: 120_000 });
  }

  async done(files = [MOVIE]) {
    await this.receiving();
    await this.tell({ type: 'verifying' }, { type: 'done', files: files.map((file) => ({ ...file, sha256: SHA256 })) });
  }
}

const WORDS = 'apple river stone window';
const SHA256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
export const MOVIE = { path: 'Holiday in the mountains.mp4', size: 2e9 };
export const SEVERAL = [
  { path: 'report.pdf', size: 231_000 },
  { path: 'photos/größe 日本語 with quite a long name that does not fit into a single line.jpeg', size: 1_400_000 },
  { path: 'photos/שלום עולם.png', size: 48_213 },
  { path: 'empty.txt', size: 0 },
];

/** Names that would do something if they were more than text. */
export const HOSTILE = [
  '<img src=x onerror=alert(1)>.png',
  'javascript:alert(1)',
  '__proto__',
  'constructor',
  '"><script>alert(1)</script>',
  'evil\u202egpj.exe',
  '{name} {count}',
  `${'a'.repeat(250)}.txt`,
].map((path) => ({ path, size: 1 }));

const OWN = ['photo of the lake.jpeg', 'Ein langer Name für ein Dokument, das niemand so nennen sollte.pdf'].map((name) => ({
  name,
  mimeType: 'application/octet-stream',
  buffer: Buffer.alloc(150_000),
}));
/** A square that looks like one of those that cameras read. */
const PICTURE = Array.from({ length: 29 * 29 }, (_, at) => ((at * at * 7 + at) % 11 < 5 ? 1 : 0));
const INVITATION = {
  type: 'code',
  code: '48-2093',
  link: 'https://send.example.org/#1.BQmSM0ShdvhqSNBPFO0SQA',
  picture: PICTURE,
  ttl: 300,
  codesLeft: 2,
  closed: null,
};
const MANY = Array.from({ length: 300 }, (_, index) => ({ path: `photos/IMG_${4000 + index}.jpeg`, size: 2_400_000 + index }));

/** Every screen in every form, and how one gets there. */
export const STATES = {
  enter: (screens) => screens.load(),
  mistake: async (screens, page) => {
    await screens.load();
    await page.locator('#code').fill('1234567');
    await page.locator('#code').press('Enter');
    await screens.awaitAsked('look');
    await screens.tell({ type: 'refused', why: 'needs-dash' });
  },
  found: (screens) => screens.found(),
  connecting: (screens) => screens.connecting(),
  slow: async (screens, page) => {
    await screens.connecting('path');
    await screens.pass(3000);
    await page.locator('#slow:not(:empty)').waitFor();
  },
  'confirm-one': (screens) => screens.confirm(),
  'confirm-several': (screens) => screens.confirm({ files: SEVERAL, size: 1_679_213, leftOut: 2 }),
  'confirm-many': (screens) => screens.confirm({ files: MANY, size: 7.2e8 }),
  'confirm-hostile': (screens) => screens.confirm({ files: HOSTILE, size: 8 }),
  'confirm-stream': (screens) => screens.confirm({ files: [{ path: 'backup.tar', size: 0 }], size: 0, isStream: true }),
  'confirm-without-room': (screens) => screens.confirm({ size: 2e9, mustChoose: true }),
  'confirm-held': (screens) => screens.confirm({ held: 840e6 }),
  'confirm-words': (screens) => screens.confirm({ words: WORDS }),
  'confirm-text': (screens) => screens.confirm({ files: [{ path: 'text.txt', size: 40 }], size: 40, isText: true }),
  receiving: (screens) => screens.receiving(),
  'receiving-stream': (screens) => screens.receiving(840e6, { size: 0, isStream: true }),
  reconnecting: async (screens) => {
    await screens.receiving();
    await screens.tell({ type: 'reconnecting' });
  },
  paused: async (screens) => {
    await screens.receiving();
    await screens.tell({ type: 'paused' });
  },
  full: async (screens) => {
    await screens.receiving();
    await screens.tell({ type: 'full' });
  },
  verifying: async (screens) => {
    await screens.receiving();
    await screens.tell({ type: 'verifying' });
  },
  'done-one': (screens) => screens.done(),
  'done-several': (screens) => screens.done(SEVERAL),
  'done-placed': (screens) => screens.done(SEVERAL.map((file) => ({ ...file, isPlaced: true }))),
  'done-saved': async (screens, page) => {
    await screens.done(SEVERAL);
    for (const button of await page.locator('#saved button').all()) await button.click();
  },
  choose: (screens) => screens.choose(),
  'choose-files': (screens) => screens.choose(OWN),
  write: async (screens) => {
    await screens.choose();
    await screens.tap('choose-write');
  },
  'write-nothing': async (screens, page) => {
    await STATES.write(screens);
    await page.locator('#write-form button').click();
  },
  private: (screens) => screens.refused(),
  'private-again': async (screens, page) => {
    await screens.refused();
    await page.locator('#token').fill('guess');
    await page.locator('#private-form button').click();
    await screens.tell({ type: 'failed', why: 'token' });
  },
  'awaiting-server': (screens) => screens.awaiting(),
  inviting: (screens) => screens.inviting(),
  'inviting-by-link': (screens) => screens.inviting({ code: null, closed: 'wrong-code' }),
  'inviting-again': (screens) => screens.inviting({ closed: 'wrong-code', link: null, picture: undefined }),
  'awaiting-consent': async (screens) => {
    await screens.inviting();
    await screens.tell({ type: 'connect', iceServers: [], channel: 0 }, { type: 'offered', words: WORDS });
  },
  sending: (screens) => screens.sending(),
  sent: async (screens) => {
    await screens.sending();
    await screens.tell({ type: 'done' });
  },
  'failed-kept': async (screens) => {
    await screens.receiving();
    await screens.tell({ type: 'failed', why: 'lost', kept: 840e6 });
  },
  'failed-sending': async (screens) => {
    await screens.inviting();
    await screens.tell({ type: 'failed', why: 'expired' });
  },
};

/** @param {string} why  @returns {(screens: Screens) => Promise<void>} */
export const failing = (why) => async (screens) => {
  await screens.connecting();
  await screens.tell({ type: 'failed', why, retryAfter: why === 'too-often' ? 90 : undefined });
};
