/** Files in a folder that the person has chosen. What is there already stays. */

/** Files whose names a browser refuses are saved with this behind them. */
const HARMLESS = '.file';

/**
 * @param {any} root  A handle.
 * @param {string} path  Its folders are made.
 * @returns {Promise<any>}  The handle of a new file: of this name, or with a number if there is one already.
 */
export async function locate(root, path) {
  const names = path.split('/');
  const name = /** @type {string} */ (names.pop());
  let folder = root;
  for (const each of names) folder = await folder.getDirectoryHandle(each, { create: true });
  return newFile(folder, name);
}

/**
 * @param {any} folder
 * @param {string} name
 * @returns {Promise<any>}
 */
async function newFile(folder, name) {
  const dot = name.lastIndexOf('.') > 0 ? name.lastIndexOf('.') : name.length;
  for (let number = 0; ; number += 1) {
    const free = number === 0 ? name : `${name.slice(0, dot)} (${number})${name.slice(dot)}`;
    try {
      await folder.getFileHandle(free);
    } catch (error) {
      if (error.name === 'NotFoundError') return folder.getFileHandle(free, { create: true });
      if (error instanceof TypeError && !name.endsWith(HARMLESS)) return newFile(folder, name + HARMLESS);
      // A folder has the name.
      if (error.name !== 'TypeMismatchError') throw error;
    }
  }
}
