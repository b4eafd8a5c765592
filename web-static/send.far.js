/** How much may wait in the channel before no more is read, and at how much reading goes on: bytes. Measured in Chromium. */
export const HIGH_WATER = 4 << 20;
export const LOW_WATER = 2 << 20;

/** A channel that stayed with the page: it says how much of what it was given it has sent. */
export class FarChannel {
  bufferedAmountLowThreshold = LOW_WATER;
  readyState = 'open';
  /** @type {(() => void) | null} */
  onbufferedamountlow = null;
  #transmit;
  #given = 0;
  #sent = 0;

  /** @param {(record: Uint8Array) => void} transmit  Gives a record to the page. */
  constructor(transmit) {
    this.#transmit = transmit;
  }

  get bufferedAmount() {
    return this.#given - this.#sent;
  }

  /** @param {Uint8Array} record */
  send(record) {
    this.#given += record.length;
    this.#transmit(record);
  }

  /** @param {number} total  Bytes. */
  handleSent(total) {
    this.#sent = total;
    if (this.bufferedAmount <= this.bufferedAmountLowThreshold) this.onbufferedamountlow?.();
  }
}
