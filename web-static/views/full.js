/** There is no room for more. What is here stays until the person has chosen. */
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { amount } from './figures.js';

/** What may be chosen, each by a button of its own. */
const CHOICES = ['retry', 'target', 'download', 'stop'];

/** @param {{progress: import('../progress.js').Progress, count: number, choices: string[]}} facts  `count` of files that come. */
function draw({ progress, count, choices }) {
  element('full-kept').textContent = text('kept', { amount: amount(progress) });
  element('full-target').textContent = text('target', { count });
  for (const choice of CHOICES) element(`full-${choice}`).hidden = !choices.includes(choice);
}

/** @param {(choice: string) => void} listener  Called when the person has chosen. */
export function onChoice(listener) {
  for (const choice of CHOICES) element(`full-${choice}`).addEventListener('click', () => listener(choice));
}

view('full', draw);
