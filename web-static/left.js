/**
 * What this tab would go on with after it was loaded anew, or after the browser has thrown the page away: kept as long as the
 * tab lives, and nowhere else. It is secret, like what it leads to.
 */

const PLACE = 'send-left';

/** @typedef {{token: number[], name: string}} Left  What the connection is found again by, and what is stored. */

/** @param {Left} left */
export function leave({ token, name }) {
  attempt(() => sessionStorage.setItem(PLACE, JSON.stringify({ token, name })));
}

/** @returns {Left | undefined} */
export function left() {
  const found = attempt(() => JSON.parse(sessionStorage.getItem(PLACE) ?? 'null'));
  return Array.isArray(found?.token) && typeof found.name === 'string' ? found : undefined;
}

export const hasLeft = () => left() !== undefined;

export function forgetLeft() {
  attempt(() => sessionStorage.removeItem(PLACE));
}

/**
 * @template T
 * @param {() => T} what
 * @returns {T | undefined}  Nothing where the browser stores nothing for a tab.
 */
function attempt(what) {
  try {
    return what();
  } catch {
    return undefined;
  }
}
