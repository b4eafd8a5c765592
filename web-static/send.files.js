/** Files that were chosen, each with the path that it is to have at the receiver. */

/** @typedef {{file: File, path: string}} Chosen */

/** @param {Iterable<File>} files  From a picker. */
export function picked(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/**
 * @param {DataTransfer} transfer  Of a drop: its content is there for as long as the event is, its entries stay.
 * @returns {Promise<Chosen[]>}
 */
export async function dropped(transfer) {
  const files = picked(transfer.files);
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  if (!entries.some(({ isDirectory }) => isDirectory)) return files;
  return (await Promise.all(entries.map(walk))).flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<Chosen[]>}  What can be read of it.
 */
async function walk(entry) {
  try {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
      return [{ file, path: entry.fullPath.replace(/^\//, '') }];
    }
    const inside = await list(/** @type {FileSystemDirectoryEntry} */ (entry).createReader());
    return (await Promise.all(inside.map(walk))).flat();
  } catch {
    return [];
  }
}

/** @param {FileSystemDirectoryReader} reader  Tells a hundred at a time. */
async function list(reader) {
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
