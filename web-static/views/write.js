/** A text that is to be sent, before anybody is asked for a code. */
import { element, view } from '../screen.js';
import { text } from '../text.js';

/** @param {{mistake?: 'nothing' | 'too-long'}} facts */
function draw({ mistake }) {
  const words = { nothing: text('write.nothing'), 'too-long': text('write.too-long') };
  element('write-error').textContent = mistake ? words[mistake] : '';
  element('words').setAttribute('aria-invalid', String(mistake !== undefined));
  if (mistake) element('words').focus();
}

view('write', draw);
