/** The page's end of the worker that moves the bytes: what is asked of it, and who listens to what it tells. */

/**
 * The scripts of this page that may run beside it. All of them lie beside this one, which may be below a version; the one
 * that serves the page itself lies beside the page.
 */
const SCRIPTS = { engine: 'engine.worker.js', sender: 'send.worker.js', downloads: 'save.sw.js', shell: new URL('sw.js', document.baseURI).href };

/** Scripts by address need a policy: this one knows these addresses alone. */
const policy = window.trustedTypes?.createPolicy('send', { createScriptURL: (script) => new URL(script, import.meta.url).href });

/** @type {Map<string, (event: any) => void>} */
const listeners = new Map();
/** @type {Worker | undefined} */
let worker;

/**
 * @param {keyof typeof SCRIPTS} name
 * @returns {any}  An address that a worker may be started from.
 */
export function scriptAddress(name) {
  return policy?.createScriptURL(SCRIPTS[name]) ?? new URL(SCRIPTS[name], import.meta.url);
}

/** @param {(error: ErrorEvent) => void} broken  Called when it cannot run here, without a message when it cannot be loaded. */
export function start(broken) {
  if (worker) return;
  worker = new Worker(scriptAddress('engine'), { type: 'module' });
  worker.onmessage = ({ data }) => listeners.get(data.type)?.(data);
  worker.onerror = (error) => {
    worker = undefined;
    broken(error);
  };
}

/** Lets the browser keep what the page begins with, for when its server is away. Browsers do so on secure pages only. */
export function keepShell() {
  navigator.serviceWorker?.register(scriptAddress('shell'), { updateViaCache: 'none' }).catch(() => {});
}

/** The worker itself, for what gives it a channel. */
export const engine = () => /** @type {Worker} */ (worker);

/** @param {{type: string}} message */
export function ask(message) {
  worker?.postMessage(message);
}

/**
 * @param {string} type  Of an event; each has one listener.
 * @param {(event: any) => void} listener
 */
export function on(type, listener) {
  listeners.set(type, listener);
}
