/**
 * Where received bytes wait until they are saved. A spool takes files one after the other: `begin`, `write` in order,
 * `end`. What `write` is given lies in memory that is used again, so what is not written before it returns is copied.
 *
 * @typedef {object} Spool
 * @property {(file: number) => Promise<void>} begin
 * @property {(bytes: Uint8Array) => void | Promise<void>} write  May be done again after it found no room; so may `end`.
 * @property {(len: number) => void | Promise<void>} rewind  Only the first `len` bytes of the file stay.
 * @property {() => Promise<Blob>} end  The file, complete.
 * @property {() => Promise<void>} clear  Forgets everything.
 */

/** Up to this size everything stays in memory: bytes. */
const MEMORY_LEN = 16 << 20;
/** How much may stay in memory when there is nothing else, on a phone and elsewhere: bytes. */
const LAST_RESORT_LEN = { touch: 100 << 20, other: 256 << 20 };
/** Bytes in one Blob of the database. */
const PART_LEN = 1 << 20;
/** What was received this long ago and never cleared is deleted: milliseconds. */
const KEPT_FOR = 24 * 60 * 60 * 1000;
const PREFIX = 'send-';

/**
 * The first spool that this browser can do, found out by trying.
 *
 * @param {number} size  Bytes; 0 when nobody knows.
 * @param {boolean} isUnknown  Whether nobody knows the size.
 * @param {boolean} isTouch  Whether this is a phone or a tablet.
 * @returns {Promise<Spool | undefined>}  Nothing when so much fits nowhere.
 */
export async function openSpool(size, isUnknown, isTouch) {
  if (!isUnknown && size <= MEMORY_LEN) return new Memory(MEMORY_LEN);
  const found = (await attempt(FileSystem.open)) ?? (await attempt(Database.open));
  if (found) return found;
  const limit = isTouch ? LAST_RESORT_LEN.touch : LAST_RESORT_LEN.other;
  return isUnknown || size <= limit ? new Memory(limit) : undefined;
}

/** Deletes what earlier visits have left. */
export async function sweep() {
  await attempt(async () => {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) {
      // Another tab that is still receiving holds its own.
      if (isOld(name)) await attempt(() => root.removeEntry(name, { recursive: true }));
    }
  });
  await attempt(async () => {
    for (const { name } of await indexedDB.databases()) {
      if (name && isOld(name)) indexedDB.deleteDatabase(name);
    }
  });
}

/**
 * @template T
 * @param {() => Promise<T>} what
 * @returns {Promise<T | undefined>}
 */
async function attempt(what) {
  try {
    return await what();
  } catch {
    return undefined;
  }
}

function newName() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  return `${PREFIX}${Date.now()}-${random[0].toString(36)}${random[1].toString(36)}`;
}

/** @param {string} name */
function isOld(name) {
  return name.startsWith(PREFIX) && Date.now() - parseInt(name.slice(PREFIX.length), 10) > KEPT_FOR;
}

function full() {
  return new DOMException('no room', 'QuotaExceededError');
}

/** @implements {Spool} */
class Memory {
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
  rewind(len) {
    const all = new Blob(this.#parts);
    this.#room += all.size - len;
    this.#parts = [all.slice(0, len)];
  }

  async end() {
    const file = new Blob(this.#parts);
    this.#parts = [];
    return file;
  }

  async clear() {
    this.#parts = [];
  }
}

/**
 * Files of the origin's own file system, written without a copy.
 * @implements {Spool}
 */
class FileSystem {
  #name;
  #directory;
  /** @type {FileSystemFileHandle | undefined} */
  #file;
  /** @type {FileSystemSyncAccessHandle | undefined} */
  #access;
  #offset = 0;

  static async open() {
    const root = await navigator.storage.getDirectory();
    const name = newName();
    const spool = new FileSystem(name, await root.getDirectoryHandle(name, { create: true }));
    try {
      await spool.begin(-1);
      spool.write(new Uint8Array(1));
      await spool.end();
      return spool;
    } catch (error) {
      await attempt(() => spool.clear());
      throw error;
    }
  }

  /**
   * @param {string} name
   * @param {FileSystemDirectoryHandle} directory
   */
  constructor(name, directory) {
    this.#name = name;
    this.#directory = directory;
  }

  /** @param {number} file */
  async begin(file) {
    this.#file = await this.#directory.getFileHandle(String(file), { create: true });
    this.#access = await this.#file.createSyncAccessHandle();
    this.#offset = 0;
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

  async end() {
    this.#access.flush();
    this.#access.close();
    this.#access = undefined;
    return this.#file.getFile();
  }

  async clear() {
    this.#access?.close();
    this.#access = undefined;
    const root = await navigator.storage.getDirectory();
    await root.removeEntry(this.#name, { recursive: true });
  }
}

/**
 * Blobs in a database: what is left on a page that is not https. The browser keeps them on the disk.
 * @implements {Spool}
 */
class Database {
  #database;
  #file = 0;
  #count = 0;
  #part = new Uint8Array(PART_LEN);
  #len = 0;

  static async open() {
    const request = indexedDB.open(newName());
    request.onupgradeneeded = () => request.result.createObjectStore('parts');
    const spool = new Database(await settled(request));
    try {
      await spool.begin(-1);
      await spool.write(new Uint8Array(1));
      await spool.end();
      return spool;
    } catch (error) {
      await attempt(() => spool.clear());
      throw error;
    }
  }

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
  }

  /** @param {number} file */
  async begin(file) {
    this.#file = file;
    this.#count = 0;
    this.#len = 0;
  }

  /** @param {Uint8Array} bytes  At most a part. */
  write(bytes) {
    const fits = Math.min(bytes.length, PART_LEN - this.#len);
    this.#part.set(bytes.subarray(0, fits), this.#len);
    if (this.#len + fits === PART_LEN) return this.#flush(PART_LEN, bytes.slice(fits));
    this.#len += fits;
  }

  /** @param {number} len */
  async rewind(len) {
    const count = Math.floor(len / PART_LEN);
    if (count < this.#count) {
      const part = await settled(this.#database.transaction('parts').objectStore('parts').get([this.#file, count]));
      this.#part.set(new Uint8Array(await part.arrayBuffer()));
      this.#count = count;
    }
    this.#len = len - count * PART_LEN;
  }

  /**
   * @param {number} len  Of this part.
   * @param {Uint8Array} rest  What goes into the next part.
   */
  async #flush(len, rest) {
    const transaction = this.#database.transaction('parts', 'readwrite', { durability: 'relaxed' });
    const part = new Blob([this.#part.subarray(0, len)]);
    transaction.objectStore('parts').put(part, [this.#file, this.#count]);
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error ?? full());
    });
    this.#count += 1;
    this.#part.set(rest);
    this.#len = rest.length;
  }

  async end() {
    if (this.#len > 0) await this.#flush(this.#len, new Uint8Array(0));
    const range = IDBKeyRange.bound([this.#file, 0], [this.#file, this.#count]);
    return new Blob(await settled(this.#database.transaction('parts').objectStore('parts').getAll(range)));
  }

  async clear() {
    this.#database.close();
    await settled(indexedDB.deleteDatabase(this.#database.name));
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
