/** From the page to where the person keeps files: one, or all of them into a folder or an archive. */
import { locate } from './folder.js';

/** How long a browser may take to begin a download: milliseconds. */
const REVOKE_AFTER = 60_000;

/** Browsers share no more than that at once: bytes. */
const MAX_SHARED_LEN = 50_000_000;

/** @typedef {{path: string, content: Blob}} Saved */

/**
 * Hands a file to the browser's downloads, or on an installed page of an iPhone, which has none, to the share sheet.
 *
 * @param {Blob} file
 * @param {string} path  Its last name is what it is saved as.
 */
export function save(file, path) {
  const name = lastName(path);
  const content = file.slice(0, file.size, 'application/octet-stream');
  const shared = { files: [new File([content], name)] };
  if (/** @type {any} */ (navigator).standalone === true && navigator.canShare?.(shared)) {
    navigator.share(shared).catch(() => {});
    return;
  }
  const address = URL.createObjectURL(content);
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), REVOKE_AFTER);
}

/**
 * @param {Blob} file
 * @param {string} path
 * @param {string} type  What it is shared as.
 * @returns {(() => Promise<void>) | undefined}  Gives it to another program of a phone, as to its photos; nothing where that is no use.
 */
export function sharing(file, path, type) {
  if (file.size > MAX_SHARED_LEN || !matchMedia('(pointer: coarse)').matches) return undefined;
  const shared = { files: [new File([file], lastName(path), { type })] };
  return navigator.canShare?.(shared) ? () => navigator.share(shared).catch(() => {}) : undefined;
}

/** Whether the person can choose a folder, or a file, to save to. */
export const canSaveToFolder = () => 'showDirectoryPicker' in window;
export const canSaveToFile = () => 'showSaveFilePicker' in window;

/**
 * Asks where files are to go that are not here yet.
 *
 * @param {{path: string}[]} files
 * @returns {Promise<{file?: any, folder?: any} | undefined>}  Handles; nothing when the person chose nothing.
 */
export async function chooseTarget(files) {
  if (files.length > 1) {
    const folder = await chosen(askForFolder);
    return folder && { folder };
  }
  const file = await chosen(() => askForFile(lastName(files[0].path)));
  return file && { file };
}

/**
 * Asks for a folder and writes every file there, in the folders of its path. What is there already stays.
 *
 * @param {Saved[]} files
 * @param {(done: number) => void} report  Called with bytes.
 * @returns {Promise<boolean>}  Whether they are there; not when the person chose none.
 */
export async function saveToFolder(files, report) {
  const root = await chosen(askForFolder);
  if (!root) return false;
  let done = 0;
  for (const { path, content } of files) {
    const before = done;
    await write(await locate(root, path), pieces([content]), (written) => report(before + written));
    done += content.size;
  }
  return true;
}

/**
 * Saves all files as one archive: straight to the downloads where the browser can, else where the person says, else by way
 * of the browser's own storage of blobs.
 *
 * @param {Saved[]} files
 * @param {string} name
 * @param {(done: number) => void} report  Called with bytes of the archive.
 * @returns {Promise<boolean>}  Whether it is saved; not when the person stopped it.
 */
export async function saveAsArchive(files, name, report) {
  const [{ zip, zipLength }, { download, downloader, Stopped }] = await Promise.all([import('./zip.js'), import('./save.stream.js')]);
  const worker = await downloader();
  if (worker) {
    try {
      await download(worker, { name, size: zipLength(files) }, pieces(zip(files)), report);
      return true;
    } catch (error) {
      if (error instanceof Stopped) return false;
      throw error;
    }
  }
  if (canSaveToFile()) {
    const file = await chosen(() => askForFile(name));
    if (!file) return false;
    await write(file, pieces(zip(files)), report);
    return true;
  }
  const parts = [];
  // A blob of blobs holds none of their bytes.
  for await (const part of zip(files)) parts.push(/** @type {BlobPart} */ (part));
  save(new Blob(parts), name);
  return true;
}

/** @param {string} path */
const lastName = (path) => path.slice(path.lastIndexOf('/') + 1);

const askForFolder = () => /** @type {any} */ (window).showDirectoryPicker({ id: 'send', mode: 'readwrite' });

/** @param {string} suggestedName */
const askForFile = (suggestedName) => /** @type {any} */ (window).showSaveFilePicker({ id: 'send', suggestedName });

/** @param {() => Promise<any>} ask  Nothing when the person closes the question. */
async function chosen(ask) {
  try {
    return await ask();
  } catch (error) {
    if (error?.name === 'AbortError') return undefined;
    throw error;
  }
}

/**
 * @param {any} file  A handle.
 * @param {AsyncIterable<Uint8Array>} content
 * @param {(done: number) => void} report
 */
async function write(file, content, report) {
  const writable = await file.createWritable();
  let done = 0;
  try {
    for await (const piece of content) {
      await writable.write(piece);
      done += piece.length;
      report(done);
    }
  } catch (error) {
    await writable.abort().catch(() => {});
    throw error;
  }
  await writable.close();
}

/**
 * @param {AsyncIterable<Uint8Array | Blob> | Iterable<Uint8Array | Blob>} parts
 * @returns {AsyncGenerator<Uint8Array>}  Their bytes, in pieces that fit into memory.
 */
async function* pieces(parts) {
  for await (const part of parts) {
    if (part instanceof Uint8Array) {
      yield part;
      continue;
    }
    const reader = part.stream().getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  }
}
