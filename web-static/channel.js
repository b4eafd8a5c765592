/** The way to the other side: a channel that this worker was given, or one that stayed with the page. */
import { pingInterval, silenceLimit } from './wire/wire.js';

/** How long the other side may take to answer a device that woke up: milliseconds. */
const AWAKE_PATIENCE = 3_000;

/**
 * What happens on a channel, and what it needs to know.
 *
 * @typedef {object} Listener
 * @property {() => void} handleOpen
 * @property {(data: unknown) => void} handleRecord
 * @property {() => void} handleClosed
 * @property {() => void} handleSilence  Nobody was heard for too long.
 * @property {() => void} ping  This side has said nothing for a while.
 * @property {() => boolean} isWaiting  Whether nobody listens because something else takes long.
 * @property {() => void} stay  Tells the other side, meanwhile, that this one is there.
 */

export class Channel {
  #listener;
  /** @type {RTCDataChannel | {send: (record: Uint8Array) => void} | undefined} */
  #channel;
  #pulse = 0;
  #lastBeat = 0;
  #lastHeard = 0;
  #hasSent = false;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  get isThere() {
    return this.#channel !== undefined;
  }

  /** @param {RTCDataChannel} channel */
  take(channel) {
    this.drop();
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.onmessage = ({ data }) => this.handleRecord(data);
    channel.onclose = () => this.#listener.handleClosed();
    if (channel.readyState === 'open') this.#listener.handleOpen();
    else channel.onopen = () => this.#listener.handleOpen();
  }

  /** @param {(record: Uint8Array) => void} send  Gives records to the page, whose channel is open. */
  takeFar(send) {
    this.drop();
    this.#channel = { send };
    this.#listener.handleOpen();
  }

  /** Nothing that still comes from this channel counts. */
  drop() {
    this.stop();
    if (this.#channel && 'onmessage' in this.#channel) this.#channel.onmessage = this.#channel.onclose = this.#channel.onopen = null;
    this.#channel = undefined;
  }

  /** From now on silence is noticed, and broken. */
  watch() {
    this.#lastBeat = this.#lastHeard = performance.now();
    this.#pulse = setInterval(() => this.#beat(), pingInterval());
  }

  /** What could be said on it still can; nobody cares about silence any more. */
  stop() {
    clearInterval(this.#pulse);
  }

  /** @param {Uint8Array | undefined} record */
  send(record) {
    if (!record) return;
    this.#hasSent = true;
    try {
      this.#channel?.send(record);
    } catch {
      // It closes, and says so itself.
    }
  }

  /** @param {unknown} data  From the channel, or from the page if it stayed there. */
  handleRecord(data) {
    this.#lastHeard = performance.now();
    this.#listener.handleRecord(data);
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
