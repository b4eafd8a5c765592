/** Nothing goes on until the person says so: what is here stays, and so does the sender. */

export class Standstill {
  #jobs;
  #placing;
  #reports;
  #tell;
  /** @type {'full' | 'paused'} */
  #why = 'paused';

  /**
   * @param {import('../jobs.js').Jobs} jobs
   * @param {import('./placing.js').Placing} placing
   * @param {import('./reports.js').Reports} reports
   * @param {(message: object) => void} tell  The page.
   */
  constructor(jobs, placing, reports, tell) {
    this.#jobs = jobs;
    this.#placing = placing;
    this.#reports = reports;
    this.#tell = tell;
  }

  /** @param {'full' | 'paused'} why */
  begin(why) {
    this.#why = why;
    this.#jobs.hold();
    this.#reports.tell();
    this.#tell({ type: why });
  }

  /** @param {'full' | 'paused'} why  Whether it is that which keeps everything waiting. */
  is(why) {
    return this.#jobs.isHeld && this.#why === why;
  }

  /** @param {{choice: string, target?: any}} [decided]  Where to go on if there was no room. */
  end(decided) {
    this.#tell({ type: 'resumed', isAccepted: true });
    this.#jobs.release(() => decided && this.#placing.goOn(decided));
  }
}
