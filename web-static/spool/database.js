import { full, probed } from './probe.js';
import { PART_LEN, Parts } from './parts.js';

const STORE = 'parts';

/**
 * Blobs in a database: what is left on a page that is not https. The browser keeps them on the disk.
 * @implements {import('../spool.js').Spool}
 */
export class Database {
  isPlace = false;
  #database;
  #number = 0;
  #parts = new Parts((part) => this.#store(part));

  /** @param {string} name  Of a database that is not there yet. */
  static async open(name) {
    const request = indexedDB.open(name);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    return probed(new Database(await settled(request)));
  }

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
  }

  /** @param {{number: number}} file */
  async begin({ number }) {
    this.#number = number;
    this.#parts.restart(0, new Uint8Array(0));
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    return this.#parts.write(bytes);
  }

  /** @param {number} len */
  async rewind(len) {
    const { stored, pending } = this.#parts;
    if (len >= stored) return this.#parts.restart(stored, pending.slice(0, len - stored));
    const index = Math.floor(len / PART_LEN);
    const part = await this.#load(index);
    this.#parts.restart(index * PART_LEN, part.subarray(0, len - index * PART_LEN));
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

  async clear() {
    this.#database.close();
    await settled(indexedDB.deleteDatabase(this.#database.name));
  }

  /** @param {Uint8Array} part */
  #store(part) {
    return this.#write((store) => store.put(new Blob([part]), [this.#number, this.#parts.stored / PART_LEN]));
  }

  /** @param {number} index */
  async #load(index) {
    const part = await settled(this.#reader().get([this.#number, index]));
    return new Uint8Array(await part.arrayBuffer());
  }

  #stored() {
    return settled(this.#reader().getAll(this.#range()));
  }

  /** The parts that are stored of this file: what was taken back is behind them. */
  #range() {
    return IDBKeyRange.bound([this.#number], [this.#number, Math.ceil(this.#parts.stored / PART_LEN)], false, true);
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
