/** How much is read of a large file at once: bytes. Two such pieces are in memory. */
const PIECE_LEN = 1 << 20;

/** A file that cannot be read as it was when it was chosen. */
export class Unreadable extends Error {
  /** @param {number} file */
  constructor(file) {
    super('a file cannot be read');
    this.file = file;
  }
}

/** Reads chosen files, ahead of who wants their bytes. */
export class Reader {
  #files;
  /** The piece that is read from, and the one after it. @type {Map<number, Promise<Uint8Array>>} */
  #pieces = new Map();
  #file = -1;

  /** @param {File[]} files */
  constructor(files) {
    this.#files = files;
  }

  /**
   * @param {number} file
   * @param {number} offset  Bytes.
   * @param {number} len  Bytes.
   * @returns {Promise<Uint8Array>}
   * @throws {Unreadable} when it was changed or removed since.
   */
  async read(file, offset, len) {
    const index = Math.floor(offset / PIECE_LEN);
    const start = offset - index * PIECE_LEN;
    const isWhole = offset === 0 && len === this.#files[file].size;
    const isInside = !isWhole && start + len <= PIECE_LEN;
    const bytes = isInside ? (await this.#piece(file, index)).subarray(start, start + len) : await this.#load(file, offset, len);
    if (bytes.length !== len) throw new Unreadable(file);
    return bytes;
  }

  /**
   * @param {number} file
   * @param {number} index
   */
  #piece(file, index) {
    if (file !== this.#file) this.#pieces.clear();
    this.#file = file;
    for (const known of this.#pieces.keys()) {
      if (known !== index && known !== index + 1) this.#pieces.delete(known);
    }
    for (const wanted of [index, index + 1]) {
      const offset = wanted * PIECE_LEN;
      if (this.#pieces.has(wanted) || (wanted > index && offset >= this.#files[file].size)) continue;
      const piece = this.#load(file, offset, PIECE_LEN);
      // Who reads ahead may never be asked for it.
      piece.catch(() => {});
      this.#pieces.set(wanted, piece);
    }
    return /** @type {Promise<Uint8Array>} */ (this.#pieces.get(index));
  }

  /**
   * @param {number} file
   * @param {number} offset
   * @param {number} len
   */
  async #load(file, offset, len) {
    try {
      return new Uint8Array(await this.#files[file].slice(offset, offset + len).arrayBuffer());
    } catch {
      throw new Unreadable(file);
    }
  }
}
