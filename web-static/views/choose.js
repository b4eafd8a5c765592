/** What is to be sent, before anybody is asked for it. */
import { element, view } from '../screen.js';
import { bytes, isolated, text } from '../text.js';
import { detail, harmless, row } from './files.js';

/** @typedef {import('../send.files.js').Chosen} Chosen */

/** So many are shown by name; nobody reads more. */
const SHOWN = 200;

/** @param {{chosen: Chosen[], tooMany?: boolean, remove?: (file: Chosen) => void}} facts */
function draw({ chosen, tooMany, remove }) {
  element('chosen').replaceChildren(...chosen.slice(0, SHOWN).map((file) => removable(file, remove)));
  element('chosen').hidden = chosen.length === 0;
  const size = chosen.reduce((sum, { file }) => sum + file.size, 0);
  const total = chosen.length > 0 ? text('choose.total', { count: chosen.length, size: bytes(size) }) : '';
  element('choose-total').textContent = total;
  element('choose-error').textContent = tooMany ? text('choose.too-many') : '';
  element('choose-send').hidden = chosen.length === 0;
  // A text is sent alone.
  element('choose-write').hidden = chosen.length > 0;
  element('choose-files').classList.toggle('primary', chosen.length === 0);
  // Phones have no folders to choose, and some browsers cannot.
  const canFolders = 'webkitdirectory' in HTMLInputElement.prototype && matchMedia('(pointer: fine)').matches;
  element('choose-folder').hidden = !canFolders;
}

/**
 * @param {Chosen} file
 * @param {((file: Chosen) => void) | undefined} remove
 */
function removable(file, remove) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = text('choose.remove');
  button.setAttribute('aria-label', text('choose.remove-name', { name: isolated(harmless(file.path)) }));
  button.addEventListener('click', () => remove?.(file));
  const item = row(file.path, detail(bytes(file.file.size)));
  item.append(button);
  return item;
}

view('choose', draw);
