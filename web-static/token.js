/** What a private server asks those for who send: kept as long as the tab lives, and nowhere else. */

const PLACE = 'send-token';
let known = '';

/** @returns {string | undefined}  Nothing where nobody has given one. */
export function token() {
  try {
    known = sessionStorage.getItem(PLACE) ?? known;
  } catch {
    // Then it is known for as long as the page is open.
  }
  return known || undefined;
}

/** @param {string} given */
export function rememberToken(given) {
  known = given;
  try {
    sessionStorage.setItem(PLACE, given);
  } catch {
    // See above.
  }
}
