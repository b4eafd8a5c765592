/** What is offered, before anything of it is transferred. */
import { element, view } from '../screen.js';
import { bytes, text } from '../text.js';
import { detail, row } from './files.js';

/** @param {{files: {path: string, size: number}[], size: number, isStream: boolean, leftOut: number}} offer */
function draw({ files, size, isStream, leftOut }) {
  element('confirm-title').textContent = text('confirm.title', { count: files.length });
  element('confirm-total').textContent = isStream ? text('confirm.unknown') : text('confirm.total', { size: bytes(size) });
  // A single file says its size itself.
  element('confirm-total').hidden = files.length === 1 && !isStream;
  element('offer').replaceChildren(...files.map((file) => row(file.path, isStream ? '' : detail(bytes(file.size)))));
  element('offer-note').textContent = leftOut > 0 ? text('confirm.links', { count: leftOut }) : '';
}

view('confirm', draw);
