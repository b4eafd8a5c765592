/** Time constant of the speed that is shown: milliseconds. */
const SMOOTHING = 3000;
/** No estimate is shown before this: milliseconds. */
const FIRST_ESTIMATE = 2000;

const decimal = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** @param {number} size  Bytes. */
export function bytes(size) {
  let unit = 0;
  let value = size;
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return size === 1 ? '1 byte' : `${decimal.format(value)} ${UNITS[unit]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 5) return 'a few seconds';
  if (seconds < 55) return `${Math.ceil(seconds / 5) * 5} seconds`;
  if (seconds < 5400) return plural(Math.max(1, Math.round(seconds / 60)), 'minute');
  return plural(Math.round(seconds / 3600), 'hour');
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function plural(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** How fast it goes and how long it will take. */
export class Progress {
  #total;
  #began;
  #last;
  #done = 0;
  /** Bytes per millisecond; 0 until something is known. */
  #rate = 0;

  /**
   * @param {number} total  Bytes; 0 when nobody knows.
   * @param {number} now  Milliseconds.
   */
  constructor(total, now) {
    this.#total = total;
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
    const rate = (done - this.#done) / elapsed;
    // Until there is enough to smooth, the mean from the beginning is the best guess.
    const weight = Math.max(1 - Math.exp(-elapsed / SMOOTHING), elapsed / (now - this.#began));
    this.#rate += (rate - this.#rate) * weight;
    this.#done = done;
    this.#last = now;
  }

  /** From 0 to 1; nothing when nobody knows the size. */
  get fraction() {
    return this.#total > 0 ? Math.min(1, this.#done / this.#total) : undefined;
  }

  get amount() {
    return this.#total > 0 ? `${bytes(this.#done)} of ${bytes(this.#total)}` : bytes(this.#done);
  }

  get speed() {
    return this.#rate > 0 ? `${bytes(this.#rate * 1000)}/s` : '';
  }

  get left() {
    if (this.#total === 0 || this.#rate <= 0 || this.#last - this.#began < FIRST_ESTIMATE) return '';
    return `about ${duration((this.#total - this.#done) / this.#rate / 1000)} left`;
  }
}
