/**
 * The record relay of the rendezvous, which works wherever this page came from: a path to the other side with as much of the
 * interface of a data channel as is used of one.
 */

/** Between two looks at how much still waits, while more does than is wanted: milliseconds. Sockets do not tell. */
const LOOK = 20;

export class RelaySocket {
  bufferedAmountLowThreshold = 0;
  /** @type {'connecting' | 'open' | 'closed'} */
  readyState = 'connecting';
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: unknown}) => void) | null} */
  onmessage = null;
  /** @type {(() => void) | null} */
  onclose = null;
  /** @type {(() => void) | null} */
  onbufferedamountlow = null;
  #socket;
  #timer = 0;

  /**
   * @param {string} base  The address of the page.
   * @param {{path: string, frame: string}} how  Where the relay is below it, and what is said there first.
   */
  constructor(base, { path, frame }) {
    const address = new URL(path, base);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => {
      this.readyState = 'open';
      this.#socket.send(frame);
      this.onopen?.();
    };
    this.#socket.onmessage = ({ data }) => this.onmessage?.({ data });
    this.#socket.onclose = () => this.#handleClosed();
  }

  get bufferedAmount() {
    return this.#socket.bufferedAmount;
  }

  /** @param {Uint8Array} record */
  send(record) {
    this.#socket.send(record);
    if (this.#timer === 0 && this.bufferedAmount > this.bufferedAmountLowThreshold) {
      this.#timer = setInterval(() => this.#look(), LOOK);
    }
  }

  /** What was given to it is still sent. */
  close() {
    this.#socket.close();
  }

  #look() {
    if (this.bufferedAmount > this.bufferedAmountLowThreshold) return;
    this.#rest();
    this.onbufferedamountlow?.();
  }

  #handleClosed() {
    this.#rest();
    this.readyState = 'closed';
    this.onclose?.();
  }

  #rest() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }
}
