/** Between two reports of progress: milliseconds. People read no faster, and drawing takes from what receives. */
const INTERVAL = 500;

/** How much is stored, as the page hears of it. */
export class Reports {
  #storing;
  #tell;
  #told = 0;

  /**
   * @param {import('../storing.js').Storing} storing
   * @param {(message: object) => void} tell  The page.
   */
  constructor(storing, tell) {
    this.#storing = storing;
    this.#tell = tell;
  }

  tell() {
    this.#told = performance.now();
    this.#tell({ type: 'progress', done: this.#storing.done });
  }

  tellSometimes() {
    if (performance.now() - this.#told >= INTERVAL) this.tell();
  }
}
