/** What has arrived, and where it is put. */
import { openSpool } from './spool.js';

/** Bytes that are moved at once from one spool to another. */
const PIECE_LEN = 1 << 18;

/** @typedef {import('./spool.js').Spool} Spool */
/** A file that is complete; without its content where that cannot be read again. `isPlaced`: it is where the person wants it. */
/** @typedef {{path: string, size: number, sha256: string, content?: Blob, isPlaced: boolean}} Received */

export class Storing {
  #session;
  #memory;
  #handleBegun;
  #isStream = false;
  /** @type {Spool | undefined} */
  #spool;
  /** Those that had no room any more, with files that are complete. @type {Spool[]} */
  #earlier = [];
  /** The number of the file that is being written. @type {number | undefined} */
  #file;
  #committed = 0;
  /** Bytes that are stored; those of complete files among them. */
  done = 0;
  /** @type {Received[]} */
  received = [];

  /**
   * @param {import('./wire/wire.js').Session} session  Knows the files, and where their bytes lie in memory.
   * @param {WebAssembly.Memory} memory
   * @param {(path: string) => void} handleBegun  Called when another file comes.
   */
  constructor(session, memory, handleBegun) {
    this.#session = session;
    this.#memory = memory;
    this.#handleBegun = handleBegun;
  }

  /** Whether there is a place for anything. */
  get isOpen() {
    return this.#spool !== undefined;
  }

  /**
   * Finds a place by itself, if the browser has one.
   * @param {{size: number, isStream: boolean}} offer
   */
  async open({ size, isStream }) {
    this.#isStream = isStream;
    this.#spool = await openSpool(size, isStream);
  }

  /**
   * Goes on elsewhere. Files that are complete stay where they are; the one that is being written moves.
   * @param {Spool} spool
   */
  async move(spool) {
    const before = this.#spool;
    if (this.#file !== undefined) await this.#copy(before, spool, this.#file);
    this.#spool = spool;
    if (!before) return;
    this.#earlier.push(before);
    if (this.#file !== undefined) await before.drop();
  }

  /**
   * @param {{file: number, start: number, len: number}} what
   * @returns {void | Promise<void>}  Most are done at once.
   */
  write({ file, start, len }) {
    if (file !== this.#file) return this.#begin(file).then(() => this.write({ file, start, len }));
    const written = this.#spool.write(new Uint8Array(this.#memory.buffer, this.#session.staging() + start, len));
    if (written) return written.then(() => void (this.done += len));
    this.done += len;
  }

  /** @param {{file: number, offset: number}} what  What is behind it did not come from this sender's file. */
  rewind({ file, offset }) {
    if (file !== this.#file) return;
    this.done = this.#committed + offset;
    return this.#spool.rewind(offset);
  }

  /** @param {{file: number, len: number, sha256: string}} what */
  async commit({ file, len, sha256 }) {
    if (file !== this.#file) await this.#begin(file);
    const content = await this.#spool.end();
    if (content && content.size !== len) throw new Error('the storage has lost something');
    this.#file = undefined;
    this.#committed += len;
    this.received.push({ path: this.#describe(file).path, size: len, sha256, content, isPlaced: this.#spool.isPlace });
  }

  /** What waits for somebody, as a download does that the person has paused, fails. */
  interrupt() {
    this.#spool?.interrupt?.();
  }

  /** Forgets everything that is not where the person wants it. */
  async clear() {
    const spools = [...this.#earlier, this.#spool];
    this.#earlier = [];
    this.#spool = undefined;
    this.received = [];
    await Promise.allSettled(spools.map((spool) => spool?.clear()));
  }

  /** @param {number} file */
  async #begin(file) {
    const described = this.#describe(file);
    await this.#spool.begin(described);
    this.#file = file;
    this.#handleBegun(described.path);
  }

  /** @param {number} number */
  #describe(number) {
    const { path, size } = JSON.parse(this.#session.file(number));
    return { number, path, size: this.#isStream ? undefined : size };
  }

  /**
   * @param {Spool} from
   * @param {Spool} to
   * @param {number} file
   */
  async #copy(from, to, file) {
    const content = await from.content();
    try {
      await to.begin(this.#describe(file));
      for (let at = 0; at < content.size; at += PIECE_LEN) {
        const piece = await content.slice(at, at + PIECE_LEN).arrayBuffer();
        await to.write(new Uint8Array(piece));
      }
    } catch (error) {
      await to.clear().catch(() => {});
      throw error;
    }
  }
}
