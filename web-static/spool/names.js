/** What the storage of an attempt is called, who uses it, and which of it nobody needs any more. */
import { attempt } from './probe.js';

/** What was received this long ago and never cleared is deleted: milliseconds. */
const KEPT_FOR = 24 * 60 * 60 * 1000;
const PREFIX = 'send-';

/** What this worker has, and how it is released. @type {Map<string, () => void>} */
const claimed = new Map();

/** A name that nobody else uses. */
export async function newName() {
  const random = crypto.getRandomValues(new Uint32Array(2));
  const name = `${PREFIX}${Date.now()}-${random[0].toString(36)}${random[1].toString(36)}`;
  await claim(name, true);
  return name;
}

/**
 * Takes a name for as long as this worker lives, or until it is released.
 *
 * @param {string} name
 * @param {boolean} isOwn  Whether nobody but this tab can have it: a page without https cannot ask the others.
 * @returns {Promise<boolean>}  Whether this worker has it; not if another tab does.
 */
export async function claim(name, isOwn) {
  if (claimed.has(name)) return true;
  const unlock = navigator.locks ? await lock(name) : isOwn ? () => {} : undefined;
  if (unlock) claimed.set(name, unlock);
  return unlock !== undefined;
}

/** @param {string} name  Of what this worker uses no more: another tab may, while this one still shows what became of it. */
export function release(name) {
  // Without https nobody else can have it anyway, and this one may want it again.
  if (!navigator.locks) return;
  claimed.get(name)?.();
  claimed.delete(name);
}

/**
 * @param {string} name
 * @returns {Promise<(() => void) | undefined>}
 */
function lock(name) {
  return new Promise((resolve) => {
    const hold = (/** @type {Lock | null} */ granted) => {
      if (!granted) return resolve(undefined);
      return new Promise((release) => resolve(() => release(undefined)));
    };
    navigator.locks.request(name, { ifAvailable: true }, hold).catch(() => resolve(undefined));
  });
}

/** The names of what earlier visits have left: directories of the origin's file system, and databases. */
export async function leftBehind() {
  const left = { directories: /** @type {string[]} */ ([]), databases: /** @type {string[]} */ ([]) };
  await attempt(async () => {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) if (name.startsWith(PREFIX)) left.directories.push(name);
  });
  await attempt(async () => {
    for (const { name } of await indexedDB.databases()) if (name?.startsWith(PREFIX)) left.databases.push(name);
  });
  return left;
}

/** Deletes what earlier visits have left long ago. */
export async function sweep() {
  const { directories, databases } = await leftBehind();
  for (const name of directories.filter(isOld)) {
    await attempt(() => whileUnused(name, async () => (await navigator.storage.getDirectory()).removeEntry(name, { recursive: true })));
  }
  for (const name of databases.filter(isOld)) await attempt(() => whileUnused(name, async () => void indexedDB.deleteDatabase(name)));
}

/**
 * @param {string} name
 * @param {() => Promise<void>} what  Done unless a tab has the name.
 */
async function whileUnused(name, what) {
  // What is this old and in use by a page without https is lost to it.
  if (claimed.has(name) || !(await claim(name, true))) return;
  try {
    await what();
  } finally {
    release(name);
  }
}

/** @param {string} name */
function isOld(name) {
  return Date.now() - parseInt(name.slice(PREFIX.length), 10) > KEPT_FOR;
}
