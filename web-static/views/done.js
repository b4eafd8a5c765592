/** Everything is here and verified; now it has to be saved. */
import { save, sharing } from '../save.js';
import { announce, element, entitle, view } from '../screen.js';
import { bytes, isolated, text } from '../text.js';
import { detail, harmless, row } from './files.js';
import { forgetPreviews, mediaType, preview } from './preview.js';
import { offerAll } from './saveall.js';

/** @typedef {import('../storing.js').Received & {isSaved?: boolean}} Received */

/** @type {Received[]} */
let received = [];
/** Whether it is a text, which is to be read. */
let isText = false;

/** Whether there are files that are here and nowhere else. */
export const hasUnsaved = () => !isText && received.some(({ isPlaced, isSaved }) => !isPlaced && !isSaved);

/** @param {{files: Received[], isText?: boolean}} facts */
function draw({ files, isText: isTextNow = false }) {
  received = files;
  isText = isTextNow;
  forgetPreviews();
  element('saved').replaceChildren(...files.map(savable));
  offerAll(files.filter(({ isPlaced }) => !isPlaced), markSaved);
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
  const isPlaced = received.every(({ isPlaced }) => isPlaced);
  element('done-title').textContent = text(isSaved && !isText ? 'done.saved' : 'done.title');
  const words = isPlaced ? 'done.placed' : isSaved ? 'done.handed' : 'done.text';
  element('done-text').textContent = isText ? '' : text(words, { count: received.length });
  element('again').classList.toggle('primary', isSaved && !isText);
}

/** @param {Received} file */
function savable(file) {
  const item = row(file.path, detail(bytes(file.size)), checksum(file.sha256));
  if (file.isPlaced) item.append(detail(text('done.saved')));
  else item.append(...shareButtons(file), saveButton(file, item));
  const shown = file.content && preview(file.path, file.content, { isOpen: received.length === 1, isText });
  if (shown) item.append(shown);
  return item;
}

/**
 * @param {Received} file
 * @returns {HTMLElement[]}  None where it cannot be shared: what goes to the photos of a phone has to.
 */
function shareButtons({ path, content }) {
  const type = mediaType(path);
  const share = content && type && sharing(content, path, type);
  if (!share) return [];
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = text('done.share');
  button.setAttribute('aria-label', text('done.share-name', { name: isolated(harmless(path)) }));
  button.addEventListener('click', share);
  return [button];
}

/**
 * @param {Received} file
 * @param {HTMLElement} item  What shows it.
 */
function saveButton(file, item) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'save';
  button.textContent = text(file.isSaved ? 'done.again' : 'done.save');
  button.setAttribute('aria-label', text(file.isSaved ? 'done.again-name' : 'done.save-name', { name: isolated(harmless(file.path)) }));
  button.classList.toggle('primary', received.length === 1 && !file.isSaved && !isText);
  button.addEventListener('click', () => keep(file, item));
  return button;
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
