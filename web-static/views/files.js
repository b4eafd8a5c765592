/** A file in a list. Its name is the sender's: it is shown as text, and its direction stays its own. */

/**
 * @param {string} path
 * @param {...(Node | string)} details
 */
export function row(path, ...details) {
  const name = document.createElement('bdi');
  name.className = 'name';
  name.textContent = path;
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
