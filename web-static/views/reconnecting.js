/** The connection broke, and what is here waits for the rest. */
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { amount, drawBar } from './figures.js';

/** @param {{progress: import('../progress.js').Progress}} facts */
function draw({ progress }) {
  element('kept').textContent = text('reconnecting.kept', { amount: amount(progress) });
  drawBar(element('kept-progress'), progress);
}

view('reconnecting', draw);
