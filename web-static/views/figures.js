/** How far it is: a bar, numbers, the title of the window, and words for those who listen. */
import { announce, element } from '../screen.js';
import { bytes, duration, percent, speed, text } from '../text.js';

/** @typedef {import('../progress.js').Progress} Progress */

/** Between two updates of the numbers: milliseconds. */
const UPDATE_INTERVAL = 500;
/** How much of it is worth an announcement. */
const MILESTONES = [0.1, 0.25, 0.5, 0.75, 0.9];
/** How soon after another one, and after how long in any case: milliseconds. */
const SHORT_SILENCE = 3000;
const LONG_SILENCE = 15_000;

export class Figures {
  #prefix;
  #message;
  #updated = -Infinity;
  #announced = 0;
  /** The milestones that were passed when it was announced last. */
  #passed = 0;
  /** @type {Progress | undefined} */
  #progress;

  /**
   * @param {string} prefix  Of the ids of `progress`, `percent`, `left`, `amount` and `speed`.
   * @param {string} message  The key of what is announced.
   */
  constructor(prefix, message) {
    this.#prefix = prefix;
    this.#message = message;
  }

  /**
   * @param {Progress} progress
   * @returns {string | undefined}  The title of the window, if it is known how much there is.
   */
  draw(progress) {
    const now = performance.now();
    if (progress !== this.#progress) this.#begin(progress, now);
    drawBar(this.#part('progress'), progress);
    const { fraction } = progress;
    if (now - this.#updated >= UPDATE_INTERVAL || fraction === 1) {
      this.#updated = now;
      this.#drawNumbers(progress);
    }
    if (fraction === undefined) return undefined;
    this.#announceSometimes(progress, fraction, now);
    return percent(fraction);
  }

  /** @param {string} name */
  #part(name) {
    return element(this.#prefix + name);
  }

  /**
   * @param {Progress} progress  Another one than before.
   * @param {number} now
   */
  #begin(progress, now) {
    this.#progress = progress;
    this.#updated = -Infinity;
    this.#announced = now;
    this.#passed = 0;
  }

  /** @param {Progress} progress */
  #drawNumbers(progress) {
    this.#part('percent').textContent = progress.fraction === undefined ? '' : percent(progress.fraction);
    this.#part('left').textContent = left(progress);
    this.#part('amount').textContent = amount(progress);
    this.#part('speed').textContent = progress.speed > 0 ? speed(progress.speed) : '';
  }

  /**
   * @param {Progress} progress
   * @param {number} fraction
   * @param {number} now
   */
  #announceSometimes(progress, fraction, now) {
    const silence = now - this.#announced;
    const passed = MILESTONES.filter((milestone) => fraction >= milestone).length;
    const isWorthIt = passed > this.#passed && silence >= SHORT_SILENCE;
    if (!isWorthIt && silence < LONG_SILENCE) return;
    this.#announced = now;
    this.#passed = passed;
    announce(text(this.#message, { percent: percent(fraction), left: left(progress) }));
  }
}

/** @param {Progress} progress */
function left({ left }) {
  if (left === undefined) return '';
  return left < 5 ? text('receiving.soon') : text('receiving.left', { time: duration(left) });
}

/** @param {Progress} progress  How much of it is there, in words. */
export function amount({ done, total }) {
  return total > 0 ? text('receiving.amount', { done: bytes(done), total: bytes(total) }) : bytes(done);
}

/**
 * @param {HTMLProgressElement} bar
 * @param {Progress} progress
 */
export function drawBar(bar, { fraction }) {
  if (fraction === undefined) bar.removeAttribute('value');
  else bar.value = fraction;
}
