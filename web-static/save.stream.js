/** A download of what does not lie in one place: its bytes are read when the browser wants them. */
import { scriptAddress } from './engine.js';

/** How long the browser may take to start the worker that serves it: milliseconds. */
const START_DEADLINE = 5000;
/** A worker that nobody writes to is stopped after half a minute: milliseconds. */
const KEEP_ALIVE = 10_000;
/** Where downloads are, below the page. Nothing else is asked for there. */
const PLACE = '_dl/';

/** Another side has stopped it. */
export class Stopped extends Error {}

/**
 * @returns {Promise<ServiceWorker | undefined>}  What can serve a download here, if anything can: not over plain http.
 */
export async function downloader() {
  try {
    const scope = new URL(PLACE, import.meta.url).href;
    const registration = await navigator.serviceWorker.register(scriptAddress('downloads'), { scope, updateViaCache: 'none' });
    return await activated(registration);
  } catch {
    return undefined;
  }
}

/**
 * @param {ServiceWorkerRegistration} registration
 * @returns {Promise<ServiceWorker | undefined>}
 */
async function activated(registration) {
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (!worker || worker.state === 'activated') return worker ?? undefined;
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), START_DEADLINE);
    worker.addEventListener('statechange', () => {
      if (worker.state !== 'activated') return;
      clearTimeout(timer);
      resolve(worker);
    });
  });
}

/**
 * Lets the browser download `size` bytes, or as many as come, as `name`.
 *
 * @param {ServiceWorker} worker  See `downloader`.
 * @param {{name: string, size?: number}} what
 * @param {AsyncIterator<Uint8Array>} pieces
 * @param {(done: number) => void} report  Called with the bytes that the browser has taken.
 * @throws {Stopped} when the person has stopped the download, or what was read when it cannot be read.
 */
export async function download(worker, { name, size }, pieces, report) {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const address = new URL(PLACE + Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join(''), import.meta.url).href;
  const { port1: port, port2 } = new MessageChannel();
  const frame = document.createElement('iframe');
  const alive = setInterval(() => {
    worker.postMessage('alive');
    // What is still on its way to the page may take long.
    port.postMessage('later');
  }, KEEP_ALIVE);
  try {
    await new Promise((resolve, reject) => {
      let done = 0;
      port.onmessage = async ({ data }) => {
        if (data === 'ready') {
          frame.hidden = true;
          frame.src = address;
          document.body.append(frame);
        } else if (data === 'cancel') {
          reject(new Stopped());
        } else {
          try {
            const { value, done: isEnd } = await pieces.next();
            port.postMessage(isEnd ? null : value);
            if (isEnd) return resolve(undefined);
            done += value.length;
            report(done);
          } catch (error) {
            port.postMessage('stopped');
            reject(error);
          }
        }
      };
      worker.postMessage({ address, name, size }, [port2]);
    });
  } finally {
    clearInterval(alive);
    // The browser still reads the last piece.
    setTimeout(() => frame.remove(), KEEP_ALIVE);
  }
}

/**
 * Lets the browser download a file that is still arriving. Says `more` at the port when the browser wants a piece, and takes
 * bytes, nothing at the end, or `stopped`; says `cancel` when the browser takes no more.
 *
 * @param {MessagePort} port
 * @param {{path: string, size?: number}} file  Without a size when nobody knows it.
 */
export async function downloadFrom(port, { path, size }) {
  const worker = await downloader();
  const name = path.slice(path.lastIndexOf('/') + 1);
  const pieces = {
    next: () =>
      new Promise((resolve, reject) => {
        port.onmessage = ({ data }) => (data === 'stopped' ? reject(new Stopped()) : resolve({ value: data, done: data === null }));
        port.postMessage('more');
      }),
  };
  try {
    if (!worker) throw new Stopped();
    await download(worker, { name, size }, pieces, () => {});
  } catch {
    port.postMessage('cancel');
  }
}
