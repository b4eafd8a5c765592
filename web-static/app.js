/** What the page shows and when. It moves no bytes and knows nothing of the protocol: that is the worker's. */
import { failure, mistake } from './failures.js';
import { Progress, bytes, plural } from './progress.js';
import { Peer } from './rtc.js';
import { save } from './save.js';
import { remember, salt, wasTried } from './tried.js';

/** After this long without a connection there is advice: milliseconds. */
const SLOW = 3000;
/** Between two updates of the speed, and between two announcements: milliseconds. */
const UPDATE_INTERVAL = 500;
const ANNOUNCE_INTERVAL = 15_000;

/** Where the page is, without the secret of a link. */
const base = new URL('.', location.href.split('#')[0]).href;
/** The secret of a link, read once. It leaves the address and the history before anything is asked of any network. */
let secret = takeSecret();

const STATES = ['enter', 'found', 'connecting', 'confirm', 'receiving', 'verifying', 'done', 'failed'];
/** @type {Worker | undefined} */
let worker;
/** @type {Peer | undefined} */
let peer;
/** @type {Progress | undefined} */
let progress;
/** @type {{release: () => Promise<void>} | undefined} */
let wakeLock;
let state = 'enter';
let trace = '';
let isFromLink = false;
let slowTimer = 0;
let updated = 0;
let announced = 0;
/** Files that are here and nowhere else. */
let unsaved = 0;
let offered = { size: 0, isStream: false };

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
function element(id) {
  return /** @type {T} */ (document.getElementById(id));
}

function takeSecret() {
  const fragment = location.hash;
  if (fragment) history.replaceState(null, '', location.pathname);
  return fragment;
}

/** @param {string} next */
function show(next) {
  state = next;
  for (const name of STATES) element(name).hidden = name !== next;
  document.title = 'send';
  /** @type {HTMLElement} */ (element(next).querySelector('h1')).focus({ preventScroll: true });
  window.scrollTo(0, 0);
  if (next === 'receiving') keepAwake();
  else if (next !== 'verifying') letSleep();
}

/** @param {string} text  For those who listen instead of looking. */
function announce(text) {
  element('status').textContent = text;
}

/**
 * @param {string} why
 * @param {number} [retryAfter]
 */
function fail(why, retryAfter) {
  leave();
  const { title, text } = failure(why, retryAfter);
  element('failed-title').textContent = title;
  element('failed-text').textContent = text;
  element('retry').textContent = why === 'unsupported' ? 'Reload' : 'Enter a code';
  show('failed');
  announce(`${title}. ${text}`);
}

/** Closes the connection, whatever has become of it. */
function leave() {
  clearTimeout(slowTimer);
  peer?.close();
  peer = undefined;
}

/** @param {string} text  A code or a link. */
function look(text) {
  startWorker();
  worker?.postMessage({ type: 'look', text, salt: salt() });
}

function receive() {
  if (wasTried(trace)) return fail('already-tried');
  for (const step of ['server', 'code', 'path']) setStep(step, '');
  setStep('server', 'now');
  element('slow').hidden = true;
  slowTimer = setTimeout(() => (element('slow').hidden = false), SLOW);
  show('connecting');
  const isTouch = matchMedia('(pointer: coarse)').matches;
  worker?.postMessage({ type: 'receive', base, isTouch });
}

/**
 * @param {string} name
 * @param {'' | 'now' | 'past'} when
 */
function setStep(name, when) {
  const step = element(`step-${name}`);
  step.classList.toggle('past', when === 'past');
  if (when === 'now') step.setAttribute('aria-current', 'step');
  else step.removeAttribute('aria-current');
}

/** @param {string} why */
function showMistake(why) {
  isFromLink = false;
  element('code-error').textContent = mistake(why);
  const input = element('code');
  input.setAttribute('aria-invalid', 'true');
  if (state !== 'enter') show('enter');
  input.focus();
}

/** @param {{trace: string, origin?: string}} found */
function handleFound(found) {
  trace = found.trace;
  if (!isFromLink && found.origin && `${found.origin}/` !== base) {
    showMistake('other-page');
  } else {
    element('code').removeAttribute('aria-invalid');
    element('code-error').textContent = '';
    receive();
  }
}

/** @param {{files: {path: string, size: number}[], size: number, isStream: boolean, leftOut: number}} offer */
function handleOffer({ files, size, isStream, leftOut }) {
  clearTimeout(slowTimer);
  offered = { size, isStream };
  const total = isStream ? 'How large it is will be known at its end.' : `${bytes(size)} in all`;
  const title = files.length === 1 ? 'Receive this file?' : `Receive ${plural(files.length, 'file')}?`;
  element('confirm-title').textContent = title;
  element('confirm-total').textContent = total;
  element('confirm-total').hidden = files.length === 1 && !isStream;
  element('offer').replaceChildren(...files.map((file) => row(file.path, isStream ? '' : bytes(file.size))));
  const note = element('offer-note');
  note.hidden = leftOut === 0;
  note.textContent = `${plural(leftOut, 'symbolic link')} will be left out: a browser cannot save them.`;
  show('confirm');
  announce(`${title} ${total}`);
}

/**
 * A file in a list. Its name is the sender's: it is shown as text, and its direction stays its own.
 *
 * @param {string} path
 * @param {string} detail
 * @param {...HTMLElement} more
 */
function row(path, detail, ...more) {
  const item = document.createElement('li');
  const name = document.createElement('bdi');
  name.className = 'name';
  name.textContent = path;
  const size = document.createElement('span');
  size.className = 'size';
  size.textContent = detail;
  const what = document.createElement('div');
  what.className = 'what';
  what.append(name, size);
  item.append(what, ...more);
  return item;
}

function accept() {
  progress = new Progress(offered.isStream ? 0 : offered.size, performance.now());
  updated = 0;
  announced = performance.now();
  for (const id of ['current', 'amount', 'speed', 'left']) element(id).textContent = '';
  element('path').hidden = true;
  show('receiving');
  worker?.postMessage({ type: 'accept' });
  showPath();
}

const PATHS = {
  network: 'This network: straight to the other device',
  direct: 'Direct: straight to the other device',
  relayed: 'Relayed by a server, still encrypted; slower than a direct connection',
};

async function showPath() {
  const path = await peer?.path();
  if (!path) return;
  element('path').textContent = PATHS[path];
  element('path').hidden = false;
}

/** @param {number} done  Bytes. */
function handleProgress(done) {
  if (!progress || state !== 'receiving') return;
  const now = performance.now();
  progress.update(done, now);
  const { fraction } = progress;
  /** @type {HTMLProgressElement} */
  const bar = element('progress');
  if (fraction === undefined) bar.removeAttribute('value');
  else bar.value = fraction;
  if (now - updated < UPDATE_INTERVAL && fraction !== 1) return;
  updated = now;
  element('amount').textContent = progress.amount;
  element('speed').textContent = progress.speed;
  element('left').textContent = progress.left;
  if (fraction === undefined) return;
  const percent = `${Math.floor(fraction * 100)}%`;
  document.title = `${percent} – send`;
  if (now - announced < ANNOUNCE_INTERVAL) return;
  announced = now;
  announce(`${percent} received. ${progress.left}`);
}

/** @param {{path: string, size: number, sha256: string, content: Blob}[]} files */
function handleDone(files) {
  leave();
  unsaved = files.length;
  const isOne = files.length === 1;
  element('done-text').textContent = isOne
    ? 'The file is exactly what was sent. Save it to keep it.'
    : `All ${plural(files.length, 'file')} are exactly what was sent. Save those that you want to keep.`;
  element('saved').replaceChildren(...files.map((file) => savable(file, isOne)));
  show('done');
  announce(`Received and verified. ${element('done-text').textContent}`);
}

/**
 * @param {{path: string, size: number, sha256: string, content: Blob}} file
 * @param {boolean} isOne
 */
function savable({ path, size, sha256, content }, isOne) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Save';
  button.setAttribute('aria-label', `Save ${path}`);
  if (isOne) button.className = 'primary';
  button.addEventListener('click', () => {
    if (button.textContent === 'Save') unsaved -= 1;
    save(content, path);
    button.textContent = 'Save again';
    button.classList.remove('primary');
    announce(`${path} was handed to your browser’s downloads.`);
  });
  const item = row(path, bytes(size), button);
  item.title = `SHA-256 ${sha256}`;
  return item;
}

async function keepAwake() {
  try {
    wakeLock = await navigator.wakeLock?.request('screen');
  } catch {
    // The note on the page says to keep the screen on.
  }
}

function letSleep() {
  wakeLock?.release().catch(() => {});
  wakeLock = undefined;
}

function startOver() {
  worker?.postMessage({ type: 'clear' });
  isFromLink = false;
  unsaved = 0;
  element('saved').replaceChildren();
  /** @type {HTMLInputElement} */ (element('code')).value = '';
  show('enter');
  element('code').focus();
}

/** @param {MessageEvent} event  From the worker. */
function handle({ data }) {
  switch (data.type) {
    case 'found':
      return handleFound(data);
    case 'refused':
      return showMistake(data.why);
    case 'reached':
      setStep('server', 'past');
      return setStep('code', 'now');
    case 'proving':
      return remember(trace);
    case 'connect':
      setStep('code', 'past');
      setStep('path', 'now');
      peer = new Peer(/** @type {Worker} */ (worker), data);
      return;
    case 'candidate':
      return peer?.try(data.candidate);
    case 'transmit':
      return peer?.transmit(data.record);
    case 'offer':
      return handleOffer(data);
    case 'file':
      element('current').textContent = data.path;
      return;
    case 'progress':
      return handleProgress(data.done);
    case 'verifying':
      return show('verifying');
    case 'done':
      return handleDone(data.files);
    case 'failed':
      return fail(data.why, data.retryAfter);
  }
}

/** Loads what receives, which is most of the page: once somebody is about to. */
function startWorker() {
  if (worker) return;
  // Scripts by address need a policy: this one knows a single address.
  const policy = window.trustedTypes?.createPolicy('send', {
    createScriptURL: () => new URL('engine.worker.js', import.meta.url).href,
  });
  const address = policy?.createScriptURL('') ?? new URL('engine.worker.js', import.meta.url);
  worker = new Worker(address, { type: 'module' });
  worker.onmessage = handle;
  worker.onerror = () => fail('unsupported');
}

function showLink() {
  if (!secret) return;
  isFromLink = true;
  show('found');
}

function receiveLink() {
  if (!secret) return;
  look(base + secret);
  secret = '';
}

element('code-form').addEventListener('submit', (event) => {
  event.preventDefault();
  look(/** @type {HTMLInputElement} */ (element('code')).value);
});
element('code').addEventListener('input', startWorker, { once: true });
element('receive').addEventListener('click', receiveLink);
element('accept').addEventListener('click', accept);
element('decline').addEventListener('click', () => worker?.postMessage({ type: 'decline' }));
for (const id of ['cancel', 'connecting-cancel']) {
  element(id).addEventListener('click', () => worker?.postMessage({ type: 'cancel' }));
}
element('again').addEventListener('click', startOver);
element('retry').addEventListener('click', () => (worker ? startOver() : location.reload()));
window.addEventListener('pagehide', () => worker?.postMessage({ type: 'cancel' }));
window.addEventListener('beforeunload', (event) => {
  if (state === 'receiving' || state === 'verifying' || unsaved > 0) event.preventDefault();
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && state === 'receiving') keepAwake();
});
// A second link that is opened in the same tab changes the fragment and nothing else.
window.addEventListener('hashchange', () => {
  secret = takeSecret();
  if (['enter', 'found', 'failed'].includes(state)) showLink();
});

element('insecure').hidden = window.isSecureContext;
if (typeof RTCPeerConnection === 'undefined' || typeof WebAssembly === 'undefined') {
  fail('unsupported');
} else {
  showLink();
  if (!isFromLink && matchMedia('(pointer: fine)').matches) element('code').focus();
}
