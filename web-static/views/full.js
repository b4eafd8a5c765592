/** There is no room for more. What is here stays until the person has chosen. */
import { ask } from '../engine.js';
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { amount } from './figures.js';

/** What may be chosen, as the worker offers it. */
const CHOICES = ['retry', 'disk', 'stop'];

/** @param {{progress: import('../progress.js').Progress, choices: string[]}} facts */
function draw({ progress, choices }) {
  element('full-kept').textContent = text('full.kept', { amount: amount(progress) });
  for (const choice of CHOICES) element(`full-${choice}`).hidden = !choices.includes(choice);
}

for (const choice of CHOICES) {
  element(`full-${choice}`).addEventListener('click', () => ask({ type: 'full', choice }));
}
view('full', draw);
