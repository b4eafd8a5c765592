/** Where what comes is put: found by trying, or said by the person. */
import { lastResort } from '../spool.js';
import { Disk } from '../spool/disk.js';
import { Download } from '../spool/download.js';

/** How long the page may take to find out what it can do: milliseconds. */
const PAGE_DEADLINE = 10_000;

/** @typedef {{file?: any, folder?: any}} Target  Handles of what the person chose. */

export class Placing {
  #storing;
  #page;
  #tell;
  /** Called with what the page says about itself. @type {(isSo: boolean) => void} */
  #answered = () => {};

  /**
   * @param {import('../storing.js').Storing} storing
   * @param {{isTouch: boolean, canChoose: boolean}} page  `canChoose`: the person can say where files go.
   * @param {(message: object, transfer?: Transferable[]) => void} tell  The page.
   */
  constructor(storing, page, tell) {
    this.#storing = storing;
    this.#page = page;
    this.#tell = tell;
  }

  /**
   * Finds a place by itself, if there is one.
   *
   * @param {{size: number, isStream: boolean}} offer
   * @param {{number: number, key: string}[]} files
   * @param {string} [own]  What this tab has used before.
   * @returns {Promise<boolean>}  Whether there can be one: here, or where the person says.
   */
  async find(offer, files, own) {
    await this.#storing.open(offer, files, own);
    if (!this.#storing.isOpen) {
      const place = (await this.#canDownload()) ? this.#download() : lastResort(offer.size, this.#page.isTouch);
      if (place) await this.#storing.move(place);
    }
    return this.#storing.isOpen || this.#page.canChoose;
  }

  /** @param {Target} target */
  async choose(target) {
    await this.#storing.move(new Disk(target));
  }

  /**
   * There was no room, and the person has decided.
   * @param {{choice: string, target?: Target}} decided
   */
  async goOn({ choice, target }) {
    if (choice === 'target') await this.choose(target);
    else if (choice === 'download') await this.#storing.move(this.#download());
  }

  /** @param {boolean} isSo  Whether the page can let the browser download what comes. */
  handleCanDownload(isSo) {
    this.#answered(isSo);
  }

  /** @returns {Promise<boolean>} */
  #canDownload() {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), PAGE_DEADLINE);
      this.#answered = (isSo) => {
        clearTimeout(timer);
        resolve(isSo);
      };
      this.#tell({ type: 'can-download' });
    });
  }

  #download() {
    return new Download((file) => this.#tell({ ...file, type: 'download' }, [file.port]));
  }
}
