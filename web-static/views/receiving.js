/** Bytes arrive: how many, how fast, how long still, and by which way. */
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { Figures } from './figures.js';
import { harmless } from './files.js';

const figures = new Figures('', 'receiving.progress');

/** @param {{progress: import('../progress.js').Progress, path: string, way: string}} facts */
function draw({ progress, path, way }) {
  element('current').textContent = harmless(path);
  element('path').textContent = way && text(`path.${way}`);
  return figures.draw(progress);
}

view('receiving', draw);
