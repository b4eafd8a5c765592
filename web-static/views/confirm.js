/** What is offered, before anything of it is transferred. */
import { element, view } from '../screen.js';
import { bytes, text } from '../text.js';
import { detail, row } from './files.js';
import { drawWords } from './words.js';

/** Less than that is not worth the question where to save it: bytes. */
const WORTH_CHOOSING = 64 << 20;

/**
 * @typedef {object} Offer
 * @property {{path: string, size: number}[]} files
 * @property {number} size  Bytes.
 * @property {boolean} isStream  Nobody knows how large it is.
 * @property {boolean} isText  It is to be read.
 * @property {number} leftOut  Entries that a browser cannot save.
 * @property {boolean} canChoose  The person can say where it is saved.
 * @property {boolean} mustChoose  There is no room for it in the browser.
 * @property {string} [words]  What both sides may compare.
 * @property {number} [held]  Bytes that are here from an earlier attempt.
 * @property {boolean} [isAccepted]  The person has agreed before.
 */

/** @param {Offer} offer */
function draw({ files, size, isStream, isText, leftOut, canChoose, mustChoose, words, held = 0 }) {
  element('confirm-title').textContent = isText ? text('confirm.text') : text('confirm.title', { count: files.length });
  element('confirm-total').textContent = isStream ? text('confirm.unknown') : text('confirm.total', { size: bytes(size) });
  // A single file says its size itself.
  element('confirm-total').hidden = files.length === 1 && !isStream;
  element('offer').replaceChildren(...files.map((file) => row(file.path, isStream ? '' : detail(bytes(file.size)))));
  const notes = [held > 0 ? text('confirm.held', { amount: bytes(held) }) : '', mustChoose ? text('confirm.no-room') : '', leftOut > 0 ? text('confirm.links', { count: leftOut }) : ''];
  element('offer-note').textContent = notes.filter(Boolean).join(' ');
  drawWords('confirm-words', words);
  element('accept').hidden = mustChoose;
  const target = element('accept-target');
  target.hidden = !mustChoose && !(canChoose && (isStream || size >= WORTH_CHOOSING));
  target.textContent = text('target', { count: files.length });
  target.classList.toggle('primary', Boolean(mustChoose));
}

view('confirm', draw);
