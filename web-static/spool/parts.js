/** Bytes on their way to a place that takes them in larger parts, because each costs it the same. */

/** Bytes in a part, the last one excepted. A multiple of what a transfer goes on from after a break. */
export const PART_LEN = 1 << 20;

export class Parts {
  #store;
  #part = new Uint8Array(PART_LEN);
  #len = 0;
  /** Bytes that are stored. */
  stored = 0;

  /**
   * @param {(part: Uint8Array) => void | Promise<void>} store  Takes a part, which lies in memory that is used again, or fails and
   *   may be called with the same again.
   */
  constructor(store) {
    this.#store = store;
  }

  /** What is not stored yet. */
  get pending() {
    return this.#part.subarray(0, this.#len);
  }

  /**
   * Stores a part once there is more than that: the last one waits until it is known to be the last.
   * @param {Uint8Array} bytes  At most a part. May be given again after it failed.
   * @returns {Promise<void> | undefined}
   */
  write(bytes) {
    const fits = Math.min(bytes.length, PART_LEN - this.#len);
    this.#part.set(bytes.subarray(0, fits), this.#len);
    if (fits < bytes.length) return this.#overflow(bytes.slice(fits));
    this.#len += fits;
  }

  /** @param {Uint8Array} rest  What goes into the next part. */
  async #overflow(rest) {
    await this.#store(this.#part);
    this.restart(this.stored + PART_LEN, rest);
  }

  /** Stores what is left. */
  async flush() {
    if (this.#len === 0) return;
    await this.#store(this.pending);
    this.restart(this.stored + this.#len, new Uint8Array(0));
  }

  /**
   * @param {number} stored  Bytes that are stored and stay.
   * @param {Uint8Array} pending  What comes behind them, less than a part.
   */
  restart(stored, pending) {
    this.stored = stored;
    this.#part.set(pending);
    this.#len = pending.length;
  }
}
