/** What has arrived, and where it is put. */
import { findSpool, openSpool } from './spool.js';

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
  /** The number of the file that is being written, and how far it is. @type {number | undefined} */
  #file;
  #offset = 0;
  #committed = 0;
  /** What is stored of files that are not begun yet, by number: bytes; and where. @type {Map<number, number>} */
  #held = new Map();
  /** @type {Spool | undefined} */
  #holder;
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

  /** By what another page finds what is stored here; nothing where it ends with this one. */
  get name() {
    return this.#spool?.name;
  }

  /** Bytes that are stored. */
  get done() {
    return [...this.#held.values()].reduce((sum, len) => sum + len, this.#committed + this.#offset);
  }

  /**
   * Finds a place by itself, if the browser has one: what an earlier attempt has left of these files, or a new one.
   * @param {{size: number, isStream: boolean}} offer
   * @param {{number: number, key: string}[]} files
   * @param {string} [own]  What this tab has used before.
   */
  async open({ size, isStream }, files, own) {
    this.#isStream = isStream;
    if (!isStream) this.#holder = await findSpool(files, own);
    this.#spool = this.#holder ?? (await openSpool(size, isStream));
    if (!this.#holder) return;
    for (const { number, key } of files) this.#held.set(number, (await this.#holder.held(key))?.size ?? 0);
  }

  /**
   * Reads what an earlier attempt has left, and says how it begins.
   * @param {() => void} handleRead  Called after each piece.
   */
  async hold(handleRead) {
    const found = [...this.#held];
    this.#held.clear();
    for (const [number, len] of found) {
      const content = len > 0 ? await this.#holder.held(this.#describe(number).key) : undefined;
      if (!content) continue;
      for (let at = 0; at < content.size; at += this.#session.room) {
        const piece = await content.slice(at, at + this.#session.room).arrayBuffer();
        new Uint8Array(this.#memory.buffer, this.#session.staging(), piece.byteLength).set(new Uint8Array(piece));
        this.#session.readHeld(piece.byteLength);
        this.#held.set(number, at + piece.byteLength);
        handleRead();
      }
      this.#held.set(number, Number(this.#session.hold(number)));
    }
  }

  /**
   * Goes on elsewhere. Files that are complete stay where they are; the one that is being written moves.
   * @param {Spool} spool
   */
  async move(spool) {
    const before = this.#spool;
    if (this.#file !== undefined) await this.#fill(spool, this.#file, await before.content());
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
    if (written) return written.then(() => void (this.#offset += len));
    this.#offset += len;
  }

  /** @param {{file: number, offset: number}} what  So much of the file is the sender's, and writing goes on behind it. */
  async rewind({ file, offset }) {
    if (file !== this.#file) return this.#begin(file, offset);
    await this.#spool.rewind(offset);
    this.#offset = offset;
  }

  /** @param {{file: number, len: number, sha256: string, isHeld: boolean}} what  A file that is held was complete before. */
  async commit({ file, len, sha256, isHeld }) {
    const { path, key } = this.#describe(file);
    const content = isHeld ? await this.#holder.held(key) : await this.#end(file);
    if (content && content.size !== len) throw new Error('the storage has lost something');
    this.#held.delete(file);
    this.#committed += len;
    this.received.push({ path, size: len, sha256, content, isPlaced: !isHeld && this.#spool.isPlace });
  }

  /** What waits for somebody, as a download does that the person has paused, fails. */
  interrupt() {
    this.#spool?.interrupt?.();
  }

  /** Stops using what is stored, which stays for a later attempt where it can. */
  async leave() {
    await this.#forget((spool) => (spool.leave ?? spool.clear).call(spool));
  }

  /** Forgets everything that is not where the person wants it. */
  async clear() {
    await this.#forget((spool) => spool.clear());
  }

  /** @param {(spool: Spool) => Promise<void>} how */
  async #forget(how) {
    const spools = [...this.#earlier, this.#spool].filter((spool) => spool !== undefined);
    this.#earlier = [];
    this.#spool = undefined;
    this.received = [];
    await Promise.allSettled(spools.map(how));
  }

  /**
   * @param {number} file
   * @param {number} [kept]  Bytes that are stored of it and stay.
   */
  async #begin(file, kept = 0) {
    const described = this.#describe(file);
    if (kept > 0 && this.#spool !== this.#holder) {
      const content = await this.#holder.held(described.key);
      await this.#fill(this.#spool, file, content.slice(0, kept));
    } else {
      await this.#spool.begin({ ...described, kept });
    }
    this.#held.delete(file);
    this.#file = file;
    this.#offset = kept;
    this.#handleBegun(described.path);
  }

  /** @param {number} file */
  async #end(file) {
    if (file !== this.#file) await this.#begin(file);
    const content = await this.#spool.end();
    this.#file = undefined;
    this.#offset = 0;
    return content;
  }

  /** @param {number} number */
  #describe(number) {
    const { path, size, key } = JSON.parse(this.#session.file(number));
    return { path, key, size: this.#isStream ? undefined : size };
  }

  /**
   * @param {Spool} spool
   * @param {number} file
   * @param {Blob} content  Of its beginning.
   */
  async #fill(spool, file, content) {
    try {
      await spool.begin(this.#describe(file));
      for (let at = 0; at < content.size; at += PIECE_LEN) {
        const piece = await content.slice(at, at + PIECE_LEN).arrayBuffer();
        await spool.write(new Uint8Array(piece));
      }
    } catch (error) {
      await spool.clear().catch(() => {});
      throw error;
    }
  }
}
