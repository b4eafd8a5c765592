/** Bytes arrive: how many, how fast, how long still, and by which way. */
import { announce, element, view } from '../screen.js';
import { bytes, duration, percent, speed, text } from '../text.js';
import { harmless } from './files.js';

/** @typedef {import('../progress.js').Progress} Progress */

/** Between two updates of the numbers: milliseconds. */
const UPDATE_INTERVAL = 500;
/** How much of it is worth an announcement, how soon after another one, and after how long in any case: milliseconds. */
const MILESTONES = [0.1, 0.25, 0.5, 0.75, 0.9];
const SHORT_SILENCE = 3000;
const LONG_SILENCE = 15_000;

let updated = -Infinity;
let announced = 0;
/** The milestones that were passed when it was announced last. */
let passed = 0;
/** @type {Progress | undefined} */
let watched;

/** @param {{progress: Progress, path: string, way: string}} facts */
function draw({ progress, path, way }) {
  const now = performance.now();
  if (progress !== watched) begin(progress, now);
  drawBar(element('progress'), progress);
  element('current').textContent = harmless(path);
  element('path').textContent = way && text(`path.${way}`);
  if (now - updated >= UPDATE_INTERVAL || progress.fraction === 1) {
    updated = now;
    drawNumbers(progress);
  }
  const { fraction } = progress;
  if (fraction === undefined) return undefined;
  announceSometimes(progress, fraction, now);
  return percent(fraction);
}

/**
 * @param {Progress} progress  Another one than before.
 * @param {number} now
 */
function begin(progress, now) {
  watched = progress;
  updated = -Infinity;
  announced = now;
  passed = 0;
}

/** @param {Progress} progress */
function drawNumbers(progress) {
  element('percent').textContent = progress.fraction === undefined ? '' : percent(progress.fraction);
  element('amount').textContent = amount(progress);
  element('speed').textContent = progress.speed > 0 ? speed(progress.speed) : '';
  element('left').textContent = left(progress);
}

/** @param {Progress} progress  How long it still takes, in words. */
export function left({ left }) {
  if (left === undefined) return '';
  return left < 5 ? text('receiving.soon') : text('receiving.left', { time: duration(left) });
}

/**
 * @param {Progress} progress
 * @param {number} fraction
 * @param {number} now
 */
function announceSometimes(progress, fraction, now) {
  const silence = now - announced;
  const milestones = MILESTONES.filter((milestone) => fraction >= milestone).length;
  const isWorthIt = milestones > passed && silence >= SHORT_SILENCE;
  if (!isWorthIt && silence < LONG_SILENCE) return;
  announced = now;
  passed = milestones;
  announce(text('receiving.progress', { percent: percent(fraction), left: left(progress) }));
}

/** @param {Progress} progress  How much of it is here, in words. */
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

view('receiving', draw);
