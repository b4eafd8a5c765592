/** All files at once: into a folder where the browser can, or as one archive. */
import { canSaveToFolder, saveAsArchive, saveToFolder } from '../save.js';
import { announce, element } from '../screen.js';
import { bytes, text } from '../text.js';

/** Between two updates of how far it is: milliseconds. */
const UPDATE_INTERVAL = 500;

/** @typedef {{path: string, content: Blob, size: number}} Received */

/** @type {{files: Received[], saved: () => void}} */
let offered = { files: [], saved: () => {} };
let isBusy = false;
let updated = 0;

/**
 * @param {Received[]} files
 * @param {() => void} saved  Called when all of them are where they were to go.
 */
export function offerAll(files, saved) {
  offered = { files, saved };
  element('save-all').hidden = files.length < 2;
  element('save-folder').hidden = !canSaveToFolder();
  element('save-state').textContent = '';
}

/** @param {(files: Received[], report: (done: number) => void) => Promise<boolean>} save */
async function saveAll(save) {
  if (isBusy) return;
  const { files, saved } = offered;
  isBusy = true;
  updated = 0;
  setBusy(true);
  element('save-state').textContent = '';
  try {
    const isSaved = await save(files, report);
    say(isSaved ? text('done.all-saved', { count: files.length }) : text('done.all-stopped'));
    if (isSaved) saved();
  } catch {
    say(text('done.all-failed'));
  } finally {
    isBusy = false;
    setBusy(false);
  }
}

/** @param {number} done  Bytes. */
function report(done) {
  const now = performance.now();
  if (now - updated < UPDATE_INTERVAL) return;
  updated = now;
  element('save-state').textContent = text('done.all-progress', { done: bytes(done) });
}

/** @param {string} words */
function say(words) {
  element('save-state').textContent = words;
  announce(words);
}

/** @param {boolean} isNow */
function setBusy(isNow) {
  for (const id of ['save-folder', 'save-archive']) element(id).setAttribute('aria-disabled', String(isNow));
}

/** @param {Received[]} files  Named after the folder that they share, if they do. */
function archiveName(files) {
  const tops = new Set(files.map(({ path }) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '')));
  const [top] = tops;
  return tops.size === 1 && top ? `${top}.zip` : 'files.zip';
}

element('save-folder').addEventListener('click', () => saveAll(saveToFolder));
element('save-archive').addEventListener('click', () => {
  saveAll((files, report) => saveAsArchive(files, archiveName(files), report));
});
