/** The last word of a side that gives up while the two are apart. */
import { Signal } from './signal.js';

/** How long the other may take to notice that the connection broke, and to get there; nobody waits for this: milliseconds. */
const PATIENCE = 30_000;

/**
 * Goes to where both sides meet again, and tells the other, if it comes, that it looks in vain.
 *
 * @param {URL} address  Of the rendezvous' socket.
 * @param {{isLeaving: boolean, handleFrame: (frame: string, now: number) => void, poll: () => string | undefined}} side
 * @param {() => void} join  Lets the side say where it goes.
 */
export function tellApart(address, side, join) {
  const timer = setTimeout(end, PATIENCE);
  const signal = new Signal(address, { opened: () => {}, heard, closed: end });
  join();
  say();

  function heard(/** @type {string} */ frame) {
    side.handleFrame(frame, performance.now());
    say();
  }

  function say() {
    for (let text = side.poll(); text !== undefined; text = side.poll()) {
      const output = JSON.parse(text);
      if (output.do === 'say') signal.send(output.frame);
    }
    if (!side.isLeaving) end();
  }

  function end() {
    clearTimeout(timer);
    signal.close();
  }
}
