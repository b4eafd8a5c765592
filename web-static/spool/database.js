import { release } from './names.js';
import { full, probed } from './probe.js';
import { PART_LEN, Parts } from './parts.js';

const STORE = 'parts';

/**
 * Blobs in a database: what is left on a page that is not https. The browser keeps them on the disk.
 * @implements {import('../spool.js').Spool}
 */
export class Database {
  isPlace = false;
  name;
  #database;
  #key = '';
  #parts = new Parts((part) => this.#store(part));

  /** @param {string} name  Of a database that is not there yet. */
  static async open(name) {
    return probed(await Database.reopen(name));
  }

  /** @param {string} name */
  static async reopen(name) {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    return new Database(name, await settled(request));
  }

  /**
   * @param {string} name
   * @param {IDBDatabase} database
   */
  constructor(name, database) {
    this.name = name;
    this.#database = database;
  }

  /** @param {string} key */
  async held(key) {
    const parts = await settled(this.#reader().getAll(IDBKeyRange.bound([key], [key, Infinity])));
    return parts.length > 0 ? new Blob(parts) : undefined;
  }

  /** @param {{key: string, kept?: number}} file */
  async begin({ key, kept = 0 }) {
    this.#key = key;
    await this.#goBack(kept);
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    return this.#parts.write(bytes);
  }

  /** @param {number} len */
  async rewind(len) {
    const { stored, pending } = this.#parts;
    if (len >= stored) return this.#parts.restart(stored, pending.slice(0, len - stored));
    await this.#goBack(len);
  }

  /** @param {number} len  Bytes that are stored and stay; parts behind them are written over. */
  async #goBack(len) {
    const [whole, rest] = [len - (len % PART_LEN), len % PART_LEN];
    const part = rest > 0 ? await this.#load(whole / PART_LEN) : new Uint8Array(0);
    this.#parts.restart(whole, part.subarray(0, rest));
  }

  async content() {
    return new Blob([...(await this.#stored()), this.#parts.pending.slice()]);
  }

  async end() {
    await this.#parts.flush();
    return new Blob(await this.#stored());
  }

  async drop() {
    await this.#write((store) => store.delete(this.#range()));
  }

  async leave() {
    this.#database.close();
    release(this.name);
  }

  async clear() {
    this.#database.close();
    await settled(indexedDB.deleteDatabase(this.name)).finally(() => release(this.name));
  }

  /** @param {Uint8Array} part */
  #store(part) {
    return this.#write((store) => store.put(new Blob([part]), [this.#key, this.#parts.stored / PART_LEN]));
  }

  /** @param {number} index */
  async #load(index) {
    const part = await settled(this.#reader().get([this.#key, index]));
    return new Uint8Array(await part.arrayBuffer());
  }

  #stored() {
    return settled(this.#reader().getAll(this.#range()));
  }

  /** The parts that are stored of this file: what was taken back is behind them. */
  #range() {
    return IDBKeyRange.bound([this.#key], [this.#key, Math.ceil(this.#parts.stored / PART_LEN)], false, true);
  }

  #reader() {
    return this.#database.transaction(STORE).objectStore(STORE);
  }

  /** @param {(store: IDBObjectStore) => void} change */
  #write(change) {
    const transaction = this.#database.transaction(STORE, 'readwrite', { durability: 'relaxed' });
    change(transaction.objectStore(STORE));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(undefined);
      transaction.onabort = () => reject(transaction.error ?? full());
    });
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
