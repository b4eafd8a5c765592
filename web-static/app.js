/**
 * Where one begins: with a code to type or a link that was followed. Everything after that is loaded when it is needed;
 * this module and what it imports are all that a first visit loads.
 */
import { ask, on, start } from './engine.js';
import { fail } from './failures.js';
import { left } from './left.js';
import { draw, element, isShown, show, view } from './screen.js';
import { hasText, languages, learn, rememberLanguage, speak, speakPreferred, spoken, text } from './text.js';

/** Where the page is, without the secret of a link. */
const base = new URL('.', location.href.split('#')[0]).href;
/** The secret of a link, read once. It leaves the address and the history before anything is asked of any network. */
let secret = takeSecret();

function takeSecret() {
  const fragment = location.hash;
  if (fragment) history.replaceState(null, '', location.pathname);
  return fragment;
}

/**
 * Receiving, which is loaded once somebody does.
 *
 * @param {(reception: typeof import('./reception.js')) => void} act
 */
async function withReception(act) {
  prepare();
  try {
    act(await import('./reception.js'));
  } catch {
    fail('server-gone');
  }
}

/** Sending, which is loaded once somebody chooses to. */
async function chooseToSend() {
  try {
    const [{ choose }] = await Promise.all([import('./send.js'), learn('send')]);
    choose(base);
  } catch {
    fail('server-gone');
  }
}

/** Starts the worker, which is most of what there is to load: once somebody is about to receive. */
function prepare() {
  start(({ message }) => fail(message ? 'unsupported' : 'server-gone'));
}

function receiveLink() {
  const link = base + secret;
  if (secret) withReception(({ look }) => look(link, { base, isFromLink: true }));
  secret = '';
}

/** The page was loaded anew while it received. */
function goOn() {
  const found = left();
  if (found) withReception((reception) => reception.goOn(found, base));
}

/** @param {{mistake?: string}} facts  What is wrong with what was typed. */
function drawEnter({ mistake }) {
  element('offline').textContent = navigator.onLine ? '' : text('enter.offline');
  const known = mistake && hasText(`mistake.${mistake}`) ? mistake : 'not-a-code';
  element('code-error').textContent = mistake ? text(`mistake.${known}`) : '';
  element('code').setAttribute('aria-invalid', String(mistake !== undefined));
  if (mistake) element('code').focus();
}

function startOver() {
  ask({ type: 'clear' });
  /** @type {HTMLInputElement} */ (element('code')).value = '';
  show('enter');
  element('code').focus();
}

function fillLanguages() {
  for (const [tag, name] of languages()) {
    const option = new Option(name, tag, false, tag === spoken());
    option.lang = tag;
    element('language').append(option);
  }
  element('language').addEventListener('change', async () => {
    const { value } = /** @type {HTMLSelectElement} */ (element('language'));
    rememberLanguage(value);
    await speak(value).then(draw, () => fail('server-gone'));
  });
}

function begin() {
  draw();
  if (!isAble) fail('unsupported');
  else if (secret) show('found');
  else if (left()) goOn();
  else if (isShown('enter') && matchMedia('(pointer: fine)').matches) element('code').focus();
}

/** Everything that a person can do here. */
function listen() {
  element('code-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const { value } = /** @type {HTMLInputElement} */ (element('code'));
    withReception(({ look }) => look(value, { base, isFromLink: false }));
  });
  element('code').addEventListener('input', prepare, { once: true });
  element('receive').addEventListener('click', receiveLink);
  element('try-again').addEventListener('click', () => withReception(({ receive }) => receive()));
  for (const id of ['send', 'send-again']) element(id).addEventListener('click', chooseToSend);
  for (const id of ['again', 'other-code']) element(id).addEventListener('click', startOver);
  for (const change of ['online', 'offline']) window.addEventListener(change, () => isShown('enter') && draw());
  // A file that is dropped beside where it belongs must not take the place of the page.
  for (const type of ['dragover', 'drop']) document.addEventListener(type, (event) => event.preventDefault());
  // A second link that is opened in the same tab changes the fragment and nothing else.
  window.addEventListener('hashchange', () => {
    secret = takeSecret();
    if (secret && isShown('enter', 'found', 'failed')) show('found');
  });
}

/**
 * Inside somebody else's page a tap may be meant for something else, so nothing can be done here. Most servers send a header
 * that forbids it.
 */
function refuseFrame() {
  const say = () => fail('framed');
  say();
  speakPreferred().then(say, say);
}

view('enter', drawEnter);
on('failed', ({ why, retryAfter, kept }) => fail(why, retryAfter, kept));
element('insecure').hidden = window.isSecureContext;
const isAble = typeof RTCPeerConnection !== 'undefined' && typeof WebAssembly !== 'undefined';
if (window.top === window) {
  listen();
  // A page that has no texts has not loaded, and says so in its own English.
  speakPreferred().then(begin, () => fail('server-gone')).finally(fillLanguages);
} else {
  refuseFrame();
}
