/** When to look for the other side again after the connection broke, and when to stop looking. Times are in milliseconds. */

/** How long two sides look for each other. The rendezvous keeps their meeting point as long. */
const GIVE_UP = 10 * 60_000;
/** How long one attempt waits for the other side, and then for a path to it. */
const ALONE = 15_000;
const PATH = 20_000;
/** The first wait between two attempts, and the longest. The longest that a rendezvous may ask for and get. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 2_000;
const LONGEST_REQUEST = 30_000;

export class Rejoin {
  #on;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #wait = FIRST_WAIT;
  /** Since when the two are apart; not at all while they are not. @type {number | undefined} */
  #since;
  #isResting = false;

  /** @param {{attempt: () => void, failed: () => void, gaveUp: () => void}} on  What is done when it is time to. */
  constructor(on) {
    this.#on = on;
  }

  get isApart() {
    return this.#since !== undefined;
  }

  /**
   * There is no connection, or the attempt at another has failed.
   * @param {number} [retryAfter]  Seconds that the rendezvous asks for.
   */
  handleApart(retryAfter) {
    const now = performance.now();
    this.#since ??= now;
    if (now - this.#since >= GIVE_UP) {
      this.close();
      return this.#on.gaveUp();
    }
    // Between half and one and a half times as long, so that the two do not keep missing each other.
    const jittered = this.#wait * (0.5 + Math.random());
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    this.#isResting = true;
    this.#in(retryAfter ? Math.min(1000 * retryAfter, LONGEST_REQUEST) : jittered, () => this.#attempt());
  }

  /** The other side is there too. */
  handleConnect() {
    if (this.isApart) this.#in(PATH, this.#on.failed);
  }

  /** The two are together again. */
  handleBack() {
    this.close();
    this.#wait = FIRST_WAIT;
  }

  /** The network may be another now. */
  hurry() {
    if (this.#isResting) this.#attempt();
  }

  close() {
    clearTimeout(this.#timer);
    this.#since = undefined;
    this.#isResting = false;
  }

  #attempt() {
    this.#isResting = false;
    this.#in(ALONE, this.#on.failed);
    this.#on.attempt();
  }

  /**
   * @param {number} time
   * @param {() => void} what
   */
  #in(time, what) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(what, time);
  }
}
