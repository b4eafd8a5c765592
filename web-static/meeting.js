/** The way to the other side through the rendezvous: the socket there, and where the two meet again when they are apart. */
import { tellApart } from './leaving.js';
import { Rejoin } from './rejoin.js';
import { Signal } from './signal.js';

/**
 * What happens there, and what is done when it is time to.
 *
 * @typedef {object} Listener
 * @property {(frame: string) => void} heard
 * @property {() => void} closed  The rendezvous is gone.
 * @property {() => void} attempt  It is time to look for the other side.
 * @property {() => void} failed  What was to become another connection came to nothing.
 * @property {() => void} gaveUp
 */

export class Meeting {
  #on;
  #address;
  #rejoin;
  /** @type {Signal | undefined} */
  #signal;

  /**
   * @param {string} base  The address of the page.
   * @param {string} path  Of the socket, below it.
   * @param {Listener} on
   */
  constructor(base, path, on) {
    this.#on = on;
    this.#address = new URL(path, base);
    this.#address.protocol = this.#address.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#rejoin = new Rejoin(on);
  }

  /** Whether the two look for each other. */
  get isApart() {
    return this.#rejoin.isApart;
  }

  /** @param {() => void} [opened]  Called once somebody is there. */
  open(opened = () => {}) {
    this.#signal = new Signal(this.#address, { opened, heard: this.#on.heard, closed: this.#on.closed });
  }

  /** @param {string} frame */
  say(frame) {
    this.#signal?.send(frame);
  }

  /**
   * There is no connection, or the attempt at another has failed: the two meet again over a new socket.
   * @param {number} [retryAfter]  Seconds that the rendezvous asks for.
   */
  handleApart(retryAfter) {
    this.#signal?.close();
    this.#rejoin.handleApart(retryAfter);
  }

  /** The other side is there too. */
  handleConnect() {
    this.#rejoin.handleConnect();
  }

  /** The two are together again. */
  handleBack() {
    this.#rejoin.handleBack();
  }

  /** The network may be another now. */
  hurry() {
    this.#rejoin.hurry();
  }

  close() {
    this.#rejoin.close();
    this.#signal?.close();
  }

  /**
   * This side has given up while the two were apart, and the other is told if it comes.
   * @param {{isLeaving: boolean, handleFrame: (frame: string, now: number) => void, poll: () => string | undefined}} side
   * @param {() => void} join  Lets the side say where it goes.
   */
  tellApart(side, join) {
    tellApart(this.#address, side, join);
  }
}
