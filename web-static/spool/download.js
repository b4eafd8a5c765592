import { Parts } from './parts.js';

/** The person has stopped the download in the browser. */
export class Stopped extends Error {}

/**
 * A download of the browser, which takes each part when it wants it. It cannot take anything back: the last part is
 * held until the file is known to be what was sent, and a file that is not becomes a download that failed.
 *
 * @implements {import('../spool.js').Spool}
 */
export class Download {
  isPlace = true;
  #start;
  /** @type {MessagePort | undefined} */
  #port;
  #isWanted = false;
  #isStopped = false;
  /** Called when something was said. */
  #heard = () => {};
  #parts = new Parts((part) => this.#give(part.slice()));

  /** @param {(file: {path: string, size?: number, port: MessagePort}) => void} start  Lets the page begin a download. */
  constructor(start) {
    this.#start = start;
  }

  /** @param {{path: string, size?: number}} file */
  async begin({ path, size }) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#isWanted = this.#isStopped = false;
    port1.onmessage = ({ data }) => {
      if (data !== 'more') return this.interrupt();
      this.#isWanted = true;
      this.#heard();
    };
    this.#parts.restart(0, new Uint8Array(0));
    this.#start({ path, size, port: port2 });
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    return this.#parts.write(bytes);
  }

  /** @param {number} len */
  rewind(len) {
    const { stored, pending } = this.#parts;
    if (len < stored) throw new Error('a download cannot be taken back');
    this.#parts.restart(stored, pending.slice(0, len - stored));
  }

  async end() {
    await this.#parts.flush();
    await this.#give(null);
    this.#port = undefined;
    return undefined;
  }

  interrupt() {
    this.#isStopped = true;
    this.#heard();
  }

  async clear() {
    this.#port?.postMessage('stopped');
    this.#port = undefined;
  }

  /** @param {Uint8Array | null} piece  Nothing at the end. */
  async #give(piece) {
    while (!this.#isWanted && !this.#isStopped) await new Promise((resolve) => (this.#heard = () => resolve(undefined)));
    if (this.#isStopped) throw new Stopped();
    this.#isWanted = false;
    this.#port.postMessage(piece, piece ? [piece.buffer] : []);
  }
}
