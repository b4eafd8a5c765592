/** The way to the other side: its paths, and whether anybody is heard on the one that is used. */
import { Lanes } from './lanes.js';
import { pingInterval, silenceLimit } from './wire/wire.js';

/** How long the other side may take to answer a device that woke up: milliseconds. */
const AWAKE_PATIENCE = 3_000;

/**
 * What happens there, and what it needs to know. A path has a number.
 *
 * @typedef {object} Listener
 * @property {(lane: number) => void} handleOpen
 * @property {(lane: number, data: unknown) => void} handleRecord
 * @property {(lane: number) => void} handleClosed
 * @property {() => void} handleSilence  Nobody was heard for too long.
 * @property {() => void} ping  This side has said nothing for a while.
 * @property {() => boolean} isWaiting  Whether nobody listens because something else takes long.
 * @property {() => void} stay  Tells the other side, meanwhile, that this one is there.
 */

export class Channel {
  #listener;
  #lanes;
  #pulse = 0;
  #lastBeat = 0;
  #lastHeard = 0;
  #hasSent = false;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#lanes = new Lanes({
      opened: (lane) => listener.handleOpen(lane),
      heard: (lane, data) => this.handleRecord(lane, data),
      closed: (lane) => listener.handleClosed(lane),
    });
  }

  get isThere() {
    return this.#lanes.size > 0;
  }

  get lanes() {
    return this.#lanes;
  }

  /**
   * @param {number} lane
   * @param {RTCDataChannel} channel
   */
  take(lane, channel) {
    channel.binaryType = 'arraybuffer';
    this.#lanes.take(lane, channel);
  }

  /**
   * @param {number} lane
   * @param {(record: Uint8Array) => void} send  Gives records to the page, whose channel is open.
   */
  takeFar(lane, send) {
    this.#lanes.take(lane, { send, readyState: 'open' });
  }

  /** Nothing that still comes from anywhere counts. */
  drop() {
    this.stop();
    this.#lanes.leaveAll();
  }

  /** From now on silence is noticed, and broken. */
  watch() {
    this.stop();
    this.#lastBeat = this.#lastHeard = performance.now();
    this.#pulse = setInterval(() => this.#beat(), pingInterval());
  }

  /** What could be said on it still can; nobody cares about silence any more. */
  stop() {
    clearInterval(this.#pulse);
  }

  /**
   * @param {number} lane
   * @param {Uint8Array | undefined} record
   */
  send(lane, record) {
    this.#hasSent ||= record !== undefined;
    this.#lanes.send(lane, record);
  }

  /**
   * @param {number} lane
   * @param {unknown} data  From the path, or from the page if the channel stayed there.
   */
  handleRecord(lane, data) {
    this.#lastHeard = performance.now();
    this.#listener.handleRecord(lane, data);
  }

  /** Something took so long that nobody has listened meanwhile. */
  excuse() {
    this.#lastHeard = performance.now();
  }

  /** Whether the other side is still there has to show within seconds. */
  doubt() {
    this.#listener.ping();
    const now = performance.now();
    this.#lastBeat = now;
    this.#lastHeard = now - silenceLimit() + AWAKE_PATIENCE;
  }

  /** Says that this side is alive, and notices when the other is not. */
  #beat() {
    const now = performance.now();
    const isWaiting = this.#listener.isWaiting();
    // A device that slept has not listened: it knows nothing about silence.
    if (now - this.#lastBeat > 2 * pingInterval() || isWaiting) this.#lastHeard = now;
    this.#lastBeat = now;
    if (isWaiting) return this.#listener.stay();
    if (now - this.#lastHeard >= silenceLimit()) return this.#listener.handleSilence();
    if (!this.#hasSent) this.#listener.ping();
    this.#hasSent = false;
  }
}
