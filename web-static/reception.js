/**
 * Receiving, from a code or a link to files that are here. It does what the worker tells and asks the worker for what the
 * person wants; what is shown of it is in `views`.
 */
import { ask, engine, keepShell, on } from './engine.js';
import { fail } from './failures.js';
import { Progress } from './progress.js';
import { Peer } from './rtc.js';
import { canSaveToFile, canSaveToFolder, chooseTarget } from './save.js';
import { element, isShown, show } from './screen.js';
import { forgetLeft, hasLeft, leave as leaveBehind } from './left.js';
import { remember, salt, wasTried } from './tried.js';
import { hasUnsaved } from './views/done.js';
import { Wakefulness, onAwake } from './wake.js';
import './views/confirm.js';
import './views/connecting.js';
import { onChoice } from './views/full.js';
import './views/paused.js';
import './views/receiving.js';
import './views/reconnecting.js';

/** While one of these is shown, leaving the page loses something. */
const AT_WORK = ['receiving', 'reconnecting', 'verifying', 'full', 'paused'];

/** Where the page is, and how one came here. */
let from = { base: '', isFromLink: false };
let trace = '';
/** @type {Peer | undefined} */
let peer;
let progress = new Progress(0, 0);
/** What is offered, and then what is known of its arrival. */
/** @type {import('./views/confirm.js').Offer | undefined} */
let offer;
/** Whether the rendezvous carries the bytes. */
let isRelayed = false;
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
  begin();
}

/**
 * Goes on with what this page was receiving before it was loaded anew: nobody has to do anything for that.
 *
 * @param {import('./left.js').Left} left
 * @param {string} base
 */
export function goOn(left, base) {
  from = { base, isFromLink: false };
  show('reconnecting', { progress });
  begin(left);
}

/** @param {import('./left.js').Left} [left] */
function begin(left) {
  const isTouch = matchMedia('(pointer: coarse)').matches;
  ask({ type: 'receive', base: from.base, isTouch, canChoose: canChoose(), left });
}

/** @param {{trace: string, origin?: string}} found */
function handleFound(found) {
  trace = found.trace;
  const isElsewhere = !from.isFromLink && found.origin && `${found.origin}/` !== from.base;
  if (isElsewhere) show('enter', { mistake: 'other-page' });
  else receive();
}

/** Whether the person can say where files are saved: one, and any number of them. */
const canChoose = () => canSaveToFile() && canSaveToFolder();

/** @param {import('./views/confirm.js').Offer} offered */
function handleOffer(offered) {
  offer = { ...offered, canChoose: canChoose() };
  arriving = { size: offer.size, isStream: offer.isStream, path: '', way: '' };
  if (offered.isAccepted) return startProgress();
  show('confirm', offer);
  // Not before: a visit that leads nowhere leaves nothing behind.
  keepShell();
}

/** @param {{file?: any, folder?: any}} [target]  Where it is to be saved, if that is anywhere but here. */
function accept(target) {
  startProgress();
  ask({ type: 'accept', target });
  prepareForFullStorage().catch(() => {});
}

function startProgress() {
  progress = new Progress(arriving.isStream ? 0 : arriving.size, performance.now());
  showArriving();
  lookAtPath();
}

async function acceptElsewhere() {
  const target = await chosenTarget();
  if (target && isShown('confirm')) accept(target);
}

/** Nothing when the person chose nothing; the screen is still the same then. */
async function chosenTarget() {
  try {
    return await chooseTarget(offer?.files ?? []);
  } catch {
    // The browser does not let anybody write there, and has said so.
    return undefined;
  }
}

/** Without room a browser does not even take what it would download with. */
async function prepareForFullStorage() {
  if (!canChoose() && canDownload()) await (await import('./save.stream.js')).downloader();
}

const canDownload = () => isSecureContext && 'serviceWorker' in navigator;

/** There is no room left: what else can be done depends on the browser. */
function handleFull() {
  const elsewhere = canChoose() ? ['target'] : canDownload() ? ['download'] : [];
  show('full', { progress, count: offer?.files.length ?? 1, choices: ['retry', ...elsewhere, 'stop'] });
}

/** @param {string} choice */
async function handleChoice(choice) {
  const target = choice === 'target' ? await chosenTarget() : undefined;
  if (choice !== 'target' || target) ask({ type: 'full', choice, target });
}

/** @param {{path: string, size?: number, port: MessagePort}} file  It comes from the worker, and goes to the browser's downloads. */
async function handleDownload({ path, size, port }) {
  const { downloadFrom } = await import('./save.stream.js');
  await downloadFrom(port, { path, size });
}

async function handleCanDownload() {
  const { downloader } = await import('./save.stream.js');
  ask({ type: 'can-download', isSo: (await downloader()) !== undefined });
}

async function lookAtPath() {
  const way = isRelayed ? 'relayed' : await peer?.path();
  arriving.way = isRelayed ? 'relayed' : way ?? '';
  if (isShown('receiving')) showArriving();
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
on('working', () => show('connecting', { at: 'code', isWorking: true }));
on('proving', () => remember(trace));
on('kept', leaveBehind);
on('connect', (offer) => {
  if (!isShown('reconnecting')) show('connecting', { at: 'path' });
  peer?.close();
  peer = new Peer(engine(), offer);
});
on('way', (way) => {
  ({ isRelayed } = way);
  lookAtPath();
});
on('candidate', ({ candidate }) => peer?.try(candidate));
on('transmit', ({ record }) => peer?.transmit(record));
on('offer', handleOffer);
on('file', ({ path }) => showArriving({ path }));
on('progress', ({ done }) => {
  progress.update(done, performance.now());
  if (isShown('receiving')) showArriving();
});
on('reconnecting', ({ isFirst }) => {
  leave();
  if (isFirst) show('connecting', { at: 'server' });
  else show('reconnecting', { progress });
});
on('resumed', ({ isAccepted }) => {
  if (!isAccepted) return offer && show('confirm', offer);
  progress.restart(performance.now());
  showArriving();
  lookAtPath();
});
on('full', handleFull);
on('paused', () => show('paused', { progress }));
on('can-download', handleCanDownload);
on('download', handleDownload);
on('verifying', () => show('verifying'));
on('done', ({ files }) => {
  forgetLeft();
  leave();
  show('done', { files, isText: offer?.isText });
});

onChoice(handleChoice);
element('accept').addEventListener('click', () => accept());
element('accept-target').addEventListener('click', acceptElsewhere);
element('pause').addEventListener('click', () => ask({ type: 'pause' }));
element('go-on').addEventListener('click', () => ask({ type: 'go-on' }));
element('decline').addEventListener('click', () => ask({ type: 'decline' }));
for (const button of document.querySelectorAll('.cancel')) {
  button.addEventListener('click', () => ask({ type: 'cancel' }));
}
document.addEventListener('screen', () => {
  if (isShown('failed')) {
    forgetLeft();
    leave();
  }
  wakefulness.keep(isShown(...AT_WORK));
});
onAwake(() => ask({ type: 'awake' }));
// What is stored waits for a page that is loaded anew; nothing else can.
window.addEventListener('pagehide', () => hasLeft() || ask({ type: 'cancel' }));
window.addEventListener('beforeunload', (event) => {
  if (isShown(...AT_WORK) || (isShown('done') && hasUnsaved())) event.preventDefault();
});
