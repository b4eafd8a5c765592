import { release } from './names.js';
import { attempt, full, probed } from './probe.js';

/**
 * Files of the origin's own file system, written without a copy.
 * @implements {import('../spool.js').Spool}
 */
export class OriginFiles {
  isPlace = false;
  name;
  #directory;
  /** @type {FileSystemFileHandle | undefined} */
  #file;
  /** @type {FileSystemSyncAccessHandle | undefined} */
  #access;
  #offset = 0;

  /** @param {string} name  Of a directory that is not there yet. */
  static async open(name) {
    const root = await navigator.storage.getDirectory();
    return probed(new OriginFiles(name, await root.getDirectoryHandle(name, { create: true })));
  }

  /** @param {string} name  Of a directory that is there. */
  static async reopen(name) {
    const root = await navigator.storage.getDirectory();
    return new OriginFiles(name, await root.getDirectoryHandle(name));
  }

  /**
   * @param {string} name
   * @param {FileSystemDirectoryHandle} directory
   */
  constructor(name, directory) {
    this.name = name;
    this.#directory = directory;
  }

  /** @param {string} key */
  async held(key) {
    return attempt(async () => (await this.#directory.getFileHandle(key)).getFile());
  }

  /** @param {{key: string, kept?: number}} file */
  async begin({ key, kept = 0 }) {
    this.#file = await this.#directory.getFileHandle(key, { create: true });
    this.#access = await this.#file.createSyncAccessHandle();
    this.rewind(kept);
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    if (this.#access.write(bytes, { at: this.#offset }) !== bytes.length) throw full();
    this.#offset += bytes.length;
  }

  /** @param {number} len */
  rewind(len) {
    this.#access.truncate(len);
    this.#offset = len;
  }

  /** What a write without room has left behind its beginning is not part of it. */
  async content() {
    const file = await this.#file.getFile();
    return file.slice(0, this.#offset);
  }

  async end() {
    this.#access.flush();
    this.#close();
    return this.#file.getFile();
  }

  async drop() {
    this.#close();
    await this.#directory.removeEntry(this.#file.name);
  }

  async leave() {
    this.#close();
    release(this.name);
  }

  async clear() {
    this.#close();
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(this.name, { recursive: true }).finally(() => release(this.name));
  }

  #close() {
    this.#access?.close();
    this.#access = undefined;
  }
}
