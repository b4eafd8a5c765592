/** Somebody came: they are reached, they agree, and bytes leave. */
import { element, view } from '../screen.js';
import { percent, speed, text } from '../text.js';
import { amount, drawBar, left } from './receiving.js';

/** Between two updates of the numbers: milliseconds. */
const UPDATE_INTERVAL = 500;

let updated = 0;

/** @param {{step: 'server' | 'path' | 'consent'}} facts */
function drawAwaiting({ step }) {
  element('awaiting-title').textContent = text(`awaiting.${step}`);
  element('awaiting-text').textContent = text(step === 'consent' ? 'awaiting.text' : 'connecting.text');
}

/** @param {{progress: import('../progress.js').Progress, way: string}} facts */
function drawSending({ progress, way }) {
  const now = performance.now();
  drawBar(element('sending-progress'), progress);
  element('sending-path').textContent = way && text(`path.${way}`);
  if (now - updated >= UPDATE_INTERVAL || progress.done === 0) {
    updated = now;
    element('sending-percent').textContent = progress.fraction === undefined ? '' : percent(progress.fraction);
    element('sending-amount').textContent = amount(progress);
    element('sending-speed').textContent = progress.speed > 0 ? speed(progress.speed) : '';
    element('sending-left').textContent = left(progress);
  }
  return progress.fraction === undefined ? undefined : percent(progress.fraction);
}

/** @param {{chosen: import('../send.files.js').Chosen[]}} facts */
function drawSent({ chosen }) {
  element('sent-text').textContent = text('sent.text', { count: chosen.length });
}

view('awaiting', drawAwaiting);
view('sending', drawSending);
view('sent', drawSent);
