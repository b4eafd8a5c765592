import { locate } from '../folder.js';
import { Parts } from './parts.js';

/**
 * Where the person said: the browser writes beside the file and puts it in place once it is complete.
 * @implements {import('../spool.js').Spool}
 */
export class Disk {
  isPlace = true;
  #target;
  /** @type {any} */
  #file;
  /** @type {any} */
  #writable;
  #parts = new Parts((part) => this.#writable.write(part));

  /** @param {{file?: any, folder?: any}} target  Handles: of the one file that comes, or of a folder for any number. */
  constructor(target) {
    this.#target = target;
  }

  /** @param {{path: string}} file */
  async begin({ path }) {
    const { file, folder } = this.#target;
    this.#file = file ?? (await locate(folder, path));
    this.#writable = await this.#file.createWritable();
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
    await this.#writable.truncate(len);
    await this.#writable.seek(len);
    this.#parts.restart(len, new Uint8Array(0));
  }

  async end() {
    await this.#parts.flush();
    await this.#writable.close();
    this.#writable = undefined;
    return this.#file.getFile();
  }

  /** Only what is not complete: the rest is the person's. */
  async clear() {
    if (!this.#writable) return;
    await this.#writable.abort();
    await this.#file.remove?.();
  }
}
