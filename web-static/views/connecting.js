/** On the way to the other device: three steps, and advice when they take long. */
import { element, isShown, view } from '../screen.js';
import { text } from '../text.js';

const STEPS = ['server', 'code', 'path'];
/** After this long without a connection there is advice: milliseconds. */
const SLOW = 3000;

let timer = 0;
let wasWorking = false;

/** @param {{at: string, isWorking?: boolean}} facts  The step that is being taken, and whether this device works for it. */
function draw({ at, isWorking }) {
  const current = STEPS.indexOf(at);
  for (const [index, step] of STEPS.entries()) {
    const item = element(`step-${step}`);
    item.classList.toggle('past', index < current);
    if (index === current) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  }
  if (isWorking) {
    clearTimeout(timer);
    element('slow').textContent = text('connecting.work');
    wasWorking = true;
  } else if (at === 'server' || wasWorking) waitForAdvice();
}

function waitForAdvice() {
  clearTimeout(timer);
  wasWorking = false;
  element('slow').textContent = '';
  timer = setTimeout(advise, SLOW);
}

async function advise() {
  const permission = await localNetwork();
  if (isShown('connecting')) element('slow').textContent = text(permission === 'denied' ? 'connecting.blocked' : 'connecting.slow');
}

/** Whether the browser lets this page reach devices nearby. Some browsers ask, and most do not know the question. */
async function localNetwork() {
  // An insecure page is always denied it, and on a network of its own does not need it.
  if (!window.isSecureContext) return undefined;
  try {
    const query = /** @type {any} */ ({ name: 'local-network-access' });
    return (await navigator.permissions.query(query)).state;
  } catch {
    return undefined;
  }
}

view('connecting', draw);
