/** Somebody came: they are reached, they agree, and bytes leave. */
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { Figures } from './figures.js';

const figures = new Figures('sending-', 'sending.progress');

/** What is said beside each step. */
const BESIDE = { server: 'connecting.text', work: 'connecting.work', path: 'connecting.text', consent: 'awaiting.text' };

/** @param {{step: keyof typeof BESIDE}} facts */
function drawAwaiting({ step }) {
  element('awaiting-title').textContent = text(`awaiting.${step}`);
  element('awaiting-text').textContent = text(BESIDE[step]);
}

/** @param {{progress: import('../progress.js').Progress, way: string}} facts */
function drawSending({ progress, way }) {
  element('sending-path').textContent = way && text(`path.${way}`);
  return figures.draw(progress);
}

/** @param {{chosen: import('../send.files.js').Chosen[]}} facts */
function drawSent({ chosen }) {
  element('sent-text').textContent = text('sent.text', { count: chosen.length });
}

view('awaiting', drawAwaiting);
view('sending', drawSending);
view('sent', drawSent);
