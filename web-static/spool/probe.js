/** @typedef {import('../spool.js').Spool} Spool */

/** What a spool fails with when there is no room; browsers do too. */
export function full() {
  return new DOMException('no room', 'QuotaExceededError');
}

/**
 * @template T
 * @param {() => Promise<T>} what
 * @returns {Promise<T | undefined>}  Nothing when it failed.
 */
export async function attempt(what) {
  try {
    return await what();
  } catch {
    return undefined;
  }
}

/**
 * @template {Spool} T
 * @param {T} spool  New.
 * @returns {Promise<T>}  The same, once it has stored something.
 */
export async function probed(spool) {
  try {
    await spool.begin({ key: 'probe', path: '' });
    await spool.write(new Uint8Array(1));
    await spool.end();
    await spool.drop();
    return spool;
  } catch (error) {
    await attempt(() => spool.clear());
    throw error;
  }
}
