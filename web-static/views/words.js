/** What the two sides may compare, to be sure that nobody stands between them. */
import { element } from '../screen.js';

/**
 * @param {string} id  Of the paragraph that says it.
 * @param {string} [words]  Nothing where there is nothing to compare.
 */
export function drawWords(id, words) {
  element(id).hidden = !words;
  element(id).querySelector('b').textContent = words ?? '';
}
