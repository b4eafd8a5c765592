/** A file in a list. Its name is the sender's: it is shown as text, and its direction stays its own. */

/** Characters that are not seen and turn others around. The worker takes them out of names; none may pass here either. */
const DECEIVING = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** @param {string} name  From the other side, as it may be shown. */
export const harmless = (name) => name.replace(DECEIVING, '\ufffd');

/**
 * @param {string} path
 * @param {...(Node | string)} details
 */
export function row(path, ...details) {
  const name = document.createElement('bdi');
  name.className = 'name';
  name.textContent = harmless(path);
  const what = document.createElement('div');
  what.className = 'what';
  what.append(name, ...details);
  const item = document.createElement('li');
  item.append(what);
  return item;
}

/** @param {string} text */
export function detail(text) {
  const size = document.createElement('span');
  size.className = 'size';
  size.textContent = text;
  return size;
}
