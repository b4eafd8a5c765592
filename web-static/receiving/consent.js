/** What is offered, whether there is a place for it, and whether the person wants it. */

/** A browser saves files one by one; nobody does that more often. */
const MAX_FILES = 1000;

export class Consent {
  #session;
  #storing;
  #placing;
  #reports;
  #tell;
  #own;
  /** Whether the person has agreed. */
  isGiven = false;

  /**
   * @param {import('../wire/wire.js').Session} session
   * @param {import('../storing.js').Storing} storing
   * @param {import('./placing.js').Placing} placing
   * @param {import('./reports.js').Reports} reports
   * @param {{tell: (message: object) => void, own?: string}} page  `own` is what the storage of a page before this one is called,
   *   whose person has agreed already.
   */
  constructor(session, storing, placing, reports, { tell, own }) {
    this.#session = session;
    this.#storing = storing;
    this.#placing = placing;
    this.#reports = reports;
    this.#tell = tell;
    this.#own = own;
  }

  /**
   * @param {{files: number, size: number, isStream: boolean, leftOut: number}} offer
   * @returns {Promise<string | undefined>}  Why it cannot be had here, if it cannot.
   */
  async ask(offer) {
    if (offer.files > MAX_FILES) return 'too-many';
    const files = this.#files();
    if (!(await this.#placing.find(offer, files, this.#own))) return 'no-storage';
    const isAccepted = this.#own !== undefined;
    this.#tell({ ...offer, type: 'offer', files, mustChoose: !this.#storing.isOpen, held: this.#storing.done, isAccepted });
    if (isAccepted) await this.give();
  }

  /** @param {import('./placing.js').Target} [target]  Where the person wants it, if they have said. */
  async give(target) {
    if (target) await this.#placing.choose(target);
    if (!this.#storing.isOpen) return;
    this.isGiven = true;
    // Where nothing is stored, a page that is loaded anew has nothing to go on with.
    if (this.#storing.name) this.#tell({ type: 'kept', token: Array.from(this.#session.token()), name: this.#storing.name });
    await this.#storing.hold(() => this.#reports.tellSometimes());
    this.#session.accept();
    this.#reports.tell();
  }

  /** What is offered, without what is not a file. */
  #files() {
    const files = [];
    for (let number = 0; number < this.#session.entryCount; number += 1) {
      const file = this.#session.file(number);
      if (file) files.push({ number, ...JSON.parse(file) });
    }
    return files;
  }
}
