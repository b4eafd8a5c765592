import { full } from './probe.js';

/** @implements {import('../spool.js').Spool} */
export class Memory {
  isPlace = false;
  #room;
  /** @type {BlobPart[]} */
  #parts = [];

  /** @param {number} limit  Bytes. */
  constructor(limit) {
    this.#room = limit;
  }

  async begin() {
    this.#parts = [];
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    if (bytes.length > this.#room) throw full();
    this.#room -= bytes.length;
    this.#parts.push(bytes.slice());
  }

  /** @param {number} len */
  async rewind(len) {
    const all = await this.content();
    this.#room += all.size - len;
    this.#parts = [all.slice(0, len)];
  }

  async content() {
    return new Blob(this.#parts);
  }

  async end() {
    const file = await this.content();
    this.#parts = [];
    return file;
  }

  async drop() {
    await this.rewind(0);
  }

  async clear() {
    this.#parts = [];
  }
}
