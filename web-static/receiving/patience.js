/** How long each step may take, and what is said when it took longer. */

/** How long the two sides may take to know each other, and then to find a path: milliseconds. */
const STEP_DEADLINE = 15_000;
const PATH_DEADLINE = 30_000;
/**
 * How long two sides that have not had a connection look for each other: milliseconds. Nothing is lost then but a code, and one
 * that left on purpose cannot be told from one that lost its way to the server.
 */
const FIRST_DEADLINE = 12_000;

export class Patience {
  #late;
  #timer = 0;
  /** Since when the two look for each other without having had a connection. @type {number | undefined} */
  #since;
  #whyApart = 'left';
  /** Whether the two have yet to have a connection. */
  isFirst = true;

  /** @param {(why: string) => void} late  Called when something has taken too long. */
  constructor(late) {
    this.#late = late;
  }

  handleBegun() {
    this.allow(STEP_DEADLINE, 'no-answer');
  }

  handleServerGone() {
    this.#whyApart = 'server-gone';
  }

  handleConnect() {
    if (this.isFirst) this.allow(PATH_DEADLINE, 'no-path');
  }

  /** The two have talked: from now on they look for each other for as long as it takes. */
  handleMet() {
    this.end();
    this.isFirst = false;
  }

  handleApart() {
    this.end();
    if (!this.isFirst) return;
    const now = performance.now();
    this.#since ??= now;
    this.allow(Math.max(0, this.#since + FIRST_DEADLINE - now), this.#whyApart);
  }

  /**
   * @param {number} time  Milliseconds.
   * @param {string} why
   */
  allow(time, why) {
    this.end();
    this.#timer = setTimeout(() => this.#late(why), time);
  }

  end() {
    clearTimeout(this.#timer);
  }
}
