/** The server lets only those send who have its token. */
import { element, view } from '../screen.js';
import { text } from '../text.js';

/** @param {{isWrong: boolean}} facts  Whether one was given. */
function draw({ isWrong }) {
  element('private-error').textContent = isWrong ? text('private.wrong') : '';
  element('token').setAttribute('aria-invalid', String(isWrong));
  if (isWrong) element('token').focus();
}

view('private', draw);
