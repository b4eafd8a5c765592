/** Everything is here and verified; now it has to be saved. */
import { save } from '../save.js';
import { announce, element, entitle, view } from '../screen.js';
import { bytes, isolated, text } from '../text.js';
import { detail, harmless, row } from './files.js';
import { forgetPreviews, preview } from './preview.js';
import { offerAll } from './saveall.js';

/** @typedef {{path: string, size: number, sha256: string, content: Blob, isSaved?: boolean}} Received */

/** @type {Received[]} */
let received = [];

/** Whether there are files that are here and nowhere else. */
export const hasUnsaved = () => received.some(({ isSaved }) => !isSaved);

/** @param {{files: Received[]}} facts */
function draw({ files }) {
  received = files;
  forgetPreviews();
  element('saved').replaceChildren(...files.map(savable));
  offerAll(files, markSaved);
  drawState();
}

/** All of them went to one place. */
function markSaved() {
  for (const file of received) file.isSaved = true;
  element('saved').replaceChildren(...received.map(savable));
  drawState();
  entitle();
}

/** Two different ends: it is in the page, or it is where it was to go. */
function drawState() {
  const isSaved = !hasUnsaved();
  element('done-title').textContent = text(isSaved ? 'done.saved' : 'done.title');
  element('done-text').textContent = text(isSaved ? 'done.handed' : 'done.text', { count: received.length });
  element('again').classList.toggle('primary', isSaved);
}

/** @param {Received} file */
function savable(file) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'save';
  button.textContent = text(file.isSaved ? 'done.again' : 'done.save');
  button.setAttribute('aria-label', text(file.isSaved ? 'done.again-name' : 'done.save-name', { name: isolated(harmless(file.path)) }));
  button.classList.toggle('primary', received.length === 1 && !file.isSaved);
  const item = row(file.path, detail(bytes(file.size)), checksum(file.sha256));
  item.append(button);
  const shown = preview(file, received.length === 1);
  if (shown) item.append(shown);
  button.addEventListener('click', () => keep(file, item));
  return item;
}

/**
 * @param {Received} file
 * @param {HTMLElement} item  What shows it.
 */
function keep(file, item) {
  save(file.content, file.path);
  file.isSaved = true;
  const fresh = savable(file);
  item.replaceWith(fresh);
  fresh.querySelector('button')?.focus();
  drawState();
  entitle();
  announce(text('done.given', { name: isolated(harmless(file.path)) }));
}

/** @param {string} sha256  For those who want to compare. */
function checksum(sha256) {
  const summary = document.createElement('summary');
  summary.textContent = 'SHA-256';
  const digits = document.createElement('code');
  digits.textContent = sha256;
  const details = document.createElement('details');
  details.append(summary, digits);
  return details;
}

view('done', draw);
