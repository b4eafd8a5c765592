/** The paths to the other side, each by its number, and what came over those whose turn has not come. */
import { RelaySocket } from './relay.js';

/** Bytes that are kept of a path whose turn has not come: twice what the other side may send unasked. */
const MOST_HELD = 16 << 20;

/** What a message costs beside its bytes, however few they are. */
const MESSAGE_COST = 256;

/**
 * A data channel, or what has as much of its interface.
 * @typedef {object} Path
 * @property {(record: Uint8Array) => void} send
 * @property {number} [bufferedAmount]
 * @property {number} [bufferedAmountLowThreshold]
 * @property {string} [readyState]
 * @property {string} [binaryType]
 * @property {((event: any) => void) | null} [onopen]
 * @property {((event: any) => void) | null} [onmessage]
 * @property {((event: any) => void) | null} [onclose]
 * @property {((event: any) => void) | null} [onbufferedamountlow]
 */

/**
 * What happens on them.
 * @typedef {object} Listener
 * @property {(lane: number) => void} opened
 * @property {(lane: number, data: unknown) => void} heard
 * @property {(lane: number) => void} closed
 * @property {() => void} [hasRoom]  Where much waited to be sent, less does.
 */

export class Lanes {
  #on;
  #lowWater;
  /** @type {Map<number, {path: Path, held: unknown[], cost: number}>} */
  #lanes = new Map();

  /**
   * @param {Listener} on
   * @param {number} [lowWater]  Bytes that may wait where there is room: for who wants to know when there is.
   */
  constructor(on, lowWater = 0) {
    this.#on = on;
    this.#lowWater = lowWater;
  }

  get size() {
    return this.#lanes.size;
  }

  /**
   * @param {number} lane
   * @param {Path} path  Open, or about to be.
   */
  take(lane, path) {
    this.leave(lane);
    this.#lanes.set(lane, { path, held: [], cost: 0 });
    path.bufferedAmountLowThreshold = this.#lowWater;
    path.onmessage = ({ data }) => this.#on.heard(lane, data);
    path.onclose = () => this.#on.closed(lane);
    path.onbufferedamountlow = () => this.#on.hasRoom?.();
    if (path.readyState === 'open') this.#on.opened(lane);
    else path.onopen = () => this.#on.opened(lane);
  }

  /**
   * Opens one through the rendezvous.
   * @param {string} base  The address of the page.
   * @param {{lane: number, path: string, frame: string}} wanted
   */
  takeRelay(base, { lane, ...how }) {
    this.take(lane, new RelaySocket(base, how));
  }

  /**
   * @param {number | undefined} lane
   * @returns {Path | undefined}
   */
  at(lane) {
    return lane === undefined ? undefined : this.#lanes.get(lane)?.path;
  }

  /**
   * @param {number} lane
   * @param {Uint8Array | undefined} record
   */
  send(lane, record) {
    if (!record) return;
    try {
      this.#lanes.get(lane)?.path.send(record);
    } catch {
      // It closes, and says so itself.
    }
  }

  /**
   * Keeps something until it is the turn of its path. One over which more comes than the other side may send is lost.
   * @param {number} lane
   * @param {unknown} data
   */
  hold(lane, data) {
    const kept = this.#lanes.get(lane);
    if (!kept) return;
    kept.held.push(data);
    kept.cost += MESSAGE_COST + (data instanceof ArrayBuffer ? data.byteLength : String(data).length);
    if (kept.cost <= MOST_HELD) return;
    this.leave(lane);
    this.#on.closed(lane);
  }

  /** @param {number} lane  Whether something was kept, behind which everything else has to wait. */
  isHolding(lane) {
    return (this.#lanes.get(lane)?.held.length ?? 0) > 0;
  }

  /**
   * It is the turn of a path.
   * @param {number} lane
   * @returns {unknown[]}  What was kept.
   */
  release(lane) {
    const kept = this.#lanes.get(lane);
    if (!kept) return [];
    kept.cost = 0;
    return kept.held.splice(0);
  }

  /**
   * Nothing that still comes from this path counts. A socket is closed behind what was given to it; a data channel is left to
   * the page: closing it would take away from the other side what that has not read yet.
   * @param {number} lane
   */
  leave(lane) {
    const path = this.#lanes.get(lane)?.path;
    this.#lanes.delete(lane);
    if (!path) return;
    path.onmessage = path.onclose = path.onopen = path.onbufferedamountlow = null;
    if (path instanceof RelaySocket) path.close();
  }

  /** Nothing is expected from the rendezvous any more, which passes on what it was given. */
  leaveRelays() {
    for (const [lane, { path }] of [...this.#lanes]) if (path instanceof RelaySocket) this.leave(lane);
  }

  leaveAll() {
    for (const lane of [...this.#lanes.keys()]) this.leave(lane);
  }
}
