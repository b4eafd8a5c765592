/**
 * Sending, from files that are chosen to a receiver that has them. It does what its worker tells and asks the worker for
 * what the person wants; what is shown of it is in `views`. Loaded when somebody chooses to send.
 */
import { scriptAddress } from './engine.js';
import { fail } from './failures.js';
import { Progress } from './progress.js';
import { Peer } from './rtc.js';
import { element, isShown, show } from './screen.js';
import { dropped, picked } from './send.files.js';
import { hasText } from './text.js';
import { rememberToken, token } from './token.js';
import { Wakefulness, onAwake } from './wake.js';
import './views/choose.js';
import './views/inviting.js';
import './views/private.js';
import './views/reconnecting.js';
import './views/sending.js';
import './views/write.js';

/** @typedef {import('./send.files.js').Chosen} Chosen */

/** More than that nobody chooses by hand, and a browser takes long to list them. */
const MAX_FILES = 10_000;
/** While one of these is shown, leaving the page takes the files away from whoever wants them. */
const AT_WORK = ['inviting', 'awaiting', 'sending', 'reconnecting'];

/** @type {Chosen[]} */
let chosen = [];
/** A text that is sent instead of what is chosen. @type {Chosen | undefined} */
let written;
let base = '';
/** @type {Worker | undefined} */
let worker;
/** @type {Peer | undefined} */
let peer;
let progress = new Progress(0, 0);
let way = '';
/** Whether the rendezvous carries the bytes. */
let isRelayed = false;
/** What both sides may compare. */
let words = '';
/** What is shown to bring somebody here. */
let invitation = {};
/** Why it is not the first code, or what has become of a visitor: a key. */
let notice = '';
/** Whether the way to the rendezvous broke, which keeps the code meanwhile. */
let isAway = false;
const wakefulness = new Wakefulness();

/** @param {string} where  The address of the page, where receivers are to come. */
export function choose(where) {
  base = where;
  if (written) show('write');
  else showChosen();
}

/** @param {{tooMany?: boolean}} [more] */
function showChosen(more) {
  show('choose', { chosen, remove, ...more });
}

const offered = () => (written ? [written] : chosen);

/** @param {Chosen[]} more */
function add(more) {
  const tooMany = chosen.length + more.length > MAX_FILES;
  if (!tooMany) chosen = [...chosen, ...more];
  showChosen({ tooMany });
}

/** @param {Chosen} file */
function remove(file) {
  chosen = chosen.filter((each) => each !== file);
  showChosen();
}

/** The person has written a text. */
function sendText() {
  const { value } = /** @type {HTMLTextAreaElement} */ (element('words'));
  if (value === '') return show('write', { mistake: 'nothing' });
  const file = new File([value], 'text.txt');
  written = { file, path: file.name };
  begin();
}

function chooseInstead() {
  written = undefined;
  showChosen();
}

function begin() {
  const files = offered();
  if (files.length === 0) return;
  notice = '';
  isAway = false;
  way = '';
  isRelayed = false;
  leave();
  worker ??= startWorker();
  show('awaiting', { step: 'server' });
  const content = { files: files.map(({ file }) => file), paths: files.map(({ path }) => path), isText: written !== undefined };
  worker.postMessage({ type: 'send', ...content, base, token: token() });
}

function startWorker() {
  const started = new Worker(scriptAddress('sender'), { type: 'module' });
  started.onmessage = handle;
  started.onerror = () => fail('unsupported');
  return started;
}

/** @param {MessageEvent} event  From the worker. */
function handle({ data }) {
  switch (data.type) {
    case 'code':
      invitation = data;
      if (data.closed) notice = data.code ? `inviting.${data.closed}` : 'inviting.link-only';
      return showInvitation();
    case 'working':
      return isShown('awaiting') ? show('awaiting', { step: 'work' }) : undefined;
    case 'away':
    case 'here':
      isAway = data.type === 'away';
      return isShown('inviting') ? showInvitation() : undefined;
    case 'visited':
      // What closes a code is told with what follows it.
      if (data.why !== 'left-early' || !isShown('inviting')) return;
      notice = 'inviting.left-early';
      return showInvitation();
    case 'connect':
      if (!isShown('reconnecting')) show('awaiting', { step: 'path' });
      leave();
      peer = new Peer(/** @type {Worker} */ (worker), data);
      return;
    case 'way':
      ({ isRelayed } = data);
      findWay();
      return;
    case 'answer':
      return peer?.takeAnswer(data.sdp);
    case 'candidate':
      return peer?.try(data.candidate);
    case 'transmit':
      return peer?.transmit(data.record);
    case 'offered':
      // What is small is sent before there is time to find out.
      findWay();
      words = data.words;
      return showAwaited();
    case 'reconnecting':
      leave();
      return data.isFirst ? show('awaiting', { step: 'path' }) : show('reconnecting', { progress });
    case 'resumed':
      return handleResumed(data);
    case 'accepted':
      return handleAccepted();
    case 'progress':
      progress.update(data.done, performance.now());
      return showSending();
    case 'done':
      return show('sent', { count: chosen.length, isText: written !== undefined });
    case 'over':
      return leave();
    case 'failed':
      return handleFailed(data);
  }
}

function showAwaited() {
  show('awaiting', { step: 'consent', words });
}

function showInvitation() {
  show('inviting', { ...invitation, notice, isAway, base });
}

async function handleAccepted() {
  const size = offered().reduce((sum, { file }) => sum + file.size, 0);
  progress = new Progress(size, performance.now());
  show('sending', { progress, way });
  await findWay();
}

/** @param {{isAccepted: boolean}} resumed */
async function handleResumed({ isAccepted }) {
  if (!isAccepted) return showAwaited();
  progress.restart(performance.now());
  show('sending', { progress, way });
  await findWay();
}

/** How the bytes travel: for the person, and for the count of such at the rendezvous. */
async function findWay() {
  const direct = isRelayed ? undefined : await peer?.path();
  way = isRelayed ? 'relayed' : direct ?? '';
  worker?.postMessage({ type: 'path', way });
  showSending();
}

function showSending() {
  if (isShown('sending')) show('sending', { progress, way });
}

/** @param {{why: string, retryAfter?: number}} failed */
function handleFailed({ why, retryAfter }) {
  if (why === 'long-text') return show('write', { mistake: 'too-long' });
  if (why === 'token') return show('private', { isWrong: token() !== undefined });
  fail(hasText(`failed.sending-${why}.title`) ? `sending-${why}` : why, retryAfter);
}

/** Closes the connection, whatever has become of it. */
function leave() {
  peer?.close();
  peer = undefined;
}

/** The person says that they may send here. */
function sendWithToken() {
  const { value } = /** @type {HTMLInputElement} */ (element('token'));
  rememberToken(value);
  begin();
}

function startOver() {
  chosen = [];
  written = undefined;
  /** @type {HTMLTextAreaElement} */ (element('words')).value = '';
  choose(base);
}

element('choose-files').addEventListener('click', () => element('files').click());
element('choose-folder').addEventListener('click', () => element('folder').click());
for (const id of ['files', 'folder']) {
  /** @type {HTMLInputElement} */
  const input = element(id);
  input.addEventListener('change', () => {
    add(picked(input.files ?? []));
    // The same file may be chosen again after it was removed.
    input.value = '';
  });
}
element('choose-send').addEventListener('click', begin);
element('choose-back').addEventListener('click', () => show('enter'));
element('choose-write').addEventListener('click', () => show('write'));
element('write-back').addEventListener('click', chooseInstead);
element('private-back').addEventListener('click', () => choose(base));
for (const [id, submit] of [['write-form', sendText], ['private-form', sendWithToken]]) {
  element(id).addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
}
element('sent-more').addEventListener('click', startOver);
for (const button of document.querySelectorAll('.stop-sending')) {
  button.addEventListener('click', () => worker?.postMessage({ type: 'cancel' }));
}
document.addEventListener('drop', async (event) => {
  if (isShown('choose') && event.dataTransfer) add(await dropped(event.dataTransfer));
});
document.addEventListener('screen', () => wakefulness.keep(isShown(...AT_WORK)));
onAwake(() => worker?.postMessage({ type: 'awake' }));
window.addEventListener('pagehide', () => worker?.postMessage({ type: 'cancel' }));
window.addEventListener('beforeunload', (event) => {
  if (isShown(...AT_WORK)) event.preventDefault();
});
