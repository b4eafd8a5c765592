/**
 * Which screen is shown: one section of the page at a time, drawn by its view from what is known. A screen is a section
 * with an id and a heading in `index.html`, and a call of `view`.
 */

/**
 * Draws a screen from what is known, again and again; the result is the title of the window, else it is the heading.
 * @typedef {(facts: any) => string | void} Draw
 */

/** @type {Map<string, Draw>} */
const views = new Map();
let name = 'enter';
/** @type {any} */
let facts = {};

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/**
 * @param {string} screen
 * @param {Draw} draw
 */
export function view(screen, draw) {
  views.set(screen, draw);
}

/**
 * Shows a screen, or shows more of the one that is there. A new one begins at its heading, for eyes and for the keyboard.
 *
 * @param {string} screen
 * @param {object} [known]  What its view draws.
 */
export function show(screen, known = {}) {
  const isNew = screen !== name;
  name = screen;
  facts = known;
  draw();
  if (!isNew) return;
  for (const section of document.querySelectorAll('main > section')) section.toggleAttribute('hidden', section.id !== screen);
  announce('');
  heading().focus({ preventScroll: true });
  window.scrollTo(0, 0);
  document.dispatchEvent(new CustomEvent('screen', { detail: screen }));
}

/** Draws the same again: the language is another. */
export function draw() {
  entitle(views.get(name)?.(facts));
}

/** @param {string | void} words  For the title of the window, in place of the heading. */
export function entitle(words) {
  document.title = `${words ?? heading().textContent} – send`;
}

/** @param {...string} screens */
export const isShown = (...screens) => screens.includes(name);

/** @param {string} words  For those who listen instead of looking, when they are not interrupted. */
export function announce(words) {
  element('status').textContent = words;
}

/** @returns {HTMLElement} */
const heading = () => /** @type {HTMLElement} */ (element(name).querySelector('h1'));
