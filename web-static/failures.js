/** What went wrong: what happened, what was kept, what to do. */
import { element, show, view } from './screen.js';
import { bytes, duration, hasText, text } from './text.js';

/** Nothing of the code was used up: the same can be tried again. */
const CAN_TRY_AGAIN = ['server-gone', 'server-busy', 'too-often', 'offline'];
/** Only a page that is loaded anew can do better. */
const NEEDS_RELOAD = ['unsupported', 'version'];
/** Here no code can be entered. */
const IS_CLOSED = ['unsupported', 'framed'];

/** Something may have arrived by then; what else there is to say says what became of it. */
const IN_THE_MIDDLE = ['left', 'lost', 'sender-cancelled', 'source', 'sender-failed'];

/**
 * @param {string} why  A reason that the worker or the page gives.
 * @param {number} [retryAfter]  Seconds until the server listens again.
 * @param {number} [kept]  Bytes of what was received.
 */
export function fail(why, retryAfter, kept) {
  show('failed', { why: why === 'server-gone' && !navigator.onLine ? 'offline' : why, retryAfter, kept });
}

/** @param {{why: string, retryAfter?: number, kept?: number}} facts */
function draw({ why: given, retryAfter, kept }) {
  const why = hasText(`failed.${given}.title`) ? given : 'unknown';
  // Without any text the page says in English what is the case then: it did not load.
  if (!hasText(`failed.${why}.title`)) return;
  element('failed-title').textContent = text(`failed.${why}.title`);
  const wait = retryAfter ? text('failed.wait', { time: duration(retryAfter) }) : '';
  const rest = kept ? text('failed.kept', { amount: bytes(kept) }) : IN_THE_MIDDLE.includes(why) ? text('failed.nothing-kept') : '';
  element('failed-text').textContent = [text(`failed.${why}.text`), wait, rest].filter(Boolean).join(' ');
  element('try-again').hidden = !CAN_TRY_AGAIN.includes(why);
  element('reload').hidden = !NEEDS_RELOAD.includes(why);
  element('send-again').hidden = !why.startsWith('sending-');
  const isOnlyChoice = ['try-again', 'reload', 'send-again'].every((id) => element(id).hidden);
  element('other-code').hidden = IS_CLOSED.includes(why);
  element('other-code').classList.toggle('primary', isOnlyChoice);
}

view('failed', draw);
element('reload').addEventListener('click', () => location.reload());
