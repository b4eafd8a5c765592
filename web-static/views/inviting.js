/** How the other side comes here: a code to read out, a link, and a picture of it. */
import { copy } from '../clipboard.js';
import { announce, element, view } from '../screen.js';
import { duration, text } from '../text.js';

/** Light modules around a QR code, as ISO/IEC 18004 wants them. */
const QUIET_ZONE = 4;
const SVG = 'http://www.w3.org/2000/svg';

/**
 * @typedef {object} Invitation
 * @property {string | null} code
 * @property {string | null} link
 * @property {Uint8Array} [picture]  Of the link, see `qrModules` in `wire`.
 * @property {number} ttl  Seconds.
 * @property {number} codesLeft
 * @property {string} notice  A key: why this is not the first code.
 * @property {boolean} isAway  Whether the rendezvous is looked for; the code still holds.
 * @property {string} base  Where the other side types it.
 */

/** @param {Invitation} facts */
function draw({ code, link, picture, ttl, codesLeft, notice, isAway, base }) {
  element('inviting-by-code').hidden = !code;
  element('inviting-code').textContent = code ?? '';
  element('inviting-address').textContent = base.replace(/\/$/, '');
  element('inviting-link').textContent = link ?? '';
  element('inviting-by-link').hidden = !link;
  element('inviting-qr').replaceChildren(...(picture ? [drawn(picture)] : []));
  element('inviting-command').textContent = code ? `send receive ${code} --server ${base}` : 'send receive';
  element('inviting-ttl').textContent = text('inviting.ttl', { time: duration(ttl) });
  element('inviting-left').textContent = notice && code ? text('inviting.codes-left', { count: codesLeft }) : '';
  element('inviting-notice').textContent = isAway ? text('inviting.away') : notice && text(notice);
}

/** @param {Uint8Array} modules  A square of them; 1 is dark. */
function drawn(modules) {
  const side = Math.sqrt(modules.length);
  const whole = side + 2 * QUIET_ZONE;
  const picture = document.createElementNS(SVG, 'svg');
  picture.setAttribute('viewBox', `${-QUIET_ZONE} ${-QUIET_ZONE} ${whole} ${whole}`);
  picture.setAttribute('shape-rendering', 'crispEdges');
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', text('inviting.qr'));
  const light = document.createElementNS(SVG, 'rect');
  for (const [name, value] of [['x', -QUIET_ZONE], ['y', -QUIET_ZONE], ['width', whole], ['height', whole]]) {
    light.setAttribute(String(name), String(value));
  }
  light.setAttribute('fill', '#fff');
  const dark = document.createElementNS(SVG, 'path');
  const squares = Array.from(modules, (module, at) => (module ? `M${at % side} ${Math.floor(at / side)}h1v1h-1z` : ''));
  dark.setAttribute('d', squares.join(''));
  dark.setAttribute('fill', '#000');
  picture.append(light, dark);
  return picture;
}

async function copyLink() {
  const link = element('inviting-link');
  announce(text((await copy(link.textContent ?? '', link)) ? 'inviting.copied' : 'inviting.marked'));
}

element('inviting-copy').addEventListener('click', copyLink);
view('inviting', draw);
