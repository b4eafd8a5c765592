/** Whatever happens is a job; jobs are done one after the other, also those that take time. */
export class Jobs {
  #perform;
  /** @type {(() => void | Promise<void>)[]} */
  #waiting = [];
  #isBusy = false;
  #isHeld = false;

  /** @param {(job: () => void | Promise<void>) => Promise<void>} perform  Does one, and copes with its failure. */
  constructor(perform) {
    this.#perform = perform;
  }

  /** Whether one of them takes time, or none is done at all. */
  get isBusy() {
    return this.#isBusy || this.#isHeld;
  }

  get isHeld() {
    return this.#isHeld;
  }

  /** @param {() => void | Promise<void>} job */
  add(job) {
    this.#waiting.push(job);
    this.#work();
  }

  /** @param {(() => void | Promise<void>)[]} jobs  Done before everything that waits, in this order. */
  addFirst(jobs) {
    this.#waiting.unshift(...jobs);
    this.#work();
  }

  /** Nothing more is done until it is released. */
  hold() {
    this.#isHeld = true;
  }

  /** @param {() => void | Promise<void>} job  Done before everything that waits. */
  release(job) {
    this.#isHeld = false;
    this.#waiting.unshift(job);
    this.#work();
  }

  /** @param {() => void | Promise<void>} job  Done instead of everything that waits. */
  replace(job) {
    this.#waiting = [];
    this.release(job);
  }

  async #work() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let job = this.#next(); job; job = this.#next()) await this.#perform(job);
    this.#isBusy = false;
  }

  #next() {
    return this.#isHeld ? undefined : this.#waiting.shift();
  }
}
