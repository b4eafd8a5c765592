/** Codes that were tried here: a second try at the same one could help somebody who guesses. */

/** How long a code is remembered: milliseconds. */
const REMEMBERED_FOR = 10 * 60 * 1000;
const KEY = 'send-tried';

/** @typedef {{salt: number[], codes: {trace: string, at: number}[]}} Tried */

/** @type {Tried} */
let tried;
tried = load();

/** Without it the traces below say nothing about the codes. */
export function salt() {
  return new Uint8Array(tried.salt);
}

/** @param {string} trace */
export function wasTried(trace) {
  tried = load();
  return tried.codes.some((code) => code.trace === trace && Date.now() - code.at < REMEMBERED_FOR);
}

/** @param {string} trace */
export function remember(trace) {
  const codes = tried.codes.filter(({ at }) => Date.now() - at < REMEMBERED_FOR);
  tried = { salt: tried.salt, codes: [...codes, { trace, at: Date.now() }] };
  try {
    localStorage.setItem(KEY, JSON.stringify(tried));
  } catch {
    // Then it is remembered for as long as the page is open.
  }
}

/** @returns {Tried} */
function load() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    if (Array.isArray(found?.salt) && Array.isArray(found?.codes)) return found;
  } catch {
    // No storage here, or somebody else's.
  }
  return tried ?? { salt: [...crypto.getRandomValues(new Uint8Array(16))], codes: [] };
}
