/** Time constant of the speed that is shown: milliseconds. */
const SMOOTHING = 3000;
/** No estimate is shown before this: milliseconds. */
const FIRST_ESTIMATE = 2000;

/** How fast it goes and how long it will take. */
export class Progress {
  /** Bytes; 0 when nobody knows. */
  total;
  /** Bytes. */
  done = 0;
  #began;
  #last;
  /** Bytes per millisecond; 0 until something is known. */
  #rate = 0;

  /**
   * @param {number} total  Bytes; 0 when nobody knows.
   * @param {number} now  Milliseconds.
   */
  constructor(total, now) {
    this.total = total;
    this.#began = now;
    this.#last = now;
  }

  /**
   * @param {number} done  Bytes.
   * @param {number} now  Milliseconds.
   */
  update(done, now) {
    const elapsed = now - this.#last;
    if (elapsed <= 0) return;
    const rate = (done - this.done) / elapsed;
    // Until there is enough to smooth, the mean from the beginning is the best guess.
    const weight = Math.max(1 - Math.exp(-elapsed / SMOOTHING), elapsed / (now - this.#began));
    this.#rate += (rate - this.#rate) * weight;
    this.done = done;
    this.#last = now;
  }

  /** @param {number} now  Milliseconds. After a break: what was measured before says nothing about what comes. */
  restart(now) {
    this.#began = now;
    this.#last = now;
    this.#rate = 0;
  }

  /** From 0 to 1; nothing when nobody knows the size. */
  get fraction() {
    return this.total > 0 ? Math.min(1, this.done / this.total) : undefined;
  }

  /** Bytes per second; 0 until something is known. */
  get speed() {
    return this.#rate * 1000;
  }

  /** Seconds; nothing as long as it would be a guess. */
  get left() {
    if (this.total === 0 || this.#rate <= 0 || this.#last - this.#began < FIRST_ESTIMATE) return undefined;
    return Math.max(0, this.total - this.done) / this.speed;
  }
}
