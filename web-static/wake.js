/**
 * @param {() => void} listener  Called when the page is looked at again, or the network is another: a connection may be gone.
 */
export function onAwake(listener) {
  for (const [target, type] of [[window, 'online'], [window, 'pageshow'], [document, 'visibilitychange']]) {
    target.addEventListener(type, () => document.visibilityState === 'visible' && listener());
  }
}

/** Keeps the screen on while it matters; where a browser cannot, the page says to do it by hand. */
export class Wakefulness {
  #isWanted = false;
  /** The browser thinks about it. */
  #isAsked = false;
  /** @type {WakeLockSentinel | undefined} */
  #lock;

  constructor() {
    // The browser takes it away from a page that nobody sees, and does not give it back.
    document.addEventListener('visibilitychange', () => this.#update());
  }

  /** @param {boolean} isWanted */
  keep(isWanted) {
    this.#isWanted = isWanted;
    this.#update();
  }

  async #update() {
    if (!this.#isWanted) {
      const lock = this.#lock;
      this.#lock = undefined;
      return lock?.release().catch(() => {});
    }
    if (document.visibilityState !== 'visible' || this.#lock?.released === false || this.#isAsked) return;
    this.#isAsked = true;
    try {
      const lock = await navigator.wakeLock?.request('screen');
      // It may have ended while the browser thought about it.
      if (this.#isWanted) this.#lock = lock;
      else await lock?.release();
    } catch {
      // A battery that is low is a reason to refuse.
    } finally {
      this.#isAsked = false;
    }
  }
}
