/** Somebody came: they are reached, they agree, and bytes leave. */
import { element, view } from '../screen.js';
import { text } from '../text.js';
import { Figures } from './figures.js';
import { drawWords } from './words.js';

const figures = new Figures('sending-', 'sending.progress');

/** What is said beside each step. */
const BESIDE = { server: 'connecting.text', work: 'connecting.work', path: 'connecting.text', consent: 'awaiting.text' };

/** @param {{step: keyof typeof BESIDE, words?: string}} facts  What both sides may compare. */
function drawAwaiting({ step, words }) {
  element('awaiting-title').textContent = text(`awaiting.${step}`);
  element('awaiting-text').textContent = text(BESIDE[step]);
  drawWords('awaiting-words', words);
}

/** @param {{progress: import('../progress.js').Progress, way: string}} facts */
function drawSending({ progress, way }) {
  element('sending-path').textContent = way && text(`path.${way}`);
  return figures.draw(progress);
}

/** @param {{count: number, isText: boolean}} facts */
function drawSent({ count, isText }) {
  element('sent-text').textContent = isText ? text('sent.words') : text('sent.text', { count });
}

view('awaiting', drawAwaiting);
view('sending', drawSending);
view('sent', drawSent);
