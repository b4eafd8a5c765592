/**
 * Receiving, from a code or a link to files that are here. It does what the worker tells and asks the worker for what the
 * person wants; what is shown of it is in `views`.
 */
import { ask, engine, keepShell, on } from './engine.js';
import { fail } from './failures.js';
import { Progress } from './progress.js';
import { Peer } from './rtc.js';
import { element, isShown, show } from './screen.js';
import { remember, salt, wasTried } from './tried.js';
import { hasUnsaved } from './views/done.js';
import { Wakefulness, onAwake } from './wake.js';
import './views/confirm.js';
import './views/connecting.js';
import './views/full.js';
import './views/receiving.js';
import './views/reconnecting.js';

/** While one of these is shown, leaving the page loses something. */
const AT_WORK = ['receiving', 'reconnecting', 'verifying', 'full'];

/** Where the page is, and how one came here. */
let from = { base: '', isFromLink: false };
let trace = '';
/** @type {Peer | undefined} */
let peer;
let progress = new Progress(0, 0);
/** What is offered, and then what is known of its arrival. */
/** @type {{files: {path: string, size: number}[], size: number, isStream: boolean, leftOut: number} | undefined} */
let offer;
let arriving = { size: 0, isStream: false, path: '', way: '' };
const wakefulness = new Wakefulness();

/**
 * Looks whether something may be a code or a link, without asking anybody.
 *
 * @param {string} text
 * @param {{base: string, isFromLink: boolean}} where
 */
export function look(text, where) {
  from = where;
  ask({ type: 'look', text, salt: salt() });
}

/** Begins: somebody tapped. */
export function receive() {
  if (wasTried(trace)) return fail('already-tried');
  show('connecting', { at: 'server' });
  ask({ type: 'receive', base: from.base, isTouch: matchMedia('(pointer: coarse)').matches });
}

/** @param {{trace: string, origin?: string}} found */
function handleFound(found) {
  trace = found.trace;
  const isElsewhere = !from.isFromLink && found.origin && `${found.origin}/` !== from.base;
  if (isElsewhere) show('enter', { mistake: 'other-page' });
  else receive();
}

/** @param {{files: {path: string, size: number}[], size: number, isStream: boolean, leftOut: number}} offered */
function handleOffer(offered) {
  offer = offered;
  arriving = { size: offer.size, isStream: offer.isStream, path: '', way: '' };
  show('confirm', offer);
  // Not before: a visit that leads nowhere leaves nothing behind.
  keepShell();
}

function accept() {
  progress = new Progress(arriving.isStream ? 0 : arriving.size, performance.now());
  showArriving();
  ask({ type: 'accept' });
  lookAtPath();
}

async function lookAtPath() {
  arriving.way = (await peer?.path()) ?? '';
}

/** @param {object} [more]  What is known since. */
function showArriving(more) {
  Object.assign(arriving, more);
  show('receiving', { progress, ...arriving });
}

/** Closes the connection, whatever has become of it. */
function leave() {
  peer?.close();
  peer = undefined;
}

on('found', handleFound);
on('refused', ({ why }) => show('enter', { mistake: why }));
on('reached', () => show('connecting', { at: 'code' }));
on('proving', () => remember(trace));
on('connect', (offer) => {
  if (!isShown('reconnecting')) show('connecting', { at: 'path' });
  peer?.close();
  peer = new Peer(engine(), offer);
});
on('candidate', ({ candidate }) => peer?.try(candidate));
on('transmit', ({ record }) => peer?.transmit(record));
on('offer', handleOffer);
on('file', ({ path }) => showArriving({ path }));
on('progress', ({ done }) => {
  progress.update(done, performance.now());
  if (isShown('receiving')) showArriving();
});
on('reconnecting', () => {
  leave();
  show('reconnecting', { progress });
});
on('resumed', ({ isAccepted }) => {
  if (!isAccepted) return offer && show('confirm', offer);
  progress.restart(performance.now());
  showArriving();
  lookAtPath();
});
on('full', ({ choices }) => show('full', { progress, choices }));
on('verifying', () => show('verifying'));
on('done', ({ files }) => {
  leave();
  show('done', { files });
});

element('accept').addEventListener('click', accept);
element('decline').addEventListener('click', () => ask({ type: 'decline' }));
for (const button of document.querySelectorAll('.cancel')) {
  button.addEventListener('click', () => ask({ type: 'cancel' }));
}
document.addEventListener('screen', () => {
  if (isShown('failed')) leave();
  wakefulness.keep(isShown(...AT_WORK));
});
onAwake(() => ask({ type: 'awake' }));
window.addEventListener('pagehide', () => ask({ type: 'cancel' }));
window.addEventListener('beforeunload', (event) => {
  if (isShown(...AT_WORK) || (isShown('done') && hasUnsaved())) event.preventDefault();
});
