import { release } from './names.js';
import { Parts } from './parts.js';
import { attempt, full, probed } from './probe.js';

/**
 * Files of the origin's own file system. What is written there costs each time as much as some hundred kilobytes do, because
 * the browser asks itself whether there is room.
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
  #parts = new Parts((part) => this.#store(part));

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
    this.#access.truncate(kept);
    this.#parts.restart(kept, new Uint8Array(0));
  }

  /** @param {Uint8Array} bytes */
  write(bytes) {
    return this.#parts.write(bytes);
  }

  /** @param {number} len */
  rewind(len) {
    const { stored, pending } = this.#parts;
    if (len >= stored) return this.#parts.restart(stored, pending.slice(0, len - stored));
    this.#access.truncate(len);
    this.#parts.restart(len, new Uint8Array(0));
  }

  /** What a write without room has left behind its beginning is not part of it. */
  async content() {
    const file = await this.#file.getFile();
    return new Blob([file.slice(0, this.#parts.stored), this.#parts.pending.slice()]);
  }

  async end() {
    await this.#parts.flush();
    this.#access.flush();
    this.#close();
    return this.#file.getFile();
  }

  async drop() {
    this.#close();
    await this.#directory.removeEntry(this.#file.name);
  }

  async leave() {
    // What has no room is sent again.
    if (this.#access) await attempt(() => this.#parts.flush());
    this.#close();
    release(this.name);
  }

  async clear() {
    this.#close();
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(this.name, { recursive: true }).finally(() => release(this.name));
  }

  /** @param {Uint8Array} part */
  #store(part) {
    if (this.#access.write(part, { at: this.#parts.stored }) !== part.length) throw full();
  }

  #close() {
    this.#access?.close();
    this.#access = undefined;
  }
}
