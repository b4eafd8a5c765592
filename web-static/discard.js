/** So many are given back at once, because each time costs the same: a mebibyte of records. */
const BATCH = 16;

const { port1: nowhere, port2: otherEnd } = new MessageChannel();
otherEnd.close();
/** @type {ArrayBuffer[]} */
let waiting = [];

/**
 * Gives the memory of a buffer back soon. The collector does that too, but lets tens of megabytes gather before it
 * begins. Detaching the buffer is not enough: the browser's own object keeps the bytes until it is collected; what is
 * sent to nobody takes them along.
 *
 * @param {ArrayBuffer} buffer  Not to be used any more.
 */
export function discard(buffer) {
  waiting.push(buffer);
  if (waiting.length < BATCH) return;
  nowhere.postMessage(null, waiting);
  waiting = [];
}
