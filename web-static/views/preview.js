/** A look at what was received, before it is saved. What could run something is shown as text or not at all. */
import { copy } from '../clipboard.js';
import { announce } from '../screen.js';
import { isolated, text } from '../text.js';
import { harmless } from './files.js';

/** What each kind of file may be taken for, whatever it contains: by the end of its name. */
const MEDIA = new Map([
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['gif', 'image/gif'],
  ['webp', 'image/webp'],
  ['avif', 'image/avif'],
  ['bmp', 'image/bmp'],
  ['mp4', 'video/mp4'],
  ['m4v', 'video/mp4'],
  ['mov', 'video/mp4'],
  ['webm', 'video/webm'],
  ['mp3', 'audio/mpeg'],
  ['m4a', 'audio/mp4'],
  ['ogg', 'audio/ogg'],
  ['opus', 'audio/ogg'],
  ['wav', 'audio/wav'],
  ['flac', 'audio/flac'],
]);
const TEXTS = ['txt', 'md', 'csv', 'tsv', 'log', 'json', 'xml', 'html', 'htm', 'svg', 'css', 'js', 'ts', 'py', 'rs', 'c', 'h', 'sh', 'toml', 'yaml', 'yml', 'ini', 'url', 'vcf', 'ics'];
/** More text than that is read in a program of its own: bytes. */
const MAX_TEXT_LEN = 1 << 20;
const ELEMENTS = { image: 'img', video: 'video', audio: 'audio' };

/** Addresses of what is shown, to be given back. */
const addresses = new Set();

/**
 * @param {string} path
 * @returns {string | undefined}  What a picture, a film or a sound of this name is taken for, whatever it contains.
 */
export const mediaType = (path) => MEDIA.get(path.slice(path.lastIndexOf('.') + 1).toLowerCase());

/** Gives back what was shown. */
export function forgetPreviews() {
  for (const address of addresses) URL.revokeObjectURL(address);
  addresses.clear();
}

/**
 * @param {string} path
 * @param {Blob} content
 * @param {{isOpen: boolean, isText: boolean}} how  Whether it is shown at once, and whether it is a text whatever its name is.
 * @returns {HTMLElement | undefined}  What shows it; nothing if it cannot be shown.
 */
export function preview(path, content, { isOpen, isText }) {
  const show = isText ? (/** @type {HTMLElement} */ place) => showText(place, content) : viewer(path, content);
  if (!show || content.size === 0) return undefined;
  const details = document.createElement('details');
  details.className = 'preview';
  const summary = document.createElement('summary');
  summary.textContent = text('preview.show');
  summary.setAttribute('aria-label', text('preview.show-name', { name: isolated(harmless(path)) }));
  details.append(summary);
  details.addEventListener('toggle', () => {
    if (!details.open || details.childElementCount > 1) return;
    const place = document.createElement('div');
    details.append(place);
    show(place).catch(() => place.replaceChildren(text('preview.cannot')));
  });
  details.open = isOpen;
  return details;
}

/**
 * @param {string} path
 * @param {Blob} content
 * @returns {((place: HTMLElement) => Promise<void>) | undefined}
 */
function viewer(path, content) {
  const end = path.slice(path.lastIndexOf('.') + 1).toLowerCase();
  const type = mediaType(path);
  if (type) return (place) => showMedia(place, path, content, type);
  if (TEXTS.includes(end) && content.size <= MAX_TEXT_LEN) return (place) => showText(place, content);
  return undefined;
}

/**
 * @param {HTMLElement} place
 * @param {string} path
 * @param {Blob} content
 * @param {string} type  Not the sender's word for it.
 */
async function showMedia(place, path, content, type) {
  const kind = /** @type {keyof typeof ELEMENTS} */ (type.split('/')[0]);
  const shown = /** @type {HTMLImageElement | HTMLMediaElement} */ (document.createElement(ELEMENTS[kind]));
  const address = URL.createObjectURL(content.slice(0, content.size, type));
  addresses.add(address);
  shown.addEventListener('error', () => place.replaceChildren(text('preview.cannot')));
  if (shown instanceof HTMLImageElement) {
    shown.alt = harmless(path);
  } else {
    shown.controls = true;
    shown.preload = 'metadata';
    shown.setAttribute('aria-label', harmless(path));
  }
  shown.src = address;
  place.replaceChildren(shown);
}

/**
 * @param {HTMLElement} place
 * @param {Blob} content
 */
async function showText(place, content) {
  const words = new TextDecoder('utf-8', { fatal: true }).decode(await content.arrayBuffer());
  const shown = document.createElement('pre');
  shown.dir = 'auto';
  shown.tabIndex = 0;
  shown.textContent = words;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = text('preview.copy');
  button.addEventListener('click', () => copyText(shown, words));
  place.replaceChildren(shown, button);
}

/**
 * @param {HTMLElement} shown
 * @param {string} words
 */
async function copyText(shown, words) {
  announce(text((await copy(words, shown)) ? 'preview.copied' : 'preview.marked'));
}
