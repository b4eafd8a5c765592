/** The person wants nothing to come for a while. */
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { amount, drawBar } from './figures.js';

/** @param {{progress: import('../progress.js').Progress}} facts */
function draw({ progress }) {
  element('paused-kept').textContent = text('kept', { amount: amount(progress) });
  drawBar(element('paused-progress'), progress);
}

view('paused', draw);
